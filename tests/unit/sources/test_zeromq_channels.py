"""How channels begin, grow, begin again and are forgotten, with plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.sources.zeromq.channels.channels import Channels
from shipper.sources.zeromq.channels.history import Farewell, Forgotten, History
from shipper.sources.zeromq.channels.limits import LONGEST_NAME_BYTES, Limits
from shipper.sources.zeromq.channels.messages import Message

SECOND_NS = 10**9
MOST = 1000


class Rig:
    """Channels, and a clock that the test sets."""

    def __init__(self, **limits: Any) -> None:
        self.channels = Channels(Limits(**{"forget_seconds": 300, "idle_seconds": 3600} | limits))
        self.now_ns = 1_700_000_000 * SECOND_NS

    def say(self, name: str, *commands: str, text: str = "") -> History:
        """Let a channel tell something, and return the life of it that did."""
        for command in commands:
            self.channels.take(Message(name, command, text or command), self.now_ns)
        return self.life(name)

    def life(self, name: str) -> History:
        found = self.channels.find(name)
        assert found is not None, f"nothing is kept of {name}"
        return found

    def texts(self, name: str) -> list[str]:
        found = self.channels.find(name)
        return [] if found is None else list(found.messages)

    def pass_seconds(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND_NS)
        self.channels.forget_overdue(self.now_ns)

    def names(self) -> set[str]:
        return {history.name for history in self.channels}

    def forgotten(self) -> Mapping[str, int]:
        return {str(why): count for why, count in self.channels.counts().forgotten.items()}


@pytest.fixture
def rig() -> Rig:
    return Rig()


# Histories


def test_messages_are_kept_in_order_before_anybody_asks(rig: Rig) -> None:
    rig.say("job", "DOWNLOADED", "STARTED", "TASK")

    assert rig.texts("job") == ["DOWNLOADED", "STARTED", "TASK"]


def test_channels_have_nothing_to_do_with_each_other(rig: Rig) -> None:
    rig.say("a", "STARTED")
    rig.say("b", "ENDED")

    assert (rig.texts("a"), rig.texts("b")) == (["STARTED"], ["ENDED"])


def test_nothing_is_kept_of_a_channel_that_was_never_heard_of(rig: Rig) -> None:
    assert rig.channels.find("nobody") is None


def test_a_client_gets_everything_once_and_then_waits(rig: Rig) -> None:
    life = rig.say("job", "DOWNLOADED", "STARTED")

    assert life.portion(0, MOST) == ["DOWNLOADED", "STARTED"]
    assert life.portion(2, MOST) is None


def test_two_clients_of_a_channel_are_at_places_of_their_own(rig: Rig) -> None:
    life = rig.say("job", "DOWNLOADED", "STARTED", "ENDED")

    assert (life.portion(0, 2), life.portion(2, 2)) == (["DOWNLOADED", "STARTED"], ["ENDED"])


def test_a_client_gets_at_most_a_portion_at_once(rig: Rig) -> None:
    life = rig.say("job", *["TASK"] * 5)

    assert life.portion(0, 2) == ["TASK", "TASK"]


def test_after_finished_a_client_is_sent_away_when_it_has_heard_everything(rig: Rig) -> None:
    life = rig.say("job", "STARTED", "FINISHED")

    assert life.portion(0, MOST) == ["STARTED", "FINISHED"]
    assert life.portion(2, MOST) is Farewell.FINISHED
    assert Farewell.FINISHED.code == 1000


@pytest.mark.parametrize("command", ["FAILED", "ABORTED", "ENDED", "UPLOADED", "finished", "exit"])
def test_no_other_command_ends_a_stream(rig: Rig, command: str) -> None:
    life = rig.say("job", command)

    assert life.portion(1, MOST) is None


# Forgetting


def test_a_channel_is_forgotten_so_long_after_finished_and_not_before(rig: Rig) -> None:
    rig.say("job", "FINISHED")
    rig.pass_seconds(299.9)
    before = rig.names()
    rig.pass_seconds(0.1)

    assert (before, rig.names()) == ({"job"}, set())
    assert rig.forgotten() == {"finished": 1}


@pytest.mark.parametrize("command", ["STARTED", "FAILED", "ABORTED"])
def test_a_channel_that_does_not_finish_is_forgotten_when_it_was_silent_for_long(
    rig: Rig, command: str
) -> None:
    life = rig.say("job", command)
    rig.pass_seconds(3599.9)
    before = rig.names()
    rig.pass_seconds(0.1)

    assert (before, rig.names()) == ({"job"}, set())
    assert life.portion(1, MOST) is Farewell.SILENT


def test_every_message_lets_a_channel_live_on(rig: Rig) -> None:
    rig.say("old", "STARTED")
    rig.say("job", "STARTED")
    rig.pass_seconds(3000)
    rig.say("old", "TASK")
    rig.pass_seconds(3000)

    assert rig.names() == {"old"}


def test_what_was_told_is_heard_to_its_end_although_the_channel_is_forgotten(rig: Rig) -> None:
    life = rig.say("job", "STARTED", "FINISHED")
    rig.pass_seconds(300)

    assert life.portion(0, MOST) == ["STARTED", "FINISHED"]
    assert life.portion(2, MOST) is Farewell.FINISHED


# Beginning again


def test_a_name_that_comes_again_after_finished_begins_afresh(rig: Rig) -> None:
    rig.say("job", "STARTED", "FINISHED")
    rig.say("job", "DOWNLOADED")

    assert rig.texts("job") == ["DOWNLOADED"]
    assert rig.forgotten() == {"reused": 1}


def test_who_hears_the_old_life_is_sent_away_at_its_end(rig: Rig) -> None:
    old = rig.say("job", "STARTED", "FINISHED")
    rig.say("job", "DOWNLOADED")

    assert old.portion(2, MOST) is Farewell.FINISHED
    assert old.portion(0, MOST) == ["STARTED", "FINISHED"]


def test_the_time_of_the_old_life_does_not_end_the_new_one(rig: Rig) -> None:
    rig.say("job", "FINISHED")
    rig.pass_seconds(299)
    rig.say("job", "DOWNLOADED")
    rig.pass_seconds(301)

    assert rig.texts("job") == ["DOWNLOADED"]


def test_a_second_finished_neither_begins_nor_prolongs_anything(rig: Rig) -> None:
    rig.say("job", "STARTED", "FINISHED")
    rig.pass_seconds(200)
    rig.say("job", "FINISHED")
    before = rig.texts("job")
    rig.pass_seconds(100)

    assert (before, rig.names()) == (["STARTED", "FINISHED"], set())


def test_a_job_that_is_given_to_another_worker_goes_on_in_the_same_history(rig: Rig) -> None:
    rig.say("job", "STARTED", "ABORTED", "DOWNLOADED", "FINISHED")

    assert rig.texts("job") == ["STARTED", "ABORTED", "DOWNLOADED", "FINISHED"]


# Limits


def test_with_too_many_channels_the_one_that_is_silent_for_longest_goes() -> None:
    rig = Rig(most_channels=2)
    life = rig.say("a", "STARTED")
    rig.say("b", "STARTED")
    rig.say("c", "STARTED")

    assert rig.names() == {"b", "c"}
    assert rig.forgotten() == {"too_many": 1}
    assert life.portion(1, MOST) is Farewell.FORGOTTEN


def test_what_has_finished_goes_before_what_is_under_way() -> None:
    rig = Rig(most_channels=2)
    rig.say("running", "STARTED")
    rig.say("finished", "FINISHED")
    rig.say("new", "STARTED")

    assert rig.names() == {"running", "new"}


def test_the_newest_channel_stays_even_when_it_has_just_finished() -> None:
    rig = Rig(most_channels=1)
    rig.say("a", "STARTED")
    rig.say("b", "FINISHED")

    assert rig.names() == {"b"}


def test_of_too_many_messages_the_oldest_are_passed_over_and_counted() -> None:
    rig = Rig(most_messages=2)
    life = rig.say("job", "DOWNLOADED", "STARTED", "ENDED", "FINISHED")

    assert (rig.texts("job"), life.passed_over) == (["ENDED", "FINISHED"], 2)
    assert dict(rig.channels.counts().dropped) == {"too_many": 2}


def test_a_client_that_missed_a_message_is_sent_away_as_too_slow() -> None:
    life = Rig(most_messages=2).say("job", "DOWNLOADED", "STARTED", "ENDED", "UPLOADED")

    assert life.portion(1, MOST) is Farewell.SLOW
    assert life.portion(2, MOST) == ["ENDED", "UPLOADED"]


def test_when_all_is_too_large_the_oldest_channels_go() -> None:
    rig = Rig(most_bytes=10_000)
    for name in "abcdef":
        rig.say(name, "STARTED", text="x" * 1000)

    assert rig.names() == {"d", "e", "f"}
    assert rig.forgotten() == {"too_large": 3}


def test_a_channel_that_is_too_large_alone_loses_its_oldest_messages() -> None:
    rig = Rig(most_bytes=10_000)
    for number in range(20):
        rig.say("job", "TASK", text=f"{number:>1000}")

    assert [int(text) for text in rig.texts("job")] == list(range(13, 20))
    assert dict(rig.channels.counts().dropped) == {"too_large": 13}


def test_a_name_that_no_client_could_say_is_not_kept_but_its_tasks_count() -> None:
    rig = Rig()
    name = "x" * (LONGEST_NAME_BYTES + 1)
    rig.channels.take(Message(name, "TASK", "text", "FAILED"), 0)
    counts = rig.channels.counts()

    assert (rig.names(), dict(counts.dropped)) == (set(), {"name_too_long": 1})
    assert dict(counts.tasks) == {"FAILED": 1}


# Counting


def test_jobs_and_tasks_are_counted_until_somebody_asks(rig: Rig) -> None:
    for state in ("COMPLETED", "COMPLETED", "SKIPPED", "WEIRD", ""):
        rig.channels.take(Message("job", "TASK", "text", state), rig.now_ns)
    rig.say("job", "FAILED", "FINISHED")
    rig.say("other", "FINISHED")
    counts = rig.channels.counts()

    assert dict(counts.tasks) == {"COMPLETED": 2, "SKIPPED": 1, "other": 2}
    assert dict(counts.jobs) == {"failed": 1, "finished": 1}
    assert dict(rig.channels.counts().jobs) == {}


# After a restart


def test_what_was_kept_goes_on_where_it_was(rig: Rig) -> None:
    rig.say("job", "STARTED", "FAILED")
    again = Channels(Limits(), list(rig.channels))
    again.take(Message("job", "FINISHED", "FINISHED"), rig.now_ns)
    life = again.find("job")

    assert life is not None
    assert list(life.messages) == ["STARTED", "FAILED", "FINISHED"]
    assert dict(again.counts().jobs) == {}


def test_deadlines_outlive_a_restart(rig: Rig) -> None:
    rig.say("finished", "FINISHED")
    rig.say("silent", "STARTED")
    again = Channels(Limits(forget_seconds=300, idle_seconds=3600), list(rig.channels))
    again.forget_overdue(rig.now_ns + 300 * SECOND_NS)
    after_300 = {history.name for history in again}
    again.forget_overdue(rig.now_ns + 3600 * SECOND_NS)

    assert (after_300, len(again)) == ({"silent"}, 0)


def test_a_new_life_never_has_the_number_of_another(rig: Rig) -> None:
    rig.say("a", "STARTED")
    kept = list(rig.channels)
    again = Channels(Limits(), kept)
    again.take(Message("b", "STARTED", "text"), rig.now_ns)

    assert len({history.number for history in again}) == 2


def test_limits_that_became_narrower_hold_at_once() -> None:
    rig = Rig()
    for name in "abc":
        rig.say(name, *["TASK"] * 4)
    again = Channels(Limits(most_channels=2, most_messages=3), list(rig.channels))

    assert [(each.name, len(each.messages)) for each in again] == [("b", 3), ("c", 3)]


# Whatever comes

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from("abcde"),
            st.sampled_from(["DOWNLOADED", "TASK", "FAILED", "ABORTED", "FINISHED"]),
            st.integers(1, 3000),
        ),
        st.floats(0, 2000),
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_limits_hold_and_the_weight_is_right_whatever_comes(
    steps: list[tuple[str, str, int] | float],
) -> None:
    rig = Rig(most_channels=3, most_messages=4, most_bytes=12_000)
    for step in steps:
        match step:
            case (str(name), str(command), int(length)):
                rig.channels.take(Message(name, command, "x" * length), rig.now_ns)
            case float(seconds):
                rig.pass_seconds(seconds)
        lives = list(rig.channels)

        assert len(lives) == len(rig.channels) <= 3
        assert all(len(each.messages) <= 4 and each.forgotten is None for each in lives)
        assert rig.channels.weight_bytes == sum(each.weight_bytes for each in lives) <= 12_000


def test_what_is_forgotten_says_why_in_words_that_a_counter_can_have() -> None:
    assert {str(each) for each in Forgotten} == {
        *("finished", "reused", "silent"),
        *("too_many", "too_large"),
    }
