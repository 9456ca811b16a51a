"""The ready-made metrics of SQreamDB's functions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest

from shipper.core.record import Batch
from shipper.demo.sqream.catalog import Caller
from shipper.demo.sqream.functions import monitoring_functions
from shipper.demo.sqream.world import World
from shipper.sinks.columns import ColumnMetrics
from shipper.sources.sqream import SqreamSettings
from shipper.sources.sqream.connection import SqreamConnection
from shipper.sources.sqream.functions import KNOWN_FUNCTIONS
from shipper.sources.sqream.ready import READY, ready_metrics
from shipper.sources.sqream.source import field_names
from shipper.telemetry.tally import Tally

NOON = 1_790_000_000.0
LOG = logging.getLogger("shipper.test")
CALLER = Caller(8, 9, "10.0.0.7", "sqream", "master", "monitor", "select show_server_status()")

LOCK = ("2", "create table t", "sqream", "127.0.0.1", "5000", "database$master", "Inclusive")
LOCK_TIMES = ("04-07-2024 15:07:02", "2024-07-04 15:07:04")
LOCKS_BY_RELEASE = {
    "the example of 4.x": (
        *("statement id", "statement string", "username", "server", "port", "locked object"),
        *("lock mode", "statement start time", "lock start time"),
    ),
    "the documented table": (
        *("stmt_id", "stmt_string", "username", "server", "port", "locked_object"),
        *("lockmode", "statement_start_time", "lock_start_time"),
    ),
    "the monitor of 2024": (
        *("statement_id", "statement_string", "username", "server", "port", "locked_object"),
        *("lock_mode", "statement_start_time", "lock_start_time"),
    ),
}


def samples(
    function: str, rows: Sequence[Mapping[str, Any]], *, timezone: str = "UTC", at: float = NOON
) -> dict[str, dict[tuple[str, ...], float]]:
    tally = Tally()
    columns = ColumnMetrics("a", ready_metrics(function, timezone), tally, log=LOG)
    columns.observe(Batch(rows, read_at_ns=int(at * 1e9)))
    return {
        name: {values: numbers[0] for values, numbers in series}
        for name, series in tally.snapshot().items()
    }


def test_only_functions_that_there_are_have_ready_made_metrics() -> None:
    assert set(READY) - KNOWN_FUNCTIONS == set()


@pytest.mark.parametrize("function", READY)
def test_the_fields_are_those_that_the_function_has(
    function: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(Random(7), lambda: NOON)
    served = {each.name: each for each in monitoring_functions(world, "4.9.0")}[function]
    answer = served.answer(CALLER)
    names = field_names([column.name for column in answer.columns])
    rows = [dict.fromkeys(names)]
    samples(function, rows)

    assert caplog.records == []


@pytest.mark.parametrize("columns", LOCKS_BY_RELEASE.values(), ids=LOCKS_BY_RELEASE)
def test_locks_are_shown_whatever_a_release_calls_their_columns(columns: Sequence[str]) -> None:
    row = dict(zip(field_names(columns), (*LOCK, *LOCK_TIMES), strict=True))

    assert samples("show_locks", [row], at=1_720_105_634) == {
        "sqream_locks": {("", "Inclusive"): 1},
        "sqream_lock_age_seconds": {("Inclusive",): 10},
        "sqream_lock_wait_seconds": {("Inclusive",): 2},
    }


def test_newer_releases_tell_whether_the_statement_of_a_lock_is_active() -> None:
    columns = (*LOCKS_BY_RELEASE["the example of 4.x"], "is_statement_active")
    row = dict(zip(field_names(columns), (*LOCK, *LOCK_TIMES, 0), strict=True))

    assert samples("show_locks", [row])["sqream_locks"] == {("0", "Inclusive"): 1}


@pytest.mark.parametrize("start", ["statementstarttime", "statement_start_time"])
@pytest.mark.parametrize("status", ["statementstatus", "statement_status"])
def test_the_oldest_statement_of_every_status_is_shown(start: str, status: str) -> None:
    rows = [
        {"service": "etl", "user_name": "anna", status: "Executing", start: moment}
        for moment in ("29-10-2023 14:20:08", "2023-10-29 14:20:18")
    ]

    assert samples("show_server_status", rows, timezone="Europe/Prague", at=1_698_585_638) == {
        "sqream_statements": {("etl", "Executing", "anna"): 2},
        "sqream_statement_age_seconds": {("etl", "Executing"): 30},
    }


def test_units_are_base_units() -> None:
    calls = {
        "server_ip": "a",
        "server_port": 5000,
        "msg": "CheckLocksMsg",
        "count": 3,
        "average": 2.5,
        "max": 10,
    }
    license_row = {"cluster_size_limit": 20, "expiration_date": "2045-03-18"}
    server = ("CheckLocksMsg", "a", "5000")

    assert samples("get_leveldb_stats", [calls]) == {
        "sqream_metadata_calls_total": {server: 3},
        "sqream_metadata_latency_average_seconds": {server: 0.0025},
        "sqream_metadata_latency_max_seconds": {server: 0.01},
    }
    told = samples("get_license_info", [license_row])
    assert told["sqream_license_limit_bytes"] == {(): 20e9}
    assert told["sqream_license_expiry_timestamp_seconds"] == {(): 2_373_408_000}


def test_an_entry_asks_for_them_or_the_section_does_for_all() -> None:
    asking = SqreamSettings.model_validate({"function": "show_locks", "metrics": ["ready"]})
    silent = SqreamSettings.model_validate({"function": "show_locks"})
    for_all = SqreamConnection(ready_metrics=True, timezone="Europe/Prague")

    assert [each.name for each in asking.column_metrics(None)] == [
        "sqream_locks",
        "sqream_lock_age_seconds",
        "sqream_lock_wait_seconds",
    ]
    assert silent.column_metrics(None) == []
    assert {each.timezone for each in silent.column_metrics(for_all)} == {"Europe/Prague"}


def test_items_of_ones_own_stand_beside_them() -> None:
    entry = SqreamSettings.model_validate(
        {"function": "show_locks", "metrics": [{"name": "mine"}, "ready"]}
    )

    assert len(entry.column_metrics(None)) == 4
