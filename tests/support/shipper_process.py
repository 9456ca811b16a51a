"""Runs the whole program as an operator does: starts it, looks at it from outside, and leaves nothing of it behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from shipper.demo.sqream import SqreamEmulator

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 40.0
"""How long a busy machine may take to what an idle one does in a second or two."""

LOOK_SECONDS = 0.05
REQUEST_SECONDS = 10.0
SEEN = TypeVar("SEEN")

_SERVING = re.compile(r"Serving (http://[^\s/]+)/")


class NotYet(AssertionError):
    """What a test waited for did not come."""


def until(condition: Callable[[], SEEN], *, within_seconds: float = PATIENCE_SECONDS) -> SEEN:
    """Wait until `condition` returns something true, and return that; a page that is not served yet is not true.

    Raises:
        NotYet: It did not within the time.
    """
    deadline = time.monotonic() + within_seconds
    last: object = None
    while time.monotonic() <= deadline:
        try:
            if seen := condition():
                return seen
            last = seen
        except urllib3.exceptions.HTTPError as error:
            last = error
        time.sleep(LOOK_SECONDS)
    raise NotYet(f"not true within {within_seconds:g} s; last seen: {last!r}")


def write_config(folder: Path, metrics: Mapping[str, Any], **sections: Any) -> Path:
    """Write a configuration in the full form and return its path."""
    path = folder / "metrics.json"
    path.write_text(json.dumps({**sections, "metrics": metrics}))
    return path


def far_ends(emulator: SqreamEmulator, loki_url: str, config: Path | None = None) -> list[str]:
    """Return the flags that lead to the test's far ends, and to its configuration."""
    reach = ["--host", emulator.host, "--port", str(emulator.port), "--loki_url", loki_url]
    return reach if config is None else [*reach, "--config", str(config)]


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that came to its end."""

    exit_code: int
    stdout: str
    stderr: str


def command(
    arguments: Sequence[str],
    folder: Path,
    *,
    program: Path = ROOT / "main.py",
    variables: Mapping[str, str] | None = None,
) -> Ended:
    """Run one command to its end, and see that nothing of it lives on."""
    with ShipperProcess(arguments, folder, program=program, variables=variables) as shipper:
        exit_code = shipper.wait()
        shipper.until_nothing_lives()
        return Ended(exit_code, shipper.stdout, shipper.stderr)


class ShipperProcess:
    """A running `python main.py ...`; it and its descendants have a session to themselves, and so can be found.

    State and output lie in `folder`. Commands that take flags get a state directory there, and a port that
    the system chooses.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        *,
        program: Path = ROOT / "main.py",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._arguments = [sys.executable, str(program), *arguments]
        if arguments[0] in ("run", "check", "once", "demo"):
            self._arguments += ["--state_dir", str(folder / "state")]
            if "--http_port" not in arguments:
                self._arguments += ["--http_port", "0"]
        self._folder = folder
        self._where = program.parent
        ours = {name: text for name, text in os.environ.items() if not name.startswith("SHIPPER_")}
        # A wide terminal without colours, so that sentences stay whole.
        self._variables = {**ours, "COLUMNS": "500", "NO_COLOR": "1", **(variables or {})}
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (
            (self._folder / "stdout").open("wb") as stdout,
            (self._folder / "stderr").open("wb") as stderr,
        ):
            self._child = subprocess.Popen(
                self._arguments,
                cwd=self._where,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            sys.stdout.write(f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}\n")
        while living := self.living():
            for process in living:
                process.kill()
            self._popen.poll()
        self._popen.wait()

    @property
    def pid(self) -> int:
        """The supervisor's process, or that of a command."""
        return self._popen.pid

    @property
    def stdout(self) -> str:
        """What was printed so far."""
        return (self._folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        """What was logged so far."""
        return (self._folder / "stderr").read_text()

    @property
    def address(self) -> str:
        """Where it serves, as its log says; waits for that line.

        Raises:
            NotYet: It ended before, or took too long.
        """

        def said() -> re.Match[str] | None:
            found = _SERVING.search(self.stderr) or _SERVING.search(self.stdout)
            if found is None and (code := self._popen.poll()) is not None:
                raise NotYet(f"it ended with exit code {code} before it served")
            return found

        found = until(said)
        assert found is not None
        return found[1]

    def get(self, path: str, *, token: str | None = None) -> urllib3.BaseHTTPResponse:
        """Return the answer to a GET request."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return urllib3.request(
            "GET", self.address + path, headers=headers, timeout=REQUEST_SECONDS, retries=False
        )

    def state(self) -> dict[str, dict[str, Any]]:
        """Return what `/api/state` says of every metric."""
        return {each["metric"]: each for each in self.get("/api/state").json()["metrics"]}

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return every sample of `/metrics`, by name and labels."""
        page = self.get("/metrics").data.decode()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """Return one sample of `/metrics`; 0 while there is none."""
        return self.metrics().get((name, frozenset(labels.items())), 0.0)

    def polls(self, metric: str, result: str = "ok") -> float:
        """Return how many polls of a metric ended so."""
        return self.value("shipper_polls_total", metric=metric, result=result)

    def worker_pids(self) -> dict[str, int]:
        """Return the process of every metric; waits until all of them run."""

        def all_of_them() -> dict[str, int] | None:
            pids = {metric: int(each["pid"]) for metric, each in self.state().items()}
            return pids if all(pids.values()) else None

        pids = until(all_of_them)
        assert pids is not None
        return pids

    def until_ready(self) -> Self:
        """Wait until every required worker beats."""
        until(lambda: self.get("/ready").status == 200)
        return self

    def living(self) -> list[psutil.Process]:
        """Return every process of its session that has not ended, itself included."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def titles(self) -> list[str]:
        """Return what `ps` shows of every process of its session."""
        titles = []
        for process in self.living():
            with suppress(psutil.NoSuchProcess):
                titles.append(" ".join(process.cmdline()).strip())
        return titles

    def until_nothing_lives(self, *, within_seconds: float = 10.0) -> None:
        """Wait until no process of its session is left."""
        until(lambda: not self.living(), within_seconds=within_seconds)

    def signal(self, number: int) -> None:
        """Send a signal to the supervisor alone."""
        self._popen.send_signal(number)

    def wait(self, *, within_seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end and return the exit code."""
        return self._popen.wait(within_seconds)

    def terminate(self) -> int:
        """Ask it to stop and return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    @property
    def _popen(self) -> subprocess.Popen[bytes]:
        assert self._child is not None, "enter the block first"
        return self._child

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            ours = os.getsid(process.pid) == self.pid
            # Whether the dead are collected is a matter of the machine's first process.
            return ours and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False
