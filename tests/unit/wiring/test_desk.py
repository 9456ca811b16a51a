"""The desk a worker reports from."""

from __future__ import annotations

import logging
from pathlib import Path
from random import Random
from typing import cast

import pytest

from shipper.core.record import Batch, Stream
from shipper.live.feed import FeedSender, Report
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing, FilingRules
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.reader import PollState
from shipper.pipeline.refusals import Refusals
from shipper.pipeline.spool import Shelf, Spool
from shipper.telemetry import families
from shipper.telemetry.log import LogSettings, repeats, start_logging
from shipper.telemetry.tally import Tally
from shipper.wiring.desk import Desk
from tests.support.clock import FakeClock
from tests.support.logging import logging_put_back
from tests.support.sink import FakeSink
from tests.support.tally import counted


class FakeFeed:
    """Keeps the reports."""

    def __init__(self) -> None:
        self.sent: list[Report] = []

    def send(self, report: Report) -> bool:
        self.sent.append(report)
        return True


def desk_of() -> tuple[Desk, FakeFeed, FakeClock]:
    feed, clock = FakeFeed(), FakeClock()
    return Desk("show_locks", cast("FeedSender", feed), clock=clock), feed, clock


def waiting_delivery(tally: Tally, clock: FakeClock, shelf: Shelf | None = None) -> Delivery:
    queue = DeliveryQueue(max_bytes=10**6, batch_bytes=10**6, shelf=shelf, clock=clock)
    queue.put(Stream({}, [1, 2], [b"a", b"b"]))
    log, random = logging.getLogger("test.worker"), Random(1)
    return Delivery(
        metric="show_locks",
        sink=FakeSink(),
        queue=queue,
        pace=OwnPace(backoff=Backoff(), clock=clock, random=random),
        refusals=Refusals(metric="show_locks", sink="fake", tally=tally, log=log, clock=clock),
        tally=tally,
        log=log,
        clock=clock,
        settled=lambda: None,
        random=random,
    )


def test_a_report_says_what_the_last_poll_came_to() -> None:
    desk, feed, clock = desk_of()
    desk.watch(PollState("error", clock.ns, 0, "gone", next_seconds=clock.seconds + 7), [])
    desk.report()

    assert feed.sent[0]["origin"] == "show_locks"
    assert feed.sent[0]["state"] == {
        "result": "error",
        "error": "gone",
        "sink_error": "",
        "rows_in_last_poll": 0,
        "last_poll_at": 1_700_000_000,
        "next_poll_at": 1_700_000_007,
        "polls": 0,
        "last_poll_seconds": None,
        "lag_seconds": None,
        "lines_waiting": 0,
        "bytes_waiting": 0,
        "oldest_unsent_seconds": 0,
        "label_values": {},
        "streams": None,
    }


def test_a_report_shows_what_waits() -> None:
    desk, feed, clock = desk_of()
    desk.watch(PollState(), [waiting_delivery(desk.tally, clock)])
    clock.pass_seconds(3)
    desk.report()

    assert feed.sent[0]["state"]["lines_waiting"] == 2
    assert counted(desk.tally, families.SPOOL_LINES, "show_locks", "fake") == 2
    assert counted(desk.tally, families.MEMORY_LINES, "show_locks", "fake") == 2
    assert counted(desk.tally, families.SPOOL_BYTES, "show_locks", "fake") == 50
    assert counted(desk.tally, families.OLDEST_UNSENT, "show_locks", "fake") == 3


def test_a_report_shows_how_much_may_wait_on_disk(tmp_path: Path) -> None:
    desk, _, clock = desk_of()
    log = logging.getLogger("test.worker")
    spool = Spool(tmp_path / "m.db", clock=clock, log=log, damaged=lambda _lines: None)
    shelf = Shelf(spool, "fake", max_bytes=1000)
    desk.watch(PollState(), [waiting_delivery(desk.tally, clock, shelf)])
    desk.report()

    assert counted(desk.tally, families.SPOOL_LIMIT, "show_locks", "fake") == 1000


def test_a_report_carries_everything_counted_so_far() -> None:
    desk, feed, _ = desk_of()
    desk.tally.count(families.ROWS, "show_locks", by=2)
    desk.report()

    assert feed.sent[0]["tally"][families.ROWS.name] == [(("show_locks",), [2.0])]


def test_a_report_says_how_lines_are_filed_and_how_long_the_poll_took() -> None:
    desk, feed, _ = desk_of()
    filing = Filing(FilingRules({}, label_fields=["db"]), lambda _name: None)
    filing.streams(Batch([{"db": "x"}, {"db": "y"}], 1))
    desk.watch(PollState("ok", polls=3, took_seconds=0.25, lag_seconds=1.5), [], filing=filing)
    desk.report()
    state = feed.sent[0]["state"]

    assert (state["label_values"], state["streams"]) == ({"db": 2}, 2)
    assert (state["polls"], state["last_poll_seconds"], state["lag_seconds"]) == (3, 0.25, 1.5)


def test_how_long_a_source_waited_is_no_duration_of_a_poll() -> None:
    desk, feed, _ = desk_of()
    desk.watch(PollState("ok", polls=3, took_seconds=0.25), [], waits=True)
    desk.report()

    assert feed.sent[0]["state"]["last_poll_seconds"] is None


def test_a_report_says_how_much_waits_for_all_sinks_together() -> None:
    desk, feed, clock = desk_of()
    desk.watch(PollState(), [waiting_delivery(desk.tally, clock) for _ in range(2)])
    clock.pass_seconds(3)
    desk.report()
    state = feed.sent[0]["state"]

    assert (state["lines_waiting"], state["bytes_waiting"]) == (4, 100)
    assert state["oldest_unsent_seconds"] == 3


def test_a_report_lets_the_log_sum_up_what_repeats_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_put_back():
        log = start_logging(LogSettings(), metric="show_locks")
        log.warning("Trouble.")
        log.warning("Trouble.")
        monkeypatch.setattr(repeats, "SUMMED_UP_SECONDS", 0.0)
        desk_of()[0].report()

        assert capsys.readouterr().err.endswith("Trouble. (1 more time in the last 1 s)\n")
