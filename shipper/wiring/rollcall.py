"""What the supervisor tells the web process: which workers run, and what only it can count."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shutil import disk_usage

from shipper import __version__
from shipper.live.board import SUPERVISOR
from shipper.live.feed import FeedSender
from shipper.supervise.lifecycle import Worker
from shipper.telemetry import families
from shipper.telemetry.log import tell_due
from shipper.telemetry.tally import Tally


class Rollcall:
    """Keeps the supervisor's own counters and sends them with the state of every metric's worker."""

    def __init__(self, feed: FeedSender, state_dir: Path) -> None:
        self._feed = feed
        self._state_dir = state_dir
        self._hung: Counter[str] = Counter()

    def hung(self, name: str) -> None:
        """Count a poll that was ended by killing its worker, which cannot count it any more."""
        self._hung[name] += 1

    def report(self, workers: Mapping[str, Worker], pids: Mapping[str, int]) -> None:
        """Send who runs, with which pid, and why those that do not run ended; and tell what repeats itself."""
        tell_due()
        self._feed.send(
            {
                "origin": SUPERVISOR,
                "pid": 0,
                "state": {
                    "workers": {
                        name: _shown(worker, pids.get(name, 0)) for name, worker in workers.items()
                    }
                },
                "tally": self._tally(workers, pids).snapshot(),
            }
        )

    def _tally(self, workers: Mapping[str, Worker], pids: Mapping[str, int]) -> Tally:
        """Return what is counted of the metrics there are now, so that those of a removed one vanish."""
        tally = Tally()
        tally.show(families.BUILD, __version__, platform.python_version(), value=1)
        with suppress(
            OSError
        ):  # a directory that is gone has no room, and is told by whoever needs it
            tally.show(families.STATE_DIR_FREE, value=disk_usage(self._state_dir).free)
        for name, worker in workers.items():
            tally.show(families.WORKER_UP, name, value=float(name in pids))
            tally.show(families.WORKER_RESTARTS, name, value=worker.restarts)
            if self._hung[name]:
                tally.count(families.POLLS, name, "timeout", by=self._hung[name])
        return tally


def _shown(worker: Worker, pid: int) -> dict[str, object]:
    return {
        "phase": str(worker.phase),
        "pid": pid,
        "restarts": worker.restarts,
        "reason": worker.reason,
    }
