"""No process outlives the supervisor, not even one that is frozen."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import Column, SqreamEmulator, WireType
from tests.support.shipper_process import ShipperProcess, far_ends, until, write_config

METRICS = {"show_locks": 0.25, "show_conf": 0.25}


@pytest.fixture
def shipper(tmp_path: Path) -> Iterator[ShipperProcess]:
    config = write_config(tmp_path, METRICS)
    with SqreamEmulator() as emulator, LogStore() as store:
        for function in METRICS:
            emulator.serve(function, [Column("n", WireType.BIGINT)], [(1,)])
        with ShipperProcess(["run", *far_ends(emulator, store.url, config)], tmp_path) as running:
            yield running.until_ready()


@pytest.mark.parametrize("title", ["shipper: show_locks", "shipper: web"])
def test_a_frozen_process_does_not_outlive_a_supervisor_that_is_killed(
    shipper: ShipperProcess, title: str
) -> None:
    (frozen,) = [each for each in shipper.living() if " ".join(each.cmdline()).strip() == title]
    frozen.suspend()
    until(lambda: frozen.status() == psutil.STATUS_STOPPED)
    shipper.signal(signal.SIGKILL)

    shipper.until_nothing_lives(within_seconds=10)
