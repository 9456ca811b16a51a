"""The parts a worker is put together of."""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest

from shipper.core.clock import SystemClock
from shipper.core.record import Batch, Stream
from shipper.pipeline.pump import Pump
from shipper.pipeline.spool import Parcel, Shelf, Spool, spool_path
from shipper.sinks.loki.settings import LokiSettings
from shipper.store.sets import wanted_by
from shipper.store.settings import StoreSettings
from shipper.telemetry import families
from shipper.telemetry.log import LogSettings
from shipper.wiring.assembly import build_pump, open_spool
from shipper.wiring.assignment import Assignment
from shipper.wiring.desk import Desk
from shipper.wiring.destinations import lokis_of
from shipper.wiring.outlets import circuit_path, filing_rules
from shipper.wiring.vocabulary import fixed_labels
from tests.support.configuration import configuration
from tests.support.source import FakePulse
from tests.support.tally import counted

LOG = logging.getLogger("test.assembly")


def assignment(folder: Path, **keys: Any) -> Assignment:
    made = configuration(folder, {"metrics": {"show_locks": keys}})
    entry = made.metrics["show_locks"]
    return Assignment(
        metric="show_locks",
        entry=entry,
        section=made.section_of(entry),
        lokis=lokis_of(made, "show_locks"),
        store=made.section("store", StoreSettings),
        labels=fixed_labels(made)["show_locks"],
        first_seconds=1000.0,
        feed="",
        log=LogSettings(),
        drain_seconds=1,
        state_dir=folder / "state",
        run_id="this run",
    )


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
    desk = Desk("show_locks", cast("Any", None))
    pump = built(made, desk)

    assert [delivery.sink.name for delivery in pump.custody.deliveries] == sinks
    assert (pump.schedule.first_seconds, pump.schedule.every_seconds) == (1000, 7)
    assert pump.timeout_seconds == 9


def test_label_values_beyond_the_allowance_are_counted_and_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = assignment(tmp_path, label_fields=["a"], max_label_values=1)
    desk = Desk("show_locks", cast("Any", None))
    pump = built(made, desk)
    pump.custody.take(Batch([{"a": value} for value in "xyz"]))

    assert counted(desk.tally, families.LABEL_OVERFLOWS, "show_locks", "a") == 2
    assert len(caplog.messages) == 1


def built(made: Assignment, desk: Desk) -> Pump:
    spool = open_spool(made, LOG, desk.tally)
    return build_pump(made, spool, cast("Any", FakePulse()), stop=Event(), log=LOG, desk=desk)


def left_behind(made: Assignment, *, run: str, kind: str = "sqream") -> None:
    """Leave two lines and a cursor on disk, as a worker of some run would."""
    spool = Spool(
        spool_path(made.state_dir, made.metric),
        clock=SystemClock(),
        log=LOG,
        damaged=lambda _lines: None,
        run=run,
    )
    Shelf(spool, "loki", max_bytes=10**6).keep([Parcel(Stream({}, [1, 2], [b"a", b"b"]), 50, 1)])
    spool.set_checkpoint(kind, (17,))
    spool.close()


@pytest.mark.parametrize(("run", "recovered"), [("another run", 2), ("this run", 0)])
def test_what_another_run_left_on_disk_waits_and_is_counted(
    tmp_path: Path, run: str, recovered: int
) -> None:
    made = assignment(tmp_path)
    left_behind(made, run=run)
    desk = Desk("show_locks", cast("Any", None))
    pump = built(made, desk)

    assert pump.custody.deliveries[0].queue.depth().lines == 2
    assert counted(desk.tally, families.LINES_RECOVERED, "show_locks", "loki") == recovered


def of_a_table(folder: Path) -> Assignment:
    """Return an assignment whose source goes on at a cursor."""
    (folder / "url").write_text(f"sqlite:///{folder}/plant.db")
    url = {"file": str(folder / "url")}
    return assignment(folder, type="sql", url=url, table="alarms", cursor=["id"])


def test_reading_goes_on_at_the_cursor_on_disk(tmp_path: Path) -> None:
    made = of_a_table(tmp_path)
    left_behind(made, run="", kind="sql")
    desk = Desk("show_locks", cast("Any", None))

    assert built(made, desk).custody.cursor == (17,)


def test_a_cursor_of_another_kind_of_source_is_told_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = of_a_table(tmp_path)
    left_behind(made, run="")
    desk = Desk("show_locks", cast("Any", None))

    assert built(made, desk).custody.cursor is None
    assert caplog.messages == [
        "The cursor on disk is of a source of type sqream; this one begins anew."
    ]


def test_only_workers_with_the_same_destination_share_a_circuit(tmp_path: Path) -> None:
    here = LokiSettings(url="http://a:3100")
    paths = {
        circuit_path(tmp_path, loki)
        for loki in (
            here,
            LokiSettings(url="http://a:3100", encoding="json"),
            LokiSettings(url="http://a:3100", tenant="t"),
            LokiSettings(url="http://b:3100"),
        )
    }

    assert len(paths) == 3


def test_an_entry_beats_what_is_written_for_loki(tmp_path: Path) -> None:
    made = assignment(tmp_path, spool_max_bytes=77, too_old="drop")
    desk = Desk("show_locks", cast("Any", None))
    (delivery,) = built(made, desk).custody.deliveries

    assert delivery.refusals.too_old == "drop"
    assert delivery.queue._shelf is not None
    assert delivery.queue._shelf.max_bytes == 77


def of_broker(folder: Path) -> Assignment:
    return assignment(folder, type="stomp", host="broker", destination="/queue/a")


def test_a_broker_remembers_itself_how_far_it_was_read(tmp_path: Path) -> None:
    made = of_broker(tmp_path)
    left_behind(made, run="", kind="stomp")
    desk = Desk("show_locks", cast("Any", None))
    spool = open_spool(made, LOG, desk.tally)
    pump = build_pump(made, spool, cast("Any", FakePulse()), stop=Event(), log=LOG, desk=desk)
    pump.checkpoint((99,))
    checkpoint = spool.checkpoint()

    assert pump.custody.cursor is None
    assert checkpoint is not None
    assert checkpoint.cursor == (17,)


def test_records_that_are_kept_in_sql_have_an_outlet_of_their_own(tmp_path: Path) -> None:
    made = assignment(tmp_path, store="tf_metadata")
    loki, store = built(made, Desk("show_locks", cast("Any", None))).custody.outlets

    assert [each.sink.name for outlet in (loki, store) for each in outlet.deliveries] == [
        "loki",
        "store",
    ]
    assert (loki.wants, store.wants) == (None, wanted_by("tf_metadata"))


def test_tables_are_made_before_the_first_record(tmp_path: Path) -> None:
    made = assignment(tmp_path, ship=False, store="tf_metadata")
    (outlet,) = built(made, Desk("show_locks", cast("Any", None))).custody.outlets
    outlet.deliveries[0].prepare()
    outlet.deliveries[0].sink.close()

    assert (made.state_dir / "store.db").exists()
