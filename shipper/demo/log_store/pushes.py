"""What tests and demos see and steer of pushes: records of those seen, and scripted answers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPush:
    """One push request as it arrived, and the status it got; 0 when it got no whole answer.

    `client` is host and port of the connection's far end: the same for requests that share one.
    """

    path: str
    headers: Mapping[str, str]
    body_bytes: int
    content_type: str
    content_encoding: str
    status: int
    streams: int
    entries: int
    client: tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A scripted answer to one push, or to all until cleared when `repeat`.

    `delay_seconds` passes before it. `close` ends the connection after it. With `store_anyway` the
    entries are stored first, so that the sender loses only the answer. `never` takes the body and
    stays silent until the script is cleared, then cuts the connection. `cut` sends half of the
    answer's status line and cuts the connection.
    """

    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    close: bool = False
    store_anyway: bool = False
    never: bool = False
    cut: bool = False
    repeat: bool = False


class Script:
    """The answers that come before normal handling; used from tests and the server's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: deque[Answer] = deque()
        self._generation = 0

    def script(self, answers: Iterable[Answer]) -> None:
        """Add answers; each push takes one, in this order."""
        with self._lock:
            self._answers.extend(answers)

    def clear(self) -> None:
        """Forget the answers that are left, and let go of pushes that wait for one."""
        with self._lock:
            self._answers.clear()
            self._generation += 1

    def take(self) -> Answer | None:
        """Return the answer to the push that came, or None for normal handling."""
        with self._lock:
            if not self._answers:
                return None
            return self._answers[0] if self._answers[0].repeat else self._answers.popleft()

    @property
    def left(self) -> int:
        """How many answers wait; a repeated one counts once."""
        with self._lock:
            return len(self._answers)

    @property
    def generation(self) -> int:
        """Counts the clearings; a waiting push is let go when it changes."""
        with self._lock:
            return self._generation
