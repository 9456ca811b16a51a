"""Metrics from columns, through the whole program and before promtool."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shipper.config.metric_names import name_objection
from shipper.demo.log_store import LogStore
from shipper.demo.sqream import Column, Fault, Hang, SqreamEmulator, Step, WireType
from shipper.sources.sqream.ready import READY, ready_metrics
from tests.support.services import need
from tests.support.shipper_process import ShipperProcess, far_ends, until, write_config

FUNCTION = "get_leveldb_stats"
CALLS = [Column("msg", WireType.TEXT), Column("count", WireType.BIGINT)]
CALL_ITEM = {
    "name": "test_calls_total",
    "type": "counter",
    "increment": False,
    "value": "count",
    "labels": ["msg"],
}
STALE_ITEM = {"name": "test_n", "value": "count", "stale_after_seconds": 1}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShipperProcess]:
    """Run everything that has ready-made metrics against the emulator."""
    folder = tmp_path_factory.mktemp("ready")
    config = write_config(folder, dict.fromkeys(READY, 0.5), sqream={"ready_metrics": True})
    with SqreamEmulator() as emulator, LogStore() as store, run(emulator, store, config) as running:
        until(lambda: all(running.polls(metric) >= 1 for metric in READY))
        yield running


def test_every_ready_made_family_is_on_the_page(ready: ShipperProcess) -> None:
    wanted = {item.name for function in READY for item in ready_metrics(function, "UTC")}
    page = ready.get("/metrics").data.decode()

    assert [name for name in sorted(wanted) if f"# TYPE {name} " not in page] == []


def test_what_never_is_empty_has_numbers(ready: ShipperProcess) -> None:
    names = {name for name, _ in ready.metrics()}

    assert {
        "sqream_statements",
        "sqream_statement_age_seconds",
        "sqream_metadata_calls_total",
        "sqream_metadata_latency_max_seconds",
        "sqream_nodes",
        "sqream_node_heartbeat_age_seconds",
        "sqream_license_left_bytes",
        "sqream_license_expiry_timestamp_seconds",
        "sqream_connections",
        "sqream_subscribed_instances",
    } <= names


def test_promtool_finds_nothing_to_say_about_what_is_ready_made(ready: ShipperProcess) -> None:
    page = ready.get("/metrics").data
    linted = subprocess.run([need("promtool"), "check", "metrics"], input=page, capture_output=True)

    assert (linted.returncode, linted.stdout, linted.stderr) == (0, b"", b"")


def test_a_counter_of_the_far_end_is_shown_as_it_is_after_a_worker_was_killed(
    tmp_path: Path,
) -> None:
    config = write_config(tmp_path, one_metric(CALL_ITEM))
    with SqreamEmulator() as emulator, LogStore() as store:
        emulator.serve(FUNCTION, CALLS, [("CheckLocksMsg", 41)])
        with run(emulator, store, config) as running:
            until(lambda: calls(running) == 41)
            emulator.serve(FUNCTION, CALLS, [("CheckLocksMsg", 42)])
            os.kill(running.worker_pids()[FUNCTION], signal.SIGKILL)
            until(lambda: running.value("shipper_worker_restarts_total", metric=FUNCTION) == 1)
            until(lambda: calls(running) == 42)


def test_a_series_is_gone_when_nothing_was_heard_of_it_for_too_long(tmp_path: Path) -> None:
    config = write_config(tmp_path, one_metric(STALE_ITEM))
    with SqreamEmulator() as emulator, LogStore() as store:
        emulator.serve(FUNCTION, CALLS, [("CheckLocksMsg", 41)])
        with run(emulator, store, config) as running:
            until(lambda: running.value("test_n") == 41)
            emulator.faults.add(Fault(at=Step.EXECUTE, function=FUNCTION, action=Hang()))
            until(lambda: not running.value("test_n"))
            assert running.polls(FUNCTION, "timeout") == 0


def one_metric(item: dict[str, Any]) -> dict[str, Any]:
    return {FUNCTION: {"every_seconds": 0.25, "metrics": [item]}}


@contextmanager
def run(emulator: SqreamEmulator, store: LogStore, config: Path) -> Iterator[ShipperProcess]:
    flags = far_ends(emulator, store.url, config)
    with ShipperProcess(["run", *flags], config.parent) as running:
        yield running.until_ready()


def calls(running: ShipperProcess) -> float | None:
    return running.metrics().get(("test_calls_total", frozenset({("msg", "CheckLocksMsg")})))


@pytest.mark.parametrize(
    "name",
    [
        *("a_ms", "a_s", "a_days", "a_weeks", "a_h", "a_gigabytes_left", "a_bits", "a_kb", "aB"),
        *("a_count", "a_sum", "a_gauge", "a_m", "a_d", "a_us", "a_b", "a_milliseconds", "a_ms_b"),
        *("a_fahrenheit", "a_kilometers", "a_hours_left", "a_total", "a:b"),
        *("a", "a_info", "a_created", "ms_a", "a_seconds", "a_bytes", "a_ratio", "gauge_a"),
    ],
)
def test_what_promtool_objects_to_is_refused_and_nothing_else(name: str) -> None:
    page = f"# HELP {name} x\n# TYPE {name} gauge\n{name} 1\n"
    linted = subprocess.run(
        [need("promtool"), "check", "metrics"], input=page, text=True, capture_output=True
    )

    assert bool(name_objection(name, "gauge")) == bool(linted.stderr)
