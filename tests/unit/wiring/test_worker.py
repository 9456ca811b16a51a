"""The desk a worker reports from, and the parts it is put together of."""

from __future__ import annotations

import logging
from pathlib import Path
from random import Random
from threading import Event
from typing import Any, cast

import pytest

from shipper.core.record import Batch, Stream
from shipper.live.feed import FeedSender, Report
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.pump import PollState
from shipper.pipeline.queue import DeliveryQueue
from shipper.sinks.loki.settings import LokiSettings
from shipper.telemetry import families
from shipper.telemetry.log import LogSettings
from shipper.telemetry.tally import Tally
from shipper.wiring.vocabulary import fixed_labels
from shipper.wiring.worker import Assignment, Desk, build_pump, filing_rules
from tests.support.clock import FakeClock
from tests.support.configuration import configuration
from tests.support.sink import FakeSink
from tests.support.source import FakePulse
from tests.support.tally import counted


class FakeFeed:
    """Keeps the reports."""

    def __init__(self) -> None:
        self.sent: list[Report] = []

    def send(self, report: Report) -> bool:
        self.sent.append(report)
        return True


def assignment(folder: Path, **keys: Any) -> Assignment:
    made = configuration(folder, {"metrics": {"show_locks": keys}})
    entry = made.metrics["show_locks"]
    return Assignment(
        metric="show_locks",
        entry=entry,
        section=made.section_of(entry),
        loki=made.section("loki", LokiSettings),
        labels=fixed_labels(made)["show_locks"],
        first_seconds=1000.0,
        feed="",
        log=LogSettings(),
        drain_seconds=1,
    )


def desk_of(made: Assignment) -> tuple[Desk, FakeFeed, FakeClock]:
    feed, clock = FakeFeed(), FakeClock()
    return Desk(made, cast("FeedSender", feed), clock=clock), feed, clock


def waiting_delivery(tally: Tally, clock: FakeClock) -> Delivery:
    queue = DeliveryQueue(max_bytes=10**6, batch_bytes=10**6, clock=clock)
    queue.put(Stream({}, [1, 2], [b"a", b"b"]))
    log = logging.getLogger("test.worker")
    return Delivery("show_locks", FakeSink(), queue, tally, log, clock, lambda: None, Random(1))


def test_a_report_says_what_the_last_poll_came_to(tmp_path: Path) -> None:
    desk, feed, clock = desk_of(assignment(tmp_path))
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
        "lines_waiting": 0,
    }


def test_a_report_shows_what_waits(tmp_path: Path) -> None:
    desk, feed, clock = desk_of(assignment(tmp_path))
    desk.watch(PollState(), [waiting_delivery(desk.tally, clock)])
    clock.pass_seconds(3)
    desk.report()

    assert feed.sent[0]["state"]["lines_waiting"] == 2
    assert counted(desk.tally, families.SPOOL_LINES, "show_locks", "fake") == 2
    assert counted(desk.tally, families.SPOOL_BYTES, "show_locks", "fake") == 50
    assert counted(desk.tally, families.OLDEST_UNSENT, "show_locks", "fake") == 3


def test_a_report_carries_everything_counted_so_far(tmp_path: Path) -> None:
    desk, feed, _ = desk_of(assignment(tmp_path))
    desk.tally.count(families.ROWS, "show_locks", by=2)
    desk.report()

    assert feed.sent[0]["tally"][families.ROWS.name] == [(("show_locks",), [2.0])]


def test_an_entry_decides_how_its_rows_are_filed(tmp_path: Path) -> None:
    made = assignment(
        tmp_path,
        label_fields=["a"],
        metadata_fields=["b"],
        max_label_values=7,
        time_field="t",
        line="logfmt",
    )
    rules = filing_rules(made.entry, made.labels)

    assert rules.labels == made.labels
    assert (rules.label_fields, rules.metadata_fields) == (["a"], ["b"])
    assert (rules.max_label_values, rules.time_field, rules.line) == (7, "t", "logfmt")


@pytest.mark.parametrize(("ship", "sinks"), [(True, ["loki"]), (False, [])])
def test_a_metric_that_is_not_shipped_has_no_sink(
    tmp_path: Path, ship: bool, sinks: list[str]
) -> None:
    made = assignment(tmp_path, ship=ship, every_seconds=7, timeout_seconds=9)
    desk, _, _ = desk_of(made)
    log = logging.getLogger("test.worker")
    pump = build_pump(made, cast("Any", FakePulse()), Event(), log, desk)

    assert [delivery.sink.name for delivery in pump.deliveries] == sinks
    assert (pump.schedule.first_seconds, pump.schedule.every_seconds) == (1000, 7)
    assert pump.timeout_seconds == 9


def test_label_values_beyond_the_allowance_are_counted_and_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = assignment(tmp_path, label_fields=["a"], max_label_values=1)
    desk, _, _ = desk_of(made)
    log = logging.getLogger("test.worker")
    pump = build_pump(made, cast("Any", FakePulse()), Event(), log, desk)
    pump.filing.streams(Batch([{"a": value} for value in "xyz"]))

    assert counted(desk.tally, families.LABEL_OVERFLOWS, "show_locks", "a") == 2
    assert len(caplog.messages) == 1
