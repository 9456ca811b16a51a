"""What the supervisor tells the web process: which workers run, and what only it can count."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping

from shipper import __version__
from shipper.live.board import SUPERVISOR
from shipper.live.feed import FeedSender
from shipper.supervise.lifecycle import Worker
from shipper.telemetry import families
from shipper.telemetry.tally import Tally


class Rollcall:
    """Keeps the supervisor's own counters and sends them with the state of every metric's worker."""

    def __init__(self, metrics: Iterable[str], feed: FeedSender) -> None:
        self._metrics = tuple(metrics)
        self._feed = feed
        self._tally = Tally()
        self._tally.show(families.BUILD, __version__, platform.python_version(), value=1)

    def hung(self, name: str) -> None:
        """Count a poll that was ended by killing its worker, which cannot count it any more."""
        self._tally.count(families.POLLS, name, "timeout")

    def report(self, workers: Mapping[str, Worker], pids: Mapping[str, int]) -> None:
        """Send who runs, with which pid, and why those that do not run ended."""
        for name in self._metrics:
            self._tally.show(families.WORKER_UP, name, value=float(name in pids))
            self._tally.show(families.WORKER_RESTARTS, name, value=workers[name].restarts)
        state = {name: _shown(workers[name], pids.get(name, 0)) for name in self._metrics}
        self._feed.send(
            {
                "origin": SUPERVISOR,
                "pid": 0,
                "state": {"workers": state},
                "tally": self._tally.snapshot(),
            }
        )


def _shown(worker: Worker, pid: int) -> dict[str, object]:
    return {
        "phase": str(worker.phase),
        "pid": pid,
        "restarts": worker.restarts,
        "reason": worker.reason,
    }
