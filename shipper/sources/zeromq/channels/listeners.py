"""Who listens to which channel, how far each has heard, and how it learns of more. Belongs to the server's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from shipper.sources.zeromq.channels.history import Farewell, History

PORTION_RECORDS = 256
"""How many messages a client gets at once, before others have their turn."""


class Left(Exception):
    """Nobody listens any more."""


@dataclass(slots=True, eq=False)
class Listener:
    """One client.

    It has no queue: what it has not heard yet is in the history, which is bounded.

    Attributes:
        name: The channel it listens to.
        history: The life of that channel; `None` while nobody has heard of it.
        heard: How many of its messages it has heard, with those that were passed over before it came.
    """

    name: str
    history: History | None = None
    heard: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _has_left: bool = False

    def wake(self) -> None:
        """Say that there is something new."""
        self._news.set()

    def leave(self) -> None:
        """Say that nobody listens any more."""
        self._has_left = True
        self._news.set()

    async def more(self, idle_seconds: float) -> bool:
        """Wait until there is something new; False when its channel is unknown and stays so for too long.

        Raises:
            Left: Nobody listens any more.
        """
        # How long a channel that is known may be silent is decided where it is kept.
        patience = idle_seconds if self.history is None else None
        try:
            async with asyncio.timeout(patience):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        if self._has_left:
            raise Left
        return True


class Listeners:
    """Everybody who listens.

    Attributes:
        find: Returns the newest life of a channel.
        lock: Held while a history is looked into, because another thread lets it grow.
    """

    def __init__(self, find: Callable[[str], History | None], lock: Lock) -> None:
        self._find = find
        self._lock = lock
        self._by_name: dict[str, set[Listener]] = {}

    @contextmanager
    def joined(self, name: str) -> Iterator[Listener]:
        """Let one more listen to a channel for the time of the block."""
        listener = Listener(name)
        self._by_name.setdefault(name, set()).add(listener)
        try:
            yield listener
        finally:
            others = self._by_name[name]
            others.discard(listener)
            if not others:
                del self._by_name[name]

    def wake(self, names: Collection[str]) -> None:
        """Wake those who listen to these channels."""
        for name in names:
            for listener in self._by_name.get(name, ()):
                listener.wake()

    def portion(self, listener: Listener) -> list[str] | Farewell | None:
        """Return what comes next for a listener, and take it for heard; `None` when it has to wait."""
        with self._lock:
            if listener.history is None:
                listener.history = self._find(listener.name)
                if listener.history is None:
                    return None
                listener.heard = listener.history.passed_over
            portion = listener.history.portion(listener.heard, PORTION_RECORDS)
        if isinstance(portion, list):
            listener.heard += len(portion)
        return portion
