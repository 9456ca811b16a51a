"""Lines that go to two Lokis: trouble with one is none of the other's, and both get everything."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import Column, SqreamEmulator, WireType
from tests.support.shipper_process import ShipperProcess, command, until, write_config

METRIC = "show_locks"
NUMBERED = [Column("n", WireType.BIGINT), Column("at", WireType.BIGINT)]


@pytest.fixture
def emulator() -> Iterator[SqreamEmulator]:
    numbers = count(1)
    with SqreamEmulator() as running:
        running.serve(METRIC, NUMBERED, lambda: [(next(numbers), time.time_ns())])
        yield running


@pytest.fixture
def near() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


@pytest.fixture
def far() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


def write(folder: Path, *lokis: dict[str, Any]) -> Path:
    entry = {"every_seconds": 0.2, "time_field": "at"}
    return write_config(folder, {METRIC: entry, "show_version": 1}, loki=list(lokis))


def start(folder: Path, emulator: SqreamEmulator, config: Path) -> ShipperProcess:
    reach = ["--host", emulator.host, "--port", str(emulator.port), "--config", str(config)]
    return ShipperProcess(["run", *reach], folder)


def numbers(store: LogStore) -> list[int]:
    return [json.loads(stored.line)["n"] for stored in store.lines(f'{{job="{METRIC}"}}')]


def test_each_gets_what_it_matches(
    tmp_path: Path, emulator: SqreamEmulator, near: LogStore, far: LogStore
) -> None:
    config = write(
        tmp_path,
        {"name": "near", "url": near.url},
        {"name": "far", "url": far.url, "match": [METRIC]},
    )
    with start(tmp_path, emulator, config) as shipper:
        shipper.until_ready()
        until(lambda: numbers(near) and numbers(far) and near.lines('{job="show_version"}'))
        until(
            lambda: shipper.value("shipper_lines_delivered_total", metric=METRIC, sink="loki.far")
        )
        assert far.lines('{job="show_version"}') == []
        assert "check_loki_connection_far" in shipper.stdout


def test_one_that_is_away_keeps_the_other_not_waiting_and_gets_everything_after_a_kill(
    tmp_path: Path, emulator: SqreamEmulator, near: LogStore, far: LogStore
) -> None:
    config = write(
        tmp_path,
        {"name": "near", "url": near.url},
        {"name": "far", "url": far.url, "required": False},
    )
    with start(tmp_path, emulator, config) as shipper:
        shipper.until_ready()
        until(lambda: numbers(far))
        far.stop()
        before = len(numbers(near))
        until(lambda: len(numbers(near)) >= before + 10)
        until(lambda: shipper.value("shipper_spool_lines", metric=METRIC, sink="loki.far") >= 5)
        assert shipper.value("shipper_spool_lines", metric=METRIC, sink="loki.near") <= 1
        os.killpg(shipper.pid, signal.SIGKILL)
        shipper.wait()
    with start(tmp_path, emulator, config) as shipper:
        shipper.until_ready()
        before = len(numbers(near))
        until(lambda: len(numbers(near)) >= before + 5)
        far.start()
        until(lambda: not shipper.value("shipper_spool_lines", metric=METRIC, sink="loki.far"))
        assert shipper.terminate() == 0

    assert sorted(set(numbers(far))) == sorted(set(numbers(near)))


def test_lines_of_a_loki_that_is_no_longer_configured_are_told_and_go_on_when_it_is_again(
    tmp_path: Path, emulator: SqreamEmulator, near: LogStore, far: LogStore
) -> None:
    both: list[dict[str, Any]] = [
        {"name": "near", "url": near.url},
        {"name": "far", "url": far.url, "required": False},
    ]
    config = write(tmp_path, *both)
    with start(tmp_path, emulator, config) as shipper:
        shipper.until_ready()
        far.stop()
        until(lambda: shipper.value("shipper_spool_lines", metric=METRIC, sink="loki.far") >= 3)
        assert shipper.terminate() == 0
    waited = set(numbers(near))
    config = write(tmp_path, both[0])
    with start(tmp_path, emulator, config) as shipper:
        shipper.until_ready()
        until(lambda: f"of {METRIC} wait on disk" in shipper.stderr)
        assert "when the way to loki.far is configured again" in shipper.stderr
        assert shipper.terminate() == 0
    far.start()
    config = write(tmp_path, *both)
    with start(tmp_path, emulator, config) as shipper:
        until(lambda: waited <= set(numbers(far)))


def test_what_waited_for_the_only_loki_goes_to_the_one_without_a_name(
    tmp_path: Path, emulator: SqreamEmulator, near: LogStore, far: LogStore
) -> None:
    far.stop()
    config = write_config(
        tmp_path,
        {METRIC: {"every_seconds": 0.2, "time_field": "at"}},
        loki={"url": far.url, "required": False},
    )
    with start(tmp_path, emulator, config) as shipper:
        shipper.until_ready()
        until(lambda: shipper.value("shipper_spool_lines", metric=METRIC, sink="loki") >= 3)
        assert shipper.terminate() == 0
    far.start()
    config = write(tmp_path, {"url": far.url}, {"name": "near", "url": near.url})
    with start(tmp_path, emulator, config) as shipper:
        # The first row went to the check at the gate; the next ones were polled while only the other was known.
        until(lambda: {2, 3, 4} <= set(numbers(far)) and numbers(near))
        assert min(numbers(near)) > 4


def test_once_delivers_to_every_loki_and_says_so(
    tmp_path: Path, emulator: SqreamEmulator, near: LogStore, far: LogStore
) -> None:
    config = write(tmp_path, {"name": "near", "url": near.url}, {"name": "far", "url": far.url})
    reach = ["--host", emulator.host, "--port", str(emulator.port), "--config", str(config)]
    ended = command(["once", METRIC, *reach], tmp_path)

    assert ended.exit_code == 0
    assert ended.stdout == (
        "1 row polled, 1 line delivered to loki.near, 1 line delivered to loki.far.\n"
    )
    assert numbers(near) == numbers(far)


def test_a_flag_that_could_mean_any_of_them_is_refused(
    tmp_path: Path, emulator: SqreamEmulator, near: LogStore, far: LogStore
) -> None:
    config = write(tmp_path, {"name": "near", "url": near.url}, {"name": "far", "url": far.url})
    ended = command(["check", "--config", str(config), "--loki_tenant", "ops"], tmp_path)

    assert ended.exit_code == 2
    assert "--loki_tenant: loki is a list in the file" in ended.stderr
