"""A real shipper in processes of its own: started from a configuration, looked at from outside, stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.bench.far_ends import FarEnd

MAIN = Path(__file__).parents[2] / "main.py"
PATIENCE_SECONDS = 60.0

KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(64 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 1024 * 1024),
}
"""Lets glibc keep what is freed instead of giving it back to the system, which costs page faults the next time."""


@dataclass(frozen=True, slots=True)
class ShipperRun:
    """A run under way.

    Attributes:
        supervisor: Its first process.
        address: Where its page is.
        log: What it printed.
    """

    supervisor: psutil.Process
    address: str
    log: Path

    def samples(self, name: str) -> list[Sample]:
        """Return what Prometheus would scrape under one name."""
        page = self._get("/metrics").decode()
        return [
            sample
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == name
        ]

    def polls(self) -> int:
        """Return how many polls succeeded so far."""
        polls = self.samples("shipper_polls_total")
        return int(sum(each.value for each in polls if each.labels["result"] == "ok"))

    def workers(self) -> list[psutil.Process]:
        """Return the processes that poll."""
        state = json.loads(self._get("/api/state"))
        return [psutil.Process(metric["pid"]) for metric in state["metrics"] if metric["pid"]]

    def attendants(self) -> dict[str, psutil.Process]:
        """Return the other processes by what they are."""
        workers = {process.pid for process in self.workers()}
        others = {"supervisor": self.supervisor}
        for process in self.supervisor.children(recursive=True):
            if process.pid not in workers:
                others[_kind(process)] = process
        return others

    def total(self, name: str, **labels: str) -> int:
        """Return the sum of the samples of one name that have these labels."""
        return int(
            sum(
                each.value
                for each in self.samples(name)
                if all(each.labels.get(label) == value for label, value in labels.items())
            )
        )

    def wait_for_polls(self, count: int) -> None:
        """Wait until so many polls succeeded."""
        self.wait_for(lambda: self.polls() >= count)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something is true that is asked of the page."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.supervisor.is_running():
            try:
                if condition():
                    return
            except OSError:
                pass  # the page is not served yet
            time.sleep(0.1)
        raise RuntimeError(f"not within {PATIENCE_SECONDS} s:\n{self.log.read_text()}")

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.address + path, timeout=10) as answer:  # noqa: S310 - our own page
            content: bytes = answer.read()
        return content


@contextmanager
def shipper(
    functions: Sequence[str],
    *,
    every_seconds: float,
    sqream: FarEnd,
    loki: FarEnd,
    environment: Mapping[str, str] | None = None,
) -> Iterator[ShipperRun]:
    """Run the shipper with one metric for each function."""
    document = _document(functions, every_seconds, sqream, loki)
    with configured(document, environment=environment) as run:
        yield run


@contextmanager
def configured(
    document: Mapping[str, Any], *, environment: Mapping[str, str] | None = None
) -> Iterator[ShipperRun]:
    """Run the shipper with a configuration, and with a state directory of its own."""
    with TemporaryDirectory(prefix="bench-") as folder:
        config, log, port = Path(folder, "config.json"), Path(folder, "log"), _free_port()
        config.write_text(json.dumps(document))
        arguments = {"config": config, "state_dir": Path(folder, "state"), "http_port": port}
        flags = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
        with log.open("wb") as written:
            child = subprocess.Popen(
                [sys.executable, str(MAIN), "run", *flags],
                env=_environment() | dict(environment or {}),
                stdout=written,
                stderr=subprocess.STDOUT,
            )
        try:
            yield ShipperRun(psutil.Process(child.pid), f"http://127.0.0.1:{port}", log)
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(PATIENCE_SECONDS)


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU time that processes used so far, threads that have ended included.

    Linux has a clock for every process that tells nanoseconds (`clock_getcpuclockid(3)`), while `cpu_times` of
    psutil counts in steps of 10 ms, which is ten small polls.
    """
    return sum(time.clock_gettime(~process.pid << 3 | 2) for process in processes)


def _environment() -> dict[str, str]:
    """Return ours, but let Python keep what it compiled, as it does wherever nobody forbids it."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(Path(gettempdir(), "shipper-bench-compiled"))}


def _document(
    functions: Sequence[str], every_seconds: float, sqream: FarEnd, loki: FarEnd
) -> dict[str, Any]:
    return {
        "sqream": {
            "host": "127.0.0.1",
            "port": sqream.port,
            "allow_functions": list(functions),
        },
        "loki": {"url": f"http://127.0.0.1:{loki.port}"},
        "metrics": {name: {"type": "sqream", "every_seconds": every_seconds} for name in functions},
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _kind(process: psutil.Process) -> str:
    title = " ".join(process.cmdline())
    if "shipper: web" in title:
        return "web"
    return "fork server" if "forkserver" in title else "resource tracker"
