"""Faults on request: a test or a demo decides, at any time, what goes wrong and how often.

hang = emulator.faults.add(Fault(at=Step.EXECUTE, function="show_locks", action=Hang()))
hang.struck.wait(5)
hang.clear()
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias


class Step(Enum):
    """Where in a session a fault strikes."""

    CONNECT = auto()
    """TCP is accepted; nothing was read or said yet, not even the TLS handshake."""
    LOGIN = auto()
    PREPARE = auto()
    EXECUTE = auto()
    FETCH = auto()
    """Before the answer to `fetch`."""
    BLOCK = auto()
    """In the middle of the binary block: one half of it was sent."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing until the fault is cleared or the emulator stops; then go on as if well."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait before going on; clearing the fault ends the wait."""

    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the connection."""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """Answer with an error text; the session goes on."""

    text: str


Action: TypeAlias = Hang | Delay | Cut | ErrorAnswer

SHUTTING_DOWN = ErrorAnswer(
    "Server is shutting down, no new connections are possible at the moment."
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        at: The step at which it strikes.
        action: What happens.
        function: Strike only statements that call this function; None strikes all.
            `select 1` is called `1`.
        times: How often it strikes before it is over; None means until it is cleared.
    """

    at: Step
    action: Action
    function: str | None = None
    times: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.action, ErrorAnswer) and self.at in (Step.CONNECT, Step.BLOCK):
            raise ValueError(f"there is no answer at {self.at.name} that could be an error")
        if self.function is not None and self.at in (Step.CONNECT, Step.LOGIN):
            raise ValueError(f"no function is known yet at {self.at.name}")

    def matches(self, step: Step, function: str) -> bool:
        """Return whether the fault is meant for this step of this function."""
        return self.at is step and self.function in (None, function)


class ActiveFault:
    """A fault that was added; it tells when it struck and can be cleared.

    Attributes:
        struck: Set from the first strike on.
        over: Set once the fault was cleared.
    """

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.struck = threading.Event()
        self.over = threading.Event()
        self._strikes = 0
        self._lock = threading.Lock()

    @property
    def strikes(self) -> int:
        """How often it has struck."""
        return self._strikes

    def clear(self) -> None:
        """End the fault; whoever hangs or waits because of it goes on."""
        self.over.set()

    def strike(self) -> bool:
        """Take one strike; return False when none is left."""
        with self._lock:
            spent = self.fault.times is not None and self._strikes >= self.fault.times
            if spent or self.over.is_set():
                return False
            self._strikes += 1
        self.struck.set()
        return True


class Faults:
    """The faults of one emulator; safe to use from any thread."""

    def __init__(self) -> None:
        self._added: list[ActiveFault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> ActiveFault:
        """Let `fault` strike from now on."""
        active = ActiveFault(fault)
        with self._lock:
            self._added.append(active)
        return active

    def clear(self) -> None:
        """End all faults."""
        with self._lock:
            cleared, self._added = self._added, []
        for active in cleared:
            active.clear()

    def strike(self, step: Step, function: str = "") -> list[ActiveFault]:
        """Return the faults that strike here, in the order they were added."""
        with self._lock:
            self._added = [active for active in self._added if not active.over.is_set()]
            meant = [active for active in self._added if active.fault.matches(step, function)]
        return [active for active in meant if active.strike()]
