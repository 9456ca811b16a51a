"""What becomes of lines that a sink refused."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import pytest

from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.pipeline.refusals import TOLD_AGAIN_SECONDS, UNWRITTEN_LINES, Refusals, TooOld
from shipper.telemetry import families
from shipper.telemetry.tally import Tally
from tests.support.clock import FakeClock
from tests.support.letterbox import FakeLetterbox
from tests.support.tally import counted

LOG = logging.getLogger("test.refusals")
STREAM = Stream({"job": "m"}, [10**18, 10**18 + 5], [b"one", b"two"], [{"k": "v"}, {}])
OLD = Rejection(0, "too_old", "entry too old.")
BAD = Rejection(1, "line_too_long", "line too long")


@dataclass
class Rig:
    """Refusals with a letterbox in the test's hands."""

    too_old: TooOld = "dead_letter"
    letterbox: FakeLetterbox = field(default_factory=FakeLetterbox)
    tally: Tally = field(default_factory=Tally)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.refusals = Refusals(
            metric="m",
            sink="loki",
            tally=self.tally,
            log=LOG,
            clock=self.clock,
            too_old=self.too_old,
            letterbox=self.letterbox,
        )

    def take(self, *rejections: Rejection, again: bool = False) -> Stream | None:
        return self.refusals.take(STREAM, rejections, again=again)

    def count(self, family: families.Family, *values: str) -> float:
        return counted(self.tally, family, "m", *values)


def test_refused_lines_are_counted_by_reason_and_kept() -> None:
    rig = Rig()
    again = rig.take(OLD, BAD)

    assert again is None
    assert rig.letterbox.kept == [(b"one", "too_old"), (b"two", "line_too_long")]
    assert rig.count(families.LINES_REJECTED, "loki", "too_old") == 1
    assert rig.count(families.DEAD_LETTERS, "loki") == 2


def test_late_lines_can_be_given_the_present_time() -> None:
    rig = Rig("restamp")
    again = rig.take(OLD, BAD)

    assert again == Stream(
        {"job": "m"},
        range(rig.clock.ns, rig.clock.ns + 1),
        [b"one"],
        [{"k": "v", "original_time": "2001-09-09T01:46:40.000000000Z"}],
    )
    assert rig.letterbox.kept == [(b"two", "line_too_long")]
    assert rig.count(families.LINES_REJECTED) == 1


def test_a_line_gets_another_time_only_once() -> None:
    rig = Rig("restamp")

    assert rig.take(OLD, again=True) is None
    assert rig.letterbox.kept == [(b"one", "too_old")]


def test_late_lines_can_be_dropped_and_are_counted_all_the_same() -> None:
    rig = Rig("drop")
    rig.take(OLD, BAD)

    assert rig.letterbox.kept == [(b"two", "line_too_long")]
    assert rig.count(families.LINES_REJECTED, "loki", "too_old") == 1


def test_what_the_disk_does_not_take_is_kept_in_order_once_it_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig(letterbox=FakeLetterbox(usable=False))
    rig.take(OLD)
    rig.take(BAD)
    rig.letterbox.usable = True
    rig.refusals.write_waiting()

    assert rig.letterbox.kept == [(b"one", "too_old"), (b"two", "line_too_long")]
    assert [line for line in caplog.messages if line.startswith("Dead letters")] == [
        "Dead letters cannot be written: No space left on device. They wait in memory."
    ]


def test_more_than_fits_into_memory_is_counted_as_lost() -> None:
    rig = Rig(letterbox=FakeLetterbox(usable=False))
    for _ in range(UNWRITTEN_LINES + 3):
        rig.take(BAD)

    assert rig.count(families.DEAD_LETTERS_LOST, "disk") == 3


def test_what_the_disk_did_not_take_until_the_end_is_counted_as_lost() -> None:
    rig = Rig(letterbox=FakeLetterbox(usable=False))
    rig.take(OLD, BAD)
    rig.refusals.give_up_waiting()

    assert rig.count(families.DEAD_LETTERS_LOST, "disk") == 2


def test_what_finds_no_room_is_counted_as_lost(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(letterbox=FakeLetterbox(room=1))
    rig.take(OLD, BAD)

    assert rig.count(families.DEAD_LETTERS, "loki") == 1
    assert rig.count(families.DEAD_LETTERS_LOST, "full") == 1
    assert "1 dead letters are lost: there is no room for them any more." in caplog.messages


def test_the_same_reason_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.take(OLD)
    rig.take(OLD)
    rig.take(BAD)
    rig.clock.pass_seconds(TOLD_AGAIN_SECONDS)
    rig.take(OLD)

    assert caplog.messages == [
        "loki refused 1 of 2 lines for good: too_old: entry too old",
        "loki refused 1 of 2 lines for good: line_too_long: line too long",
        "loki refused 1 of 2 lines for good: too_old: entry too old",
    ]
