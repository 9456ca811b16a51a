"""Runs a command and posts what happens to it: STARTED, a BEAT now and then, and DONE or FAILED.

The command comes first: it starts at once, posting happens beside it, and its exit code is ours.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess  # nosec B404
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event as Flag
from threading import Thread
from types import FrameType

from shipper.wiring.job_event.post import Event, NotTaken, Service

FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
)
"""What batch systems send to ask for an end, to warn of one, or to let a job go on."""

BY_SIGNAL, NOT_EXECUTABLE, NOT_FOUND = 128, 126, 127
"""Exit codes as a shell has them; that of a signal has its number added."""

KEYBOARD = 0


@dataclass(slots=True)
class Around:
    """A command, and what is posted of it.

    Attributes:
        service: Where events go.
        complain: Takes why one was not taken.
        beat_seconds: How often BEAT is posted.
        obeys: Whether the command is ended when the service says that it is not needed any more.
    """

    service: Service
    complain: Callable[[str], None]
    beat_seconds: float
    obeys: bool
    needless: bool = False
    _child: subprocess.Popen[bytes] | None = None
    _early: list[int] = field(default_factory=list)
    _over: Flag = field(default_factory=Flag)
    _hurry: Flag = field(default_factory=Flag)

    def run(self, command: Sequence[str]) -> int:
        """Run a command to its end and return its exit code, as a shell has it."""
        began = self.service.clock.monotonic_seconds()
        with self._signals_forwarded():
            beating = Thread(target=self._beat, name="beat", daemon=True)
            try:
                self._child = subprocess.Popen(command)  # nosec B603 # noqa: S603 - it is what we are for
            except OSError as error:
                self.complain(f"{command[0]}: {error.strerror}")
                exit_code = exit_code_of(error)
                self._over.set()
            else:
                beating.start()
                self._send_early()
                exit_code = _as_shell(self._child.wait())
                self._over.set()
                beating.join(2 * self.service.timeout_seconds)
            self._post(self._end(exit_code, self.service.clock.monotonic_seconds() - began))
        return exit_code

    def _beat(self) -> None:
        self._post(Event("STARTED"))
        while not self._over.wait(self.beat_seconds):
            self._post(Event("BEAT"))

    def _post(self, event: Event) -> None:
        # The end of the command ends all attempts but those of the last event, and these a signal ends.
        pause = self._hurry.wait if self._over.is_set() else self._over.wait
        try:
            goes_on = self.service.post(event, pause)
        except NotTaken as error:
            self.complain(f"{event.event_class} was not taken: {error}")
            return
        if not goes_on and not self.needless and not self._over.is_set():
            self.needless = True
            if self.obeys and self._child is not None:
                self._child.terminate()

    def _end(self, exit_code: int, seconds: float) -> Event:
        payload: dict[str, object] = {"exitCode": exit_code, "seconds": round(seconds, 3)}
        if self.needless and self.obeys:
            return Event("TERMINATED", payload=json.dumps(payload))
        return Event("FAILED" if exit_code else "DONE", payload=json.dumps(payload))

    @contextmanager
    def _signals_forwarded(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._forward) for number in FORWARDED}
        try:
            yield
        finally:
            for number, reaction in before.items():
                signal.signal(number, reaction)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        if number in (signal.SIGINT, signal.SIGQUIT) and os.isatty(KEYBOARD):
            # A terminal has sent it to the command as well.
            return
        if self._over.is_set():
            self._hurry.set()
        elif self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)

    def _send_early(self) -> None:
        for number in self._early:
            if self._child is not None:
                self._child.send_signal(number)


def exit_code_of(error: OSError) -> int:
    """Return what a shell ends with when it cannot start a command."""
    return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE


def _as_shell(returncode: int) -> int:
    return returncode if returncode >= 0 else BY_SIGNAL - returncode
