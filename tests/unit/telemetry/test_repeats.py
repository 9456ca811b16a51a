"""Lines that repeat themselves: the first at once, sums later, and nothing that is different is lost."""

from __future__ import annotations

import logging
from collections import Counter
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from shipper.telemetry.log.repeats import SUMMED_UP_SECONDS, Repeats, repeats_of


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def told(self) -> list[tuple[str, int]]:
        return [(each.getMessage(), times(each)) for each in self.records]


class Rig:
    def __init__(self) -> None:
        self.kept = Kept()
        self.now_seconds = 1000.0
        self.repeats = Repeats([self.kept], monotonic_seconds=lambda: self.now_seconds)

    def say(
        self,
        template: str,
        fields: dict[str, object] | None = None,
        *,
        metric: str = "m",
        level: int = logging.WARNING,
    ) -> None:
        arguments = (fields,) if fields else ()
        self.repeats.handle(
            logging.LogRecord(f"shipper.{metric}", level, "x.py", 1, template, arguments, None)
        )

    def later(self, seconds: float) -> None:
        self.now_seconds += seconds
        self.repeats.tell_due()


def times(record: logging.LogRecord) -> int:
    repeats = repeats_of(record)
    return 1 if repeats is None else repeats.count


def test_the_first_is_written_at_once_and_the_rest_as_a_sum_after_a_minute() -> None:
    rig = Rig()
    for _ in range(58):
        rig.say("Trouble.")
    before = rig.kept.told()
    rig.later(SUMMED_UP_SECONDS)

    assert before == [("Trouble.", 1)]
    assert rig.kept.told() == [("Trouble.", 1), ("Trouble.", 57)]


def test_a_sum_comes_with_the_next_line_of_anybody_when_it_is_due() -> None:
    rig = Rig()
    rig.say("Trouble.")
    rig.say("Trouble.")
    rig.now_seconds += SUMMED_UP_SECONDS
    rig.say("Other.")

    assert rig.kept.told() == [("Trouble.", 1), ("Trouble.", 1), ("Other.", 1)]


def test_what_was_summed_up_is_not_news_for_another_minute() -> None:
    rig = Rig()
    rig.say("Trouble.")
    rig.say("Trouble.")
    rig.later(SUMMED_UP_SECONDS)
    rig.say("Trouble.")
    rig.later(SUMMED_UP_SECONDS - 1)

    assert rig.kept.told() == [("Trouble.", 1), ("Trouble.", 1)]


def test_after_a_quiet_minute_it_is_news_again() -> None:
    rig = Rig()
    rig.say("Trouble.")
    rig.later(SUMMED_UP_SECONDS)
    rig.say("Trouble.")

    assert rig.kept.told() == [("Trouble.", 1), ("Trouble.", 1)]


def test_a_number_that_differs_makes_no_other_event_but_a_text_does() -> None:
    rig = Rig()
    rig.say("%(error)s after %(seconds)d s", {"error": "refused", "seconds": 1})
    rig.say("%(error)s after %(seconds)d s", {"error": "refused", "seconds": 2})
    rig.say("%(error)s after %(seconds)d s", {"error": "answered 503", "seconds": 3})

    assert [text for text, _ in rig.kept.told()] == ["refused after 1 s", "answered 503 after 3 s"]


def test_metrics_and_levels_are_told_apart() -> None:
    rig = Rig()
    rig.say("Trouble.")
    rig.say("Trouble.", metric="other")
    rig.say("Trouble.", level=logging.ERROR)

    assert len(rig.kept.records) == 3


def test_debug_lines_are_never_summed_up() -> None:
    rig = Rig()
    for _ in range(3):
        rig.say("Polled.", level=logging.DEBUG)

    assert len(rig.kept.records) == 3


def test_the_supervisor_answers_every_signal() -> None:
    rig = Rig()
    for _ in range(2):
        rig.repeats.handle(
            logging.LogRecord(
                "shipper", logging.ERROR, "x.py", 1, "Nothing was reloaded.", (), None
            )
        )

    assert len(rig.kept.records) == 2


def test_of_more_events_than_are_remembered_none_is_lost() -> None:
    rig = Rig()
    for number in range(2500):
        rig.say(f"Trouble {number}.")
        rig.say(f"Trouble {number}.")
    rig.repeats.flush()

    assert Counter(dict_sum(rig)) == Counter({f"Trouble {number}.": 2 for number in range(2500)})


SAID = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.floats(0, 40)), max_size=60
)


@given(SAID)
def test_the_first_is_told_at_once_and_the_sums_add_up(said: list[tuple[str, str, float]]) -> None:
    rig, numbers, spoken = Rig(), count(), Counter[str]()
    for template, error, seconds in said:
        text = f"{template} {error}"
        rig.say(f"{template} %(error)s", {"error": error, "number": next(numbers)})
        spoken[text] += 1
        if spoken[text] == 1:
            assert rig.kept.told()[-1] == (text, 1)
        assert all(
            rig.now_seconds - told.since_seconds <= SUMMED_UP_SECONDS
            for told in rig.repeats._told.values()
        )
        rig.later(seconds)
    rig.repeats.flush()

    assert dict_sum(rig) == spoken


def dict_sum(rig: Rig) -> Counter[str]:
    """Return how often each message was said, as the log tells it."""
    sums = Counter[str]()
    for text, number in rig.kept.told():
        sums[text] += number
    return sums
