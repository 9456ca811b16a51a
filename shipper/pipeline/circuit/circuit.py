"""One circuit per destination, shared by all worker processes through a small file.

The file holds numbers of eight bytes: the fields of `State`, then the moment of the newest success. It is read through
a mapping, which costs nothing, and written with `pwrite`, because a write to a mapping kills the process when the disk
is full. The lock on it (`flock`) is held for microseconds only, and the kernel lets go of it when its holder is killed.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, fields
from pathlib import Path
from random import Random

from shipper.core.clock import Clock
from shipper.pipeline.backoff import Outage
from shipper.pipeline.circuit import rules
from shipper.pipeline.circuit.rules import BACKOFF, Phase, State

SUFFIX = ".circuit"

LOCK_TRIES = 50
"""How often the lock is tried, 1 to 10 ms apart, before its holder is taken for frozen and passed over."""

_NUMBERS = len(fields(State))
_STATE = struct.Struct(f"={_NUMBERS}d")
_NUMBER = struct.Struct("=d")
_PHASE = 0
_LAST_PASSED = _NUMBERS
_SIZE_BYTES = _STATE.size + _NUMBER.size


class Circuit:
    """Says before every push whether the destination is to be left alone. One for each process and thread.

    A push that `wait_seconds` let through is ended with one of `passed`, `failed` and `let_go`. Nothing here raises:
    where the file cannot be used, the circuit works for this process alone.

    Attributes:
        alone_because: Why nothing is shared with others; empty when it is.
    """

    def __init__(self, path: Path, *, clock: Clock, random: Random) -> None:
        self.alone_because = ""
        self._clock = clock
        self._random = random
        self._view = memoryview(bytearray(_SIZE_BYTES)).cast("d")
        self._mapped: mmap.mmap | None = None
        self._file = -1
        self._lock_tries = LOCK_TRIES
        self._began_seconds = 0.0
        self._holds = False
        self._own_failures = 0
        self._own_failed_seconds = 0.0
        self._own_until_seconds = 0.0
        try:
            self._share(path)
        except OSError as error:
            self._go_alone(error)

    def wait_seconds(self) -> float:
        """Return 0 when a push may begin now, else how long to wait before asking again."""
        now = self._clock.monotonic_seconds()
        if self._view[_PHASE] == Phase.CLOSED and not self._own_until_seconds:
            self._began_seconds = now
            return 0.0
        return self._ask()

    def passed(self) -> Outage | None:
        """The push got an answer that shows that the destination takes lines.

        Returns:
            The outage that it has ended, for all workers or for this one alone; `None` for none.
        """
        now = self._clock.monotonic_seconds()
        own_failures, self._own_failures, self._own_until_seconds = self._own_failures, 0, 0.0
        self._put(_LAST_PASSED, _NUMBER.pack(now))
        before, after = self._end(
            lambda state, now: rules.passed(state, now, began_seconds=self._began_seconds)
        )
        if (before.phase, after.phase) == (Phase.OPEN, Phase.RAMPING):
            return Outage(now - before.since_seconds, round(before.failures))
        return Outage(now - self._own_failed_seconds, own_failures) if own_failures else None

    def failed(self, retry_after_seconds: float | None = None) -> bool:
        """The destination takes nothing from anybody now.

        Args:
            retry_after_seconds: How long the far end asked us to wait; `None` when it did not say.

        Returns:
            Whether this opened the circuit for all, or is the first failure in a row of this worker alone.
        """
        self._holds = False
        with self._locked():
            now = self._clock.monotonic_seconds()
            before = self._read(now)
            state = rules.failed(
                before,
                now,
                self._random,
                began_seconds=self._began_seconds,
                last_passed_seconds=self.last_passed_seconds,
                retry_after_seconds=retry_after_seconds,
            )
            self._write(state)
        if state.phase != Phase.CLOSED:
            return state.phase == Phase.OPEN and before.phase != Phase.OPEN
        # Others are served, so nobody else is stopped: only we wait.
        self._own_failures += 1
        if self._own_failures == 1:
            self._own_failed_seconds = now
        own_seconds = BACKOFF.wait_seconds(self._own_failures, self._random)
        self._own_until_seconds = now + own_seconds
        return self._own_failures == 1

    def let_go(self) -> None:
        """The push ended without telling anything about the destination, or was not made."""
        self._end(lambda state, _: rules.let_go(state, began_seconds=self._began_seconds))

    @property
    def last_passed_seconds(self) -> float:
        """When a push of anybody to this destination passed last, on the monotonic clock; 0 before the first."""
        return min(self._view[_LAST_PASSED], self._clock.monotonic_seconds())

    def close(self) -> None:
        """Let go of the file, and of the push that was let through. Safe to call twice."""
        if self._holds:
            self.let_go()
        self._let_go_of_file()

    @staticmethod
    def forget_all(folder: Path) -> None:
        """Remove what a former run left in a folder; to be called before the first circuit is made."""
        for path in folder.glob(f"*{SUFFIX}"):
            # Where it cannot be removed it cannot be opened for writing either, and nobody will read it.
            with suppress(OSError):
                path.unlink()

    def _share(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Takes the room on the disk now, and leaves what another process wrote already.
        os.posix_fallocate(self._file, 0, _SIZE_BYTES)
        self._mapped = mmap.mmap(self._file, _SIZE_BYTES, prot=mmap.PROT_READ)
        self._view = memoryview(self._mapped).cast("d")

    def _ask(self) -> float:
        if self._holds:
            self.let_go()
        with self._locked():
            now = self._clock.monotonic_seconds()
            before = self._read(now)
            if before.phase == Phase.CLOSED and now < self._own_until_seconds:
                return self._own_until_seconds - now
            state, wait_seconds = rules.admit(before, now, self._random)
            self._write(state)
        self._own_until_seconds = 0.0
        self._began_seconds = now
        self._holds = wait_seconds == 0 and state.phase != Phase.CLOSED
        return wait_seconds

    def _end(self, rule: Callable[[State, float], State]) -> tuple[State, State]:
        """End the push by a rule, and return the states before and after; needs no lock while nobody has trouble."""
        self._holds = False
        if self._view[_PHASE] == Phase.CLOSED:
            return State(), State()
        with self._locked():
            now = self._clock.monotonic_seconds()
            before = self._read(now)
            after = rule(before, now)
            self._write(after)
            return before, after

    def _read(self, now: float) -> State:
        return rules.credible(State(*self._view[:_NUMBERS]), now)

    def _write(self, state: State) -> None:
        self._put(_PHASE, _STATE.pack(*astuple(state)))

    def _put(self, place: int, packed: bytes) -> None:
        """Write numbers at once, so that nobody who is killed leaves half of them."""
        try:
            if self._file >= 0:
                os.pwrite(self._file, packed, place * _NUMBER.size)
                return
        except OSError as error:
            self._go_alone(error)
        for index, (number,) in enumerate(_NUMBER.iter_unpack(packed), place):
            self._view[index] = number

    @contextmanager
    def _locked(self) -> Iterator[None]:
        held = self._lock()
        try:
            yield
        finally:
            if held and self._file >= 0:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _lock(self) -> bool:
        """Take the lock; False when nobody shares the file, or its holder does not move.

        To go on without it is safe: a frozen holder changes nothing, and when it is woken its one write puts the state
        back to an older one, from which the rules find out again.
        """
        tries, self._lock_tries = self._lock_tries, 1
        for _ in range(tries if self._file >= 0 else 0):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(self._random.uniform(0.001, 0.01))
            except OSError as error:
                self._go_alone(error)
                break
            else:
                self._lock_tries = LOCK_TRIES
                return True
        return False

    def _go_alone(self, error: OSError) -> None:
        self.alone_because = f"{error.strerror or error}"
        self._let_go_of_file()

    def _let_go_of_file(self) -> None:
        """Go on with the state as it was, in memory of our own."""
        shared, self._view = self._view, memoryview(bytearray(_SIZE_BYTES)).cast("d")
        self._view[:] = shared
        shared.release()
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
