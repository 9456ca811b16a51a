"""The program under proof: started, killed and started again on the same state, and watched from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import psutil
import urllib3
from prometheus_client.parser import text_string_to_metric_families
from urllib3.exceptions import HTTPError

from tests.support.services import free_port
from tests.support.shipper_process import ShipperProcess

UP_SECONDS = 60.0
VANISH_SECONDS = 15.0
WAIT_SECONDS = 120
PAGE_SECONDS = 2.0
LOOK_SECONDS = 0.05
WORKER_TITLE = "shipper: "
WEB_TITLE = "shipper: web"
SUPERVISOR_TITLE = "shipper: supervisor"
FORK_SERVER_WORD = "forkserver"

Sample: TypeAlias = tuple[str, frozenset[tuple[str, str]]]


class Program:
    """One run after the other of `main.py run`, in folders `run-001`, `run-002` ... that share the state.

    Attributes:
        starts: How often it was started.
        counted: What its counters added up to over all runs, as far as it was seen.
    """

    def __init__(self, folder: Path, state: Path, document: Mapping[str, Any]) -> None:
        self.starts = 0
        self.counted: Counter[Sample] = Counter()
        self._folder = folder
        self._state = state
        self._metrics = list(document["metrics"])
        self._config = folder / "config.json"
        self._config.write_text(json.dumps(document))
        self._port = free_port()
        self._run: ShipperProcess | None = None
        self._exit = ExitStack()
        self._last: dict[Sample, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    @property
    def log(self) -> Path:
        """What all runs logged."""
        return self._folder / "shipper.log"

    def start(self) -> None:
        """Start it; it need not be able to work yet."""
        self.starts += 1
        folder = self._folder / f"run-{self.starts:03}"
        folder.mkdir()
        (folder / "state").symlink_to(self._state)
        arguments = ["run", "--config", self._config, "--http_port", self._port]
        arguments += ["--log_file_path", self.log, "--wait_seconds", WAIT_SECONDS]
        self._run = ShipperProcess([str(argument) for argument in arguments], folder)
        self._exit.enter_context(self._run)

    def said(self) -> str:
        """Return what the last run printed and logged."""
        return self._running.stdout + self._running.stderr

    def exit_code(self) -> int | None:
        """Return how it ended; `None` while it runs."""
        return self._running._popen.poll()

    def is_up(self) -> bool:
        """Tell whether every worker's process and the web process run."""
        wanted = {WORKER_TITLE + metric for metric in self._metrics} | {WEB_TITLE}
        return wanted <= set(self.processes())

    def until_up(self) -> bool:
        """Wait until everything runs; False when it took too long, or the program ended."""
        deadline = time.monotonic() + UP_SECONDS
        while not self.is_up():
            if self.exit_code() is not None or time.monotonic() > deadline:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def processes(self) -> dict[str, int]:
        """Return the processes of its session by what `ps` shows of them."""
        found = {}
        for process in self._running.living():
            with suppress(psutil.NoSuchProcess):
                found[" ".join(process.cmdline()).strip()] = process.pid
        return found

    def workers(self, metrics: Sequence[str] = ()) -> list[int]:
        """Return the processes of these metrics' workers, or of all; one that is not there is left out."""
        titles = {WORKER_TITLE + metric for metric in metrics or self._metrics}
        return [pid for title, pid in self.processes().items() if title in titles]

    def web(self) -> list[int]:
        """Return the web process, if it runs."""
        return [pid for title, pid in self.processes().items() if title == WEB_TITLE]

    def fork_server(self) -> list[int]:
        """Return the process that workers are forked from, if it runs."""
        return [pid for title, pid in self.processes().items() if FORK_SERVER_WORD in title]

    def signal(self, number: int) -> None:
        """Send a signal to the supervisor."""
        self._running.signal(number)

    def kill_supervisor(self) -> int:
        """Kill the supervisor and return how many of the others lived on for too long; they are killed as well."""
        self._running.signal(signal.SIGKILL)
        self._running.wait()
        deadline = time.monotonic() + VANISH_SECONDS
        while self._running.living() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        survivors = len(self._running.living())
        self._exit.close()
        return survivors

    def kill_everything(self) -> None:
        """Kill all its processes."""
        self._exit.close()

    def terminate(self, patience_seconds: float) -> int | None:
        """Ask it to stop and return the exit code; `None` when it did not end in time and was killed."""
        self._running.signal(signal.SIGTERM)
        try:
            return self._running.wait(within_seconds=patience_seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            self._exit.close()

    def waiting(self) -> Mapping[str, int]:
        """Return how many lines of every metric wait for Loki by its own word; nothing while it does not say."""
        lines = {
            dict(labels)["metric"]: int(value)
            for (name, labels), value in self.look().items()
            if name == "shipper_spool_lines"
        }
        return lines if set(self._metrics) <= set(lines) else {}

    def look(self) -> dict[Sample, float]:
        """Read what it counts, add what is new to `counted`, and return all of it; nothing while it says nothing."""
        try:
            url = f"http://127.0.0.1:{self._port}/metrics"
            answer = urllib3.request("GET", url, timeout=PAGE_SECONDS, retries=False)
        except HTTPError:
            return {}
        samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.data.decode())
            for sample in family.samples
        }
        for key, value in samples.items():
            if key[0].endswith("_total"):
                before = self._last.get(key, 0.0)
                # A counter that fell began again at 0.
                self.counted[key] += int(value - before if value >= before else value)
                self._last[key] = value
        return samples

    @property
    def _running(self) -> ShipperProcess:
        assert self._run is not None, "start it first"
        return self._run
