"""Watches the time while another thread waits for a database: first the query is cancelled, then the connection cut."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType
from typing import Self

GRACE_SECONDS = 1.0
"""Time between the steps, at most."""


@dataclass(frozen=True, slots=True)
class Stages:
    """When what happens to a query that takes too long, in seconds from its start.

    Attributes:
        server: The server is told to stop it by itself.
        cancel: The server is asked to stop it.
        cut: The connection is cut.
    """

    server: float
    cancel: float
    cut: float

    @classmethod
    def within(cls, seconds: float) -> Stages:
        """Return stages that end after `seconds`."""
        grace = min(GRACE_SECONDS, seconds / 10)
        return cls(seconds - 2 * grace, seconds - grace, seconds)


class Watch:
    """Acts when the block it is around takes longer than it may; what was acted on is of no use afterwards.

    Attributes:
        late: Whether it has acted.
    """

    def __init__(self, *steps: tuple[float, Callable[[], object]]) -> None:
        """Make a watch that takes each step at its time, in seconds from the beginning of the block."""
        self._steps = steps
        self._done = Event()
        self._thread = Thread(target=self._wait, name="sql deadline", daemon=True)
        self._began_seconds = 0.0
        self.late = False

    def __enter__(self) -> Self:
        self._began_seconds = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _wait(self) -> None:
        for after_seconds, act in self._steps:
            left_seconds = self._began_seconds + after_seconds - time.monotonic()
            if self._done.wait(max(left_seconds, 0.0)):
                return
            self.late = True
            # In a thread of its own: a server that does not answer must not hold up the next step.
            Thread(target=_do, args=(act,), name="sql deadline", daemon=True).start()


def _do(act: Callable[[], object]) -> None:
    # Drivers raise what they like, and there is nothing left to try here.
    with contextlib.suppress(Exception):
        act()
