"""The loop of one worker, with a clock and a source that the test owns."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import pytest

from shipper.core.errors import ReadRefused, SourceRefused, SourceTimeout, SourceUnavailable
from shipper.core.record import Batch, Cursor, Measured, RefusedInput, Row
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.custody import Custody
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing, FilingRules
from shipper.pipeline.inputs import Inputs
from shipper.pipeline.outlet import Outlet
from shipper.pipeline.pump import KILLED_FIRST_SECONDS, MOST_AHEAD_BYTES, Pump
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.reader import Reader
from shipper.pipeline.refusals import Refusals
from shipper.pipeline.schedule import Schedule, Tick
from shipper.pipeline.spool import Shelf, Spool
from shipper.telemetry import families
from shipper.telemetry.log import followed
from shipper.telemetry.tally import Tally
from tests.support.clock import FakeClock, FakeRandom, StopAt
from tests.support.letterbox import FakeLetterbox
from tests.support.sink import FakeSink
from tests.support.source import FakePulse, FakeSource
from tests.support.tally import counted, observed

START_SECONDS = 1000.0
GONE = SourceUnavailable("the server hung up")
LOG = logging.getLogger("test.pump")


class Rig:
    """A pump whose every neighbour is a fake; its delivery is never started, so the queue keeps what it gets."""

    def __init__(
        self,
        *answers: Any,
        every_seconds: float = 10,
        until_seconds: float = 0,
        shipped: bool = True,
        max_bytes: int = 10**6,
        folder: Path | None = None,
        spool_max_bytes: int = 10**6,
        waits_when_full: bool = False,
        cursor: Cursor | None = None,
        waits: bool = False,
        keep_after_seconds: float = 0,
        **source: Any,
    ) -> None:
        self.clock = FakeClock(START_SECONDS)
        self.source = FakeSource(list(answers), **source)
        self.pulse = FakePulse()
        self.tally = Tally()
        self.seen: list[list[Row]] = []
        self.reports = 0
        self.checkpoints: list[Cursor] = []
        self.letterbox = FakeLetterbox()
        shelf = None
        if folder is not None:
            spool = Spool(folder / "m.db", clock=self.clock, log=LOG, damaged=lambda _lines: None)
            shelf = Shelf(spool, "fake", max_bytes=spool_max_bytes)
        self.delivery = Delivery(
            metric="m",
            sink=FakeSink(),
            queue=DeliveryQueue(
                max_bytes=max_bytes,
                batch_bytes=10**5,
                clock=self.clock,
                shelf=shelf,
                drops_oldest=not waits_when_full,
            ),
            pace=OwnPace(backoff=Backoff(), clock=self.clock, random=Random(1)),
            refusals=Refusals(metric="m", sink="fake", tally=self.tally, log=LOG, clock=self.clock),
            tally=self.tally,
            log=LOG,
            clock=self.clock,
            settled=lambda: None,
            random=Random(1),
        )
        refusals = Refusals(
            metric="m",
            sink="source",
            tally=self.tally,
            log=LOG,
            clock=self.clock,
            letterbox=self.letterbox,
        )
        filing = Filing(FilingRules({"job": "m"}), lambda _name: None)
        self.pump = Pump(
            metric="m",
            reader=Reader(
                metric="m",
                source=self.source,
                tally=self.tally,
                pulse=self.pulse,
                log=LOG,
                clock=self.clock,
                random=FakeRandom(1.0),
                waits=waits,
                backoff=Backoff(4, 60),
            ),
            schedule=Schedule(START_SECONDS, every_seconds),
            timeout_seconds=30,
            custody=Custody(
                metric="m",
                outlets=[Outlet([self.delivery], filing)] if shipped else [],
                inputs=Inputs(refusals, {"job": "m"}),
                tally=self.tally,
                clock=self.clock,
                cursor=cursor,
            ),
            observe=lambda batch: self.seen.append(list(batch.rows) if batch else []),
            tally=self.tally,
            report=self._report,
            log=LOG,
            clock=self.clock,
            stop=StopAt(self.clock, START_SECONDS + until_seconds),
            waits_when_full=waits_when_full,
            checkpoint=self.checkpoints.append,
            keep_after_seconds=keep_after_seconds,
        )

    def turns(self, count: int) -> None:
        for _ in range(count):
            self.pump.turn(Tick(self.clock.seconds))

    def count(self, family: families.Family, *values: str) -> float:
        return counted(self.tally, family, "m", *values)

    def settle(self) -> None:
        self.delivery.queue.take()
        self.delivery.queue.settle()

    def waiting(self) -> int:
        return self.delivery.queue.depth().lines

    def _report(self) -> None:
        self.reports += 1


def batch(*values: int, cursor: Cursor | None = None) -> Batch:
    return Batch([{"n": value} for value in values], 1, cursor)


def test_the_rows_of_a_poll_are_queued_and_counted() -> None:
    rig = Rig(batch(1, 2, 3))
    rig.turns(1)

    assert rig.waiting() == 3
    assert rig.count(families.ROWS) == 3
    assert rig.count(families.POLLS, "ok") == 1
    assert rig.seen == [[{"n": 1}, {"n": 2}, {"n": 3}]]


def test_an_empty_poll_sends_nothing_and_the_rows_do_not_move() -> None:
    rig = Rig(batch())
    rig.turns(1)

    assert rig.waiting() == 0
    assert families.ROWS.name not in rig.tally.snapshot()
    assert rig.count(families.POLLS, "ok") == 1
    assert rig.seen == [[]]


def test_a_metric_that_is_not_shipped_is_polled_all_the_same() -> None:
    rig = Rig(batch(1), shipped=False)
    rig.turns(1)

    assert rig.count(families.ROWS) == 1
    assert rig.seen == [[{"n": 1}]]


def test_a_poll_is_reported_unless_a_sink_reports_what_it_took() -> None:
    rig = Rig(batch(), batch(1))
    rig.turns(1)
    after_nothing = rig.reports
    rig.pump.keep_after_seconds = 10
    rig.delivery.start()
    rig.turns(1)

    assert (after_nothing, rig.reports) == (1, 1)
    rig.delivery.finish(10)


def test_the_source_is_opened_once() -> None:
    rig = Rig(batch(1), batch(2))
    rig.turns(2)

    assert rig.source.opened == 1
    assert rig.count(families.RECONNECTS) == 0


def test_the_source_gives_up_a_little_later_than_the_supervisor() -> None:
    rig = Rig()
    rig.turns(1)

    assert rig.source.timeouts_seconds == [30 + KILLED_FIRST_SECONDS]


def test_polls_and_their_lateness_are_timed() -> None:
    rig = Rig()
    rig.source.reading = lambda: rig.clock.pass_seconds(3)
    rig.pump.turn(Tick(START_SECONDS - 0.5))

    assert observed(rig.tally, families.POLL_SECONDS, "m") == (1, 3)
    assert observed(rig.tally, families.POLL_LATENESS, "m") == (1, 0.5)


def test_the_moment_of_the_last_success_is_shown() -> None:
    rig = Rig()
    rig.turns(1)

    assert rig.count(families.LAST_SUCCESS) == 1_700_000_000


def test_the_pulse_tells_when_it_polls() -> None:
    rig = Rig(batch(1), GONE)
    rig.turns(2)

    assert rig.pulse.signs == ["began", "ended", "began", "ended"]


def test_a_refused_read_keeps_the_connection() -> None:
    rig = Rig(ReadRefused("permission denied"), batch(1))
    rig.turns(2)

    assert (rig.source.opened, rig.source.closed) == (1, 0)
    assert rig.count(families.POLLS, "error") == 1
    assert rig.count(families.POLLS, "ok") == 1


@pytest.mark.parametrize(
    ("error", "result"), [(GONE, "error"), (SourceTimeout("too slow"), "timeout")]
)
def test_a_lost_connection_is_closed_and_counted(error: SourceUnavailable, result: str) -> None:
    rig = Rig(error)
    rig.turns(1)

    assert rig.source.closed == 1
    assert rig.count(families.POLLS, result) == 1
    assert rig.count(families.POLLS) == 1


def test_after_a_lost_connection_the_source_is_opened_again_and_that_is_counted() -> None:
    rig = Rig(batch(1), GONE, batch(2))
    rig.turns(3)

    assert rig.source.opened == 2
    assert rig.count(families.RECONNECTS) == 1
    assert rig.waiting() == 2


def test_a_source_that_cannot_be_opened_is_not_read() -> None:
    rig = Rig(batch(1), open_errors=[GONE, GONE])
    rig.turns(3)

    assert (rig.source.opened, len(rig.source.timeouts_seconds)) == (3, 1)
    assert rig.count(families.POLLS, "error") == 2
    assert rig.count(families.RECONNECTS) == 2


def test_a_source_that_can_never_work_ends_the_loop() -> None:
    rig = Rig(open_errors=[SourceRefused("no driver")])

    with pytest.raises(SourceRefused, match="no driver"):
        rig.turns(1)
    assert rig.pulse.signs == ["began", "ended"]


def test_the_same_trouble_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rig = Rig(GONE, GONE, GONE, batch())
    rig.turns(4)

    assert caplog.messages == [
        "The poll failed: the server hung up.",
        "Polls succeed again after 3 failures.",
    ]


def test_another_trouble_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(GONE, ReadRefused("permission denied."))
    rig.turns(2)

    assert caplog.messages == [
        "The poll failed: the server hung up.",
        "The poll failed: permission denied.",
    ]


def test_every_poll_has_a_name_of_its_own() -> None:
    named: list[str] = []
    rig = Rig(batch(1), GONE, batch(1))
    rig.pump.report = lambda: named.append(followed())
    rig.turns(3)
    start = f"{rig.pump.metric}-{rig.pump.reader.incarnation}"

    assert list(dict.fromkeys(named)) == [f"{start}.1", f"{start}.2", f"{start}.3"]


def test_the_state_shows_what_the_last_poll_came_to() -> None:
    rig = Rig(batch(1, 2), GONE)
    rig.turns(1)
    after_success = (
        rig.pump.reader.state.result,
        rig.pump.reader.state.rows,
        rig.pump.reader.state.error,
    )
    rig.turns(1)
    after_failure = (
        rig.pump.reader.state.result,
        rig.pump.reader.state.rows,
        rig.pump.reader.state.error,
    )

    assert after_success == ("ok", 2, "")
    assert after_failure == ("error", 0, "the server hung up")
    assert rig.pump.reader.state.ended_ns == rig.clock.ns
    assert rig.pump.reader.state.next_seconds == START_SECONDS + 10


def test_lines_that_had_no_room_are_counted_as_dropped() -> None:
    rig = Rig(batch(1), batch(2), batch(3), max_bytes=40)
    rig.turns(3)

    assert rig.count(families.LINES_DROPPED, "spool_full") == 2


def test_a_cursor_is_acknowledged_only_when_its_lines_are_settled() -> None:
    rig = Rig(batch(1, cursor=("one",)), batch(cursor=None))
    rig.turns(2)
    before = list(rig.source.acknowledged)
    rig.settle()
    rig.turns(1)

    assert before == []
    assert rig.source.acknowledged == [("one",)]


def test_of_several_cursors_only_the_last_is_acknowledged() -> None:
    rig = Rig(batch(1, cursor=("one",)), batch(2, cursor=("two",)))
    rig.turns(2)
    rig.settle()
    rig.turns(1)

    assert rig.source.acknowledged == [("two",)]


def test_a_cursor_is_acknowledged_and_made_durable_once_its_lines_are_on_disk(
    tmp_path: Path,
) -> None:
    rig = Rig(batch(1, cursor=("one",)), folder=tmp_path)
    rig.turns(1)

    assert rig.waiting() == 1
    assert rig.source.acknowledged == [("one",)]
    assert rig.checkpoints == [("one",)]


def test_a_cursor_that_did_not_move_is_neither_acknowledged_nor_written_again() -> None:
    rig = Rig(*(batch(cursor=("one",)) for _ in range(3)))
    rig.turns(3)

    assert rig.source.acknowledged == rig.checkpoints == [("one",)]


def test_no_line_is_in_memory_alone_when_the_source_is_read_again(tmp_path: Path) -> None:
    rig = Rig(*(batch(value) for value in range(5)), folder=tmp_path)
    in_memory: list[int] = []
    rig.source.reading = lambda: in_memory.append(rig.delivery.queue.depth().memory_lines)
    rig.turns(5)

    assert in_memory == [0] * 5


def test_the_source_goes_on_where_the_last_run_ended() -> None:
    rig = Rig(cursor=(17, "b"))
    rig.turns(1)

    assert rig.source.opened_at == [(17, "b")]


def test_after_a_lost_connection_the_source_goes_on_behind_what_it_gave() -> None:
    rig = Rig(batch(1, cursor=("one",)), GONE, cursor=("zero",))
    rig.turns(3)

    assert rig.source.opened_at == [("zero",), ("one",)]


def test_a_source_that_can_wait_is_not_read_while_there_is_no_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(batch(1), batch(2), folder=tmp_path, spool_max_bytes=1, waits_when_full=True)
    rig.turns(3)
    waited = (rig.waiting(), rig.pump.reader.state.result)
    rig.settle()
    rig.turns(1)

    assert waited == (1, "waiting")
    assert rig.count(families.ROWS) == 2
    assert rig.count(families.LINES_DROPPED) == 0
    assert caplog.messages == ["The spool is full; the source is not read until there is room."]


def test_a_cursor_without_rows_waits_for_the_lines_before_it() -> None:
    rig = Rig(batch(1, cursor=("one",)), batch(cursor=("two",)))
    rig.turns(2)
    before = list(rig.source.acknowledged)
    rig.settle()
    rig.turns(1)

    assert before == []
    assert rig.source.acknowledged == [("two",)]


def test_a_cursor_of_a_metric_that_is_not_shipped_is_acknowledged_at_once() -> None:
    rig = Rig(batch(1, cursor=("one",)), shipped=False)
    rig.turns(1)

    assert rig.source.acknowledged == [("one",)]


def test_a_batch_without_a_cursor_is_never_acknowledged() -> None:
    rig = Rig(batch(1))
    rig.turns(1)
    rig.settle()
    rig.turns(1)

    assert rig.source.acknowledged == []


def test_a_connection_lost_while_acknowledging_is_opened_again() -> None:
    rig = Rig(batch(cursor=("one",)), batch(cursor=("two",)), acknowledge_errors=[GONE])
    rig.turns(2)

    assert (rig.source.opened, rig.source.closed) == (2, 1)
    assert rig.count(families.POLLS, "error") == 1
    assert rig.source.acknowledged == [("two",)]


def test_the_loop_polls_at_every_tick() -> None:
    rig = Rig(every_seconds=10, until_seconds=35)
    rig.pump.run()

    assert rig.count(families.POLLS, "ok") == 4
    assert rig.count(families.MISSED_POLLS) == 0


def test_ticks_missed_by_a_poll_that_overran_are_counted() -> None:
    rig = Rig(every_seconds=10, until_seconds=45)
    slow = iter([25.0])
    rig.source.reading = lambda: rig.clock.pass_seconds(next(slow, 0.0))
    rig.pump.run()

    assert rig.count(families.POLLS, "ok") == 3
    assert rig.count(families.MISSED_POLLS) == 2


def test_after_a_lost_connection_the_next_poll_waits_for_the_back_off() -> None:
    rig = Rig(batch(), GONE, every_seconds=1, until_seconds=8.5)
    polled: list[float] = []
    rig.source.reading = lambda: polled.append(rig.clock.seconds - START_SECONDS)
    rig.pump.run()

    assert polled == [0, 1, 5, 6, 7, 8]
    assert rig.count(families.MISSED_POLLS) == 3


def test_back_offs_grow_while_the_far_end_stays_away() -> None:
    rig = Rig(every_seconds=1, until_seconds=30, open_errors=[GONE] * 9)
    opened: list[float] = []
    source_open = rig.source.open

    def opening(cursor: Cursor | None = None) -> None:
        opened.append(rig.clock.seconds - START_SECONDS)
        source_open(cursor)

    rig.source.open = opening  # type: ignore[method-assign]  # to see when
    rig.pump.run()

    assert opened == [0, 4, 12, 28]


def test_a_refused_read_is_asked_again_at_the_next_tick() -> None:
    rig = Rig(ReadRefused("no"), every_seconds=1, until_seconds=1.5)
    rig.pump.run()

    assert rig.count(families.POLLS) == 2
    assert rig.count(families.MISSED_POLLS) == 0


def test_the_loop_beats_and_reports_while_it_waits_for_a_far_tick() -> None:
    rig = Rig(every_seconds=3600, until_seconds=60)
    rig.pump.run()

    assert rig.pulse.signs.count("beat") >= 12
    assert rig.reports >= 11


def test_what_is_settled_while_it_waits_is_acknowledged_before_the_next_tick() -> None:
    rig = Rig(batch(1, cursor=("one",)), every_seconds=3600, until_seconds=60)
    report = rig.pump.report

    def settle_and_report() -> None:
        if rig.waiting():
            rig.settle()
        report()

    rig.pump.report = settle_and_report
    rig.pump.run()

    assert rig.source.acknowledged == [("one",)]


def test_a_worker_that_was_started_again_waits_for_its_next_tick() -> None:
    rig = Rig(every_seconds=100, until_seconds=150)
    polled: list[float] = []
    rig.source.reading = lambda: polled.append(rig.clock.seconds - START_SECONDS)
    rig.clock.pass_seconds(30)
    rig.pump.run()

    assert polled == [100]
    assert rig.count(families.MISSED_POLLS) == 0


def test_a_fault_of_a_delivery_ends_the_worker() -> None:
    rig = Rig(until_seconds=1000)
    rig.delivery.fault = RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        rig.pump.run()


def test_a_loop_that_is_stopped_before_it_began_polls_nothing() -> None:
    rig = Rig()
    stop = Event()
    stop.set()
    rig.pump.stop = stop
    rig.pump.run()

    assert rig.pulse.signs == []


def test_what_was_delivered_after_the_last_poll_is_acknowledged_before_the_source_is_closed() -> (
    None
):
    rig = Rig(batch(1, cursor=("one",)))
    rig.turns(1)
    rig.settle()
    rig.pump.close()

    assert rig.source.acknowledged == [("one",)]
    assert rig.source.closed == 1


class WaitingRig(Rig):
    """A pump of a source that waits for what comes, with a spool."""

    def __init__(self, folder: Path, *answers: Any, **more: Any) -> None:
        settings = {"waits": True, "keep_after_seconds": 0.2, "folder": folder, **more}
        super().__init__(*answers, **settings)

    def read_on(self) -> None:
        self.pump.turn(Tick(self.clock.seconds, reads_on=True))


def test_a_source_that_waits_is_read_again_at_once_and_nothing_is_late_or_missed(
    tmp_path: Path,
) -> None:
    rig = WaitingRig(tmp_path, batch(1), batch(2), batch(3))
    rig.source.reading = lambda: (
        rig.clock.pass_seconds(30) if len(rig.source.answers) == 0 else None
    )
    rig.pump.stop = StopAt(rig.clock, START_SECONDS + 1)
    rig.pump.run()

    assert rig.count(families.ROWS) == 3
    assert families.MISSED_POLLS.name not in rig.tally.snapshot()
    assert observed(rig.tally, families.POLL_LATENESS, "m") == (1, 0)


def test_a_source_that_waits_is_asked_to_wait_a_second_at_most(tmp_path: Path) -> None:
    rig = WaitingRig(tmp_path, batch())
    rig.read_on()

    assert rig.source.timeouts_seconds == [1.0]


def test_a_read_that_waits_is_short_while_something_is_not_safe(tmp_path: Path) -> None:
    rig = WaitingRig(tmp_path, batch(1), batch())
    rig.read_on()
    rig.read_on()

    assert rig.source.timeouts_seconds == [1.0, 0.2]


def test_what_a_waiting_source_gave_goes_to_the_disk_when_no_sink_takes_it_soon(
    tmp_path: Path,
) -> None:
    rig = WaitingRig(tmp_path, batch(1), batch(2))
    rig.read_on()
    in_memory_at_first = rig.delivery.queue.depth().memory_lines
    rig.clock.pass_seconds(0.25)
    rig.read_on()

    assert in_memory_at_first == 1
    assert rig.delivery.queue.depth().memory_lines == 0
    assert rig.waiting() == 2


def test_each_read_is_acknowledged_when_it_is_safe_and_not_with_the_ones_behind_it(
    tmp_path: Path,
) -> None:
    rig = WaitingRig(tmp_path, batch(1, cursor=(1,)), batch(2, cursor=(2,)), batch())
    rig.read_on()
    rig.delivery.queue.take()
    rig.read_on()
    rig.delivery.queue.settle()
    rig.read_on()

    assert rig.source.acknowledged == [(1,)]


def test_a_full_spool_does_not_make_a_waiting_source_spin(tmp_path: Path) -> None:
    rig = WaitingRig(tmp_path, batch(1), waits_when_full=True, spool_max_bytes=1)
    rig.read_on()
    rig.clock.pass_seconds(0.25)
    rig.pump.custody.keep()
    rig.read_on()

    assert rig.pump.reader.state.result == "waiting"
    assert rig.pump._next(Tick(START_SECONDS)).due_seconds == rig.clock.seconds + 0.2


def test_a_batch_with_more_behind_it_is_followed_by_another_read_and_then_by_the_grid() -> None:
    first = Batch([{"n": 1}], 1, (1,), more=True)
    rig = Rig(first, batch(2, cursor=(2,)), until_seconds=5)
    rig.pump.run()

    assert rig.count(families.ROWS) == 2
    assert rig.count(families.POLLS, "ok") == 1
    assert len(rig.source.timeouts_seconds) == 2
    assert families.MISSED_POLLS.name not in rig.tally.snapshot()


def test_what_is_no_row_becomes_a_dead_letter_before_the_read_is_acknowledged() -> None:
    refused = RefusedInput("not_json", b"{", fault="ends early")
    rig = Rig(Batch([], 1, (1,), refused=[refused]))
    rig.turns(1)

    assert rig.letterbox.kept == [(b"{", "not_json")]
    assert rig.source.acknowledged == [(1,)]
    assert rig.count(families.LINES_REJECTED, "source", "not_json") == 1
    assert rig.count(families.ROWS) == 1


def test_a_read_is_not_acknowledged_while_its_dead_letters_wait_for_the_disk() -> None:
    rig = Rig(Batch([], 1, (1,), refused=[RefusedInput("not_json", b"{")]))
    rig.letterbox.usable = False
    rig.turns(1)
    before = list(rig.source.acknowledged)
    rig.letterbox.usable = True
    rig.turns(1)

    assert before == []
    assert rig.source.acknowledged == [(1,)]


def test_what_never_reached_us_is_counted() -> None:
    rig = Rig(Batch([], 1, lost={"kernel": 7}, sequence_gaps=3))
    rig.turns(1)

    assert rig.count(families.LINES_DROPPED, "kernel") == 7
    assert rig.count(families.SEQUENCE_GAPS) == 3


def test_what_a_source_has_counted_itself_is_added_to_its_family() -> None:
    counted_itself: Measured = {families.LABEL_OVERFLOWS.name: {("user",): 2.0, ("host",): 1.0}}
    rig = Rig(Batch([], 1, counted=counted_itself), Batch([], 2, counted=counted_itself))
    rig.turns(2)

    assert rig.count(families.LABEL_OVERFLOWS, "user") == 4
    assert rig.count(families.LABEL_OVERFLOWS, "host") == 2


def test_a_gauge_of_a_source_shows_the_newest_series_and_no_others() -> None:
    rig = Rig(
        Batch([], 1, shown={families.SPOOL_LINES.name: {("a",): 1.0, ("b",): 2.0}}),
        Batch([], 2, shown={families.SPOOL_LINES.name: {("b",): 3.0}}),
    )
    rig.turns(2)

    assert rig.tally.snapshot()[families.SPOOL_LINES.name] == [(("m", "b"), [3.0])]


@pytest.mark.parametrize(
    ("batches", "lag_seconds"),
    [
        pytest.param([batch(1, cursor=(1,))], 0, id="at the end"),
        pytest.param([Batch([{"n": 1}], 1, (1,), more=True)] * 2, 0, id="no time to tell it by"),
        pytest.param(
            [
                Batch(
                    [{"n": 1}],
                    1,
                    (datetime.fromtimestamp(FakeClock().ns / 10**9 - 60, UTC),),
                    more=True,
                )
            ],
            60,
            id="by the time of the cursor",
        ),
    ],
)
def test_the_lag_of_a_cursor_is_shown(batches: list[Batch], lag_seconds: float) -> None:
    rig = Rig(*batches)
    rig.turns(len(batches))

    assert counted(rig.tally, families.CURSOR_LAG, "m") == pytest.approx(lag_seconds)


def test_a_source_that_can_wait_is_not_read_while_dead_letters_wait_for_the_disk(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = Batch([], 1, (1,), refused=[RefusedInput("not_json", b"{")])
    rig = Rig(refused, batch(2, cursor=(2,)), waits_when_full=True)
    rig.letterbox.usable = False
    rig.turns(2)
    meanwhile = (len(rig.source.timeouts_seconds), rig.pump.reader.state.result)
    rig.letterbox.usable = True
    rig.turns(1)

    assert meanwhile == (1, "waiting")
    assert len(rig.source.timeouts_seconds) == 2
    assert caplog.messages[-1] == (
        "Dead letters cannot be written; the source is not read until there is room."
    )


def test_what_goes_to_the_disk_for_want_of_room_is_acknowledged(tmp_path: Path) -> None:
    rig = WaitingRig(
        tmp_path, batch(1, cursor=(1,)), waits_when_full=True, max_bytes=1, spool_max_bytes=1
    )
    rig.read_on()
    in_memory = list(rig.source.acknowledged)
    rig.read_on()

    assert in_memory == []
    assert rig.pump.reader.state.result == "waiting"
    assert rig.source.acknowledged == [(1,)]


@pytest.mark.parametrize(("can_wait", "held_back"), [(True, [MOST_AHEAD_BYTES]), (False, [])])
def test_only_a_source_that_can_wait_is_held_back_for_sinks_that_are_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, can_wait: bool, held_back: list[int]
) -> None:
    rig = WaitingRig(tmp_path, batch(1), waits_when_full=can_wait)
    asked: list[int] = []

    def wait_until_lighter(max_bytes: int, _seconds: float) -> bool:
        asked.append(max_bytes)
        return True

    monkeypatch.setattr(rig.delivery.queue, "wait_until_lighter", wait_until_lighter)
    rig.read_on()

    assert asked == held_back


def test_a_read_that_failed_is_told_to_who_collects_the_reads_of_a_poll() -> None:
    rig = Rig(Batch([{"n": 1}], 1, more=True), GONE)
    rig.turns(2)

    assert rig.seen == [[{"n": 1}], []]


def test_a_warning_says_of_how_many_some_were_no_rows(caplog: pytest.LogCaptureFixture) -> None:
    rows: list[Row] = [{"n": 1}, {"n": 2}]
    rig = Rig(Batch(rows, 1, refused=[RefusedInput("not_json", b"{", fault="torn")]))
    rig.turns(1)

    assert caplog.messages == ["source refused 1 of 3 lines for good: not_json: torn"]


def test_what_could_not_be_set_aside_is_not_acknowledged_at_the_end() -> None:
    rig = Rig(Batch([], 1, (1,), refused=[RefusedInput("not_json", b"{")]))
    rig.letterbox.usable = False
    rig.turns(1)
    rig.pump.close()

    assert rig.source.acknowledged == []
    assert rig.count(families.DEAD_LETTERS_LOST, "disk") == 1
