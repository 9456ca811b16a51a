"""Acts when something takes too long: one thread that is armed again and again, and hardly ever wakes.

A `threading.Timer` for every query costs a thread each time, 0.3 ms where the query itself takes 0.8 ms.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Condition, Thread


class Watchdog:
    """Calls `act` once if it is not disarmed before its deadline."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._changed = Condition()
        self._deadline: float | None = None
        self._wakes_at = 0.0
        self._closed = False
        self._thread: Thread | None = None

    def arm(self, seconds: float) -> None:
        """Act `seconds` from now, unless disarmed before."""
        with self._changed:
            self._deadline = time.monotonic() + seconds
            if self._thread is None:
                self._thread = Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()
            elif self._deadline < self._wakes_at:
                self._changed.notify()

    def disarm(self) -> None:
        """Do not act; the thread is not woken for it, it will see by itself."""
        with self._changed:
            self._deadline = None

    def close(self) -> None:
        """Never act again, and let the thread end."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if self._deadline is not None and now >= self._deadline:
                    self._deadline = None
                    self._act()
                    continue
                self._wakes_at = float("inf") if self._deadline is None else self._deadline
                self._changed.wait(None if self._deadline is None else self._deadline - now)
