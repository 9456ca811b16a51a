"""What systemd hears of the whole program, on a real datagram socket."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import Column, SqreamEmulator, WireType
from tests.support.notify import NotifySocket
from tests.support.services import free_port
from tests.support.shipper_process import ShipperProcess, far_ends, until, write_config

METRICS = {"show_locks": 0.25, "show_conf": 0.25}
NUMBERS = [Column("n", WireType.BIGINT)]
WATCHDOG_SECONDS = 1.5
DRAIN_SECONDS = 3


@pytest.fixture
def emulator() -> Iterator[SqreamEmulator]:
    with SqreamEmulator() as running:
        for function in METRICS:
            running.serve(function, NUMBERS, [(1,)])
        yield running


def variables(listener: NotifySocket) -> dict[str, str]:
    """Return what systemd would put into the environment."""
    return {
        "NOTIFY_SOCKET": listener.address,
        "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1_000_000)),
    }


def states(heard: list[str]) -> list[str]:
    """Return everything heard but signs of life and what the status says."""
    return [
        line.split("\n")[0]
        for line in heard
        if not line.startswith(("STATUS", "WATCHDOG", "EXTEND"))
    ]


def test_a_run_is_told_from_its_start_over_a_reload_to_its_end(
    emulator: SqreamEmulator, tmp_path: Path
) -> None:
    config = write_config(tmp_path, METRICS)
    with LogStore() as store, NotifySocket(tmp_path / "notify") as listener:
        flags = [*far_ends(emulator, store.url, config), "--drain_seconds", str(DRAIN_SECONDS)]
        with ShipperProcess(["run", *flags], tmp_path, variables=variables(listener)) as shipper:
            until(lambda: "STATUS=2 of 2 workers run" in listener.heard())
            began = time.monotonic()
            shipper.signal(signal.SIGHUP)
            until(lambda: states(listener.heard()).count("READY=1") == 2)
            os.kill(shipper.worker_pids()["show_locks"], signal.SIGKILL)
            until(
                lambda: (
                    "STATUS=1 of 2 workers run; show_locks: killed by SIGKILL" in listener.heard()
                )
            )
            store.stop()
            until(lambda: shipper.state()["show_conf"]["lines_waiting"] > 0)
            shipper.signal(signal.SIGTERM)
            until(lambda: "STOPPING=1" in listener.heard())
            before_the_drain = listener.heard().count("WATCHDOG=1")
            shipper.wait()
        heard = listener.heard()

    (reloading,) = [line for line in heard if line.startswith("RELOADING=1\nMONOTONIC_USEC=")]
    moment_seconds = int(reloading.rpartition("=")[2]) / 1_000_000
    assert states(heard) == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert began <= moment_seconds <= time.monotonic()
    assert heard.count("WATCHDOG=1") - before_the_drain >= DRAIN_SECONDS / (WATCHDOG_SECONDS / 2)


def test_who_waits_for_its_far_ends_asks_for_time_and_is_not_ready(
    emulator: SqreamEmulator, tmp_path: Path
) -> None:
    config = write_config(tmp_path, METRICS)
    nobody = f"http://127.0.0.1:{free_port()}"
    with NotifySocket(f"@shipper-{uuid4()}") as listener:
        flags = [*far_ends(emulator, nobody, config), "--wait_seconds", "60"]
        with ShipperProcess(["run", *flags], tmp_path, variables=variables(listener)) as shipper:
            until(lambda: listener.heard().count("WATCHDOG=1") >= 3)
            shipper.signal(signal.SIGTERM)
            shipper.wait()
        heard = listener.heard()

    assert "EXTEND_TIMEOUT_USEC=30000000" in heard
    assert "STATUS=Trying the startup checks" in heard
    assert "READY=1" not in heard
