"""What is kept of channels outlives the worker, and a disk that takes nothing stops nobody."""

from __future__ import annotations

import logging
import sqlite3
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.sources.zeromq.channels import archive as archiving
from shipper.sources.zeromq.channels.archive import RETRY_SECONDS, Archive
from shipper.sources.zeromq.channels.channels import Channels
from shipper.sources.zeromq.channels.history import History
from shipper.sources.zeromq.channels.limits import Limits
from shipper.sources.zeromq.channels.messages import Message
from tests.support.clock import FakeClock

LIMITS = Limits(forget_seconds=300, idle_seconds=3600, most_channels=3, most_messages=4)


class Rig:
    """Channels that are kept in a file."""

    def __init__(self, path: Path) -> None:
        self.clock = FakeClock()
        self.path = path
        self.revive()

    def revive(self) -> None:
        """Begin anew with what is in the file, as after a kill: nothing is closed in good order."""
        self.archive = Archive(self.path, clock=self.clock, log=logging.getLogger("test.archive"))
        self.channels = Channels(LIMITS, self.archive.open())

    def say(self, name: str, *commands: str) -> None:
        self.clock.pass_seconds(1)
        for command in commands:
            self.channels.take(Message(name, command, f"{command} of {name}"), self.clock.now_ns())
        self.keep()

    def pass_seconds(self, seconds: float) -> None:
        self.clock.pass_seconds(seconds)
        self.channels.forget_overdue(self.clock.now_ns())
        self.keep()

    def keep(self) -> None:
        self.archive.keep(self.channels.changes(), lambda: self.channels)


def shown(channels: Channels) -> set[tuple[object, ...]]:
    """Return all there is to know of all lives."""
    return {
        (
            *(each.number, each.name, each.last_ns, tuple(each.messages)),
            *(each.passed_over, each.weight_bytes, each.is_over, each.outcome),
        )
        for each in channels
    }


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path / "channels" / "recodex.db")
    yield rig
    rig.archive.close()


def test_histories_are_there_again_in_their_order(rig: Rig) -> None:
    rig.say("job", "DOWNLOADED", "STARTED")
    rig.say("other", "FAILED")
    rig.say("job", "ENDED")
    rig.revive()

    assert [(each.name, list(each.messages)) for each in rig.channels] == [
        ("other", ["FAILED of other"]),
        ("job", ["DOWNLOADED of job", "STARTED of job", "ENDED of job"]),
    ]


def test_any_name_and_any_text_comes_back_as_it_was(rig: Rig) -> None:
    rig.channels.take(Message('ř"\0; --', "TASK", '{"a": "\\u0000"}'), 1)
    rig.keep()
    rig.revive()

    assert [(each.name, list(each.messages)) for each in rig.channels] == [
        ('ř"\0; --', ['{"a": "\\u0000"}'])
    ]


def test_what_was_forgotten_does_not_come_back(rig: Rig) -> None:
    rig.say("job", "FINISHED")
    rig.pass_seconds(300)
    rig.revive()

    assert len(rig.channels) == 0


def test_the_old_life_of_a_name_does_not_come_back(rig: Rig) -> None:
    rig.say("job", "STARTED", "FINISHED")
    rig.say("job", "DOWNLOADED")
    rig.revive()

    assert [list(each.messages) for each in rig.channels] == [["DOWNLOADED of job"]]


def test_others_cannot_read_the_file(rig: Rig) -> None:
    rig.say("job", "STARTED")

    assert {each.stat().st_mode & 0o077 for each in rig.path.parent.iterdir()} == {0}
    assert rig.path.parent.stat().st_mode & 0o077 == 0


@settings(deadline=None, max_examples=50)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from("abcde"), st.sampled_from(["TASK", "FAILED", "ABORTED", "FINISHED"])
            ),
            st.sampled_from([1.0, 299.0, 301.0, 4000.0]),
            st.just("kill"),
        ),
        max_size=30,
    )
)
def test_file_and_memory_are_the_same_whatever_comes(
    steps: list[tuple[str, str] | float | str],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder) / "recodex.db")
        for step in steps:
            match step:
                case (name, command):
                    rig.say(name, command)
                case float():
                    rig.pass_seconds(step)
                case _:
                    before = shown(rig.channels)
                    rig.archive.close()
                    rig.revive()

                    assert shown(rig.channels) == before
        rig.archive.close()


def test_a_disk_that_takes_nothing_stops_nobody_and_is_told_once(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking = Breaking(monkeypatch)
    breaking.begin()
    rig.say("job", "DOWNLOADED")
    rig.clock.pass_seconds(RETRY_SECONDS)
    rig.say("job", "STARTED")

    assert [list(each.messages) for each in rig.channels] == [
        ["DOWNLOADED of job", "STARTED of job"]
    ]
    assert len(caplog.messages) == 1
    assert "database or disk is full. The channels are in memory alone" in caplog.messages[0]


def test_when_the_disk_takes_something_again_everything_is_written(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking = Breaking(monkeypatch)
    rig.say("before", "STARTED")
    breaking.begin()
    rig.say("job", "DOWNLOADED")
    breaking.end()
    rig.say("job", "STARTED")
    too_soon = len(Archive(rig.path, clock=rig.clock, log=logging.getLogger("test")).open())
    rig.clock.pass_seconds(RETRY_SECONDS)
    rig.say("job", "ENDED")
    rig.revive()

    assert too_soon == 1
    assert {each.name: len(each.messages) for each in rig.channels} == {"before": 1, "job": 3}


class Breaking:
    """Lets writing fail as a full disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._write: Callable[..., None] = archiving._write

    def begin(self) -> None:
        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        self._monkeypatch.setattr(archiving, "_write", full)

    def end(self) -> None:
        self._monkeypatch.setattr(archiving, "_write", self._write)


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_damaged_is_set_aside_and_a_new_one_begun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = tmp_path / "recodex.db"
    path.write_bytes(content)
    rig = Rig(path)
    rig.say("job", "STARTED")
    rig.archive.close()
    rig.revive()
    rig.archive.close()

    assert path.with_suffix(".damaged").read_bytes() == content
    assert len(rig.channels) == 1
    assert any("set aside" in message for message in caplog.messages)


def test_a_word_that_is_no_outcome_is_damage_too(rig: Rig) -> None:
    rig.say("job", "STARTED")
    rig.archive.close()
    with sqlite3.connect(rig.path) as connection:
        connection.execute("UPDATE channels SET outcome = 'nonsense'")
    connection.close()
    rig.revive()

    assert (len(rig.channels), rig.path.with_suffix(".damaged").exists()) == (0, True)


def test_a_file_of_a_later_version_is_left_alone(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.say("job", "STARTED")
    rig.archive.close()
    with sqlite3.connect(rig.path) as connection:
        connection.execute("PRAGMA user_version=2")
    connection.close()
    before = rig.path.read_bytes()
    rig.revive()
    rig.clock.pass_seconds(RETRY_SECONDS)
    rig.say("new", "STARTED")

    assert rig.path.read_bytes() == before
    assert "written by a later version" in caplog.messages[0]


def test_a_folder_that_cannot_be_made_is_no_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    rig = Rig(tmp_path / "file" / "recodex.db")
    rig.say("job", "STARTED")

    assert len(rig.channels) == 1


def test_closing_twice_is_safe(rig: Rig) -> None:
    rig.archive.close()
    rig.archive.close()


def test_a_history_weighs_what_its_messages_weigh() -> None:
    grown = History(1, "job")
    grown.add("text")

    assert History(1, "job", messages=deque(["text"])).weight_bytes == grown.weight_bytes
