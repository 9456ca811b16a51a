"""What changed on the board since a moment ago: worked out and encoded once, for however many look.

Every edition but the first is a difference to the one before it. Whoever misses some, because it was slow, begins
anew with the whole state.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from shipper.live.board import Board

TICK_SECONDS = 1.0
QUIET_SECONDS = 5.0
"""How long nothing may be said while nothing changes."""

EDITIONS_KEPT = 10


@dataclass(slots=True)
class Updates:
    """The editions of a board, numbered from 1.

    Attributes:
        board: What changes.
        number: The number of the newest edition.
        readers: How many follow; nothing is worked out for nobody.
    """

    board: Board
    number: int = 0
    readers: int = 0
    _rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    _noted: dict[str, int] = field(default_factory=dict)
    _head: Mapping[str, Any] = field(default_factory=dict)
    _editions: deque[str] = field(default_factory=lambda: deque(maxlen=EDITIONS_KEPT))
    _state: str = ""
    _said_seconds: float = 0.0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Make an edition a second while somebody follows."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self.readers:
                self.tick()

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Work out what changes while the block lasts."""
        if not self.readers:
            self._begin_again()
        self.readers += 1
        try:
            yield
        finally:
            self.readers -= 1

    def begin(self) -> tuple[str, int]:
        """Return the whole state as a message, and the number of the edition that it holds."""
        if not self._state:
            self._state = self._whole()
        return self._state, self.number

    def since(self, number: int) -> tuple[str, int]:
        """Return the edition after `number`, which is there, and its number; the whole state when that is forgotten."""
        missed = self.number - number
        if missed > len(self._editions):
            return self.begin()
        return self._editions[-missed], number + 1

    async def wait_beyond(self, number: int) -> None:
        """Wait for an edition after `number`."""
        while self.number <= number:
            self._news.clear()
            await self._news.wait()

    def tick(self) -> None:
        """Make an edition of what changed since the last; of nothing only now and then."""
        changed, removed, order = self._differences()
        head = self.board.head()
        differs = any(head[key] != self._head.get(key) for key in ("ready", "reasons", "sections"))
        now = self.board.clock.monotonic_seconds()
        if not (changed or removed or differs) and now - self._said_seconds < QUIET_SECONDS - 0.5:
            return
        edition: dict[str, Any] = {key: head[key] for key in ("at", "ready", "reasons")}
        edition |= {"changed": changed, "removed": removed}
        if order is not None:
            edition["order"] = order
        if head["sections"] != self._head.get("sections"):
            edition["sections"] = head["sections"]
        self._head, self._said_seconds, self._state = head, now, ""
        self.number += 1
        self._editions.append(orjson.dumps(edition).decode())
        self._news.set()

    def _differences(self) -> tuple[list[dict[str, Any]], list[str], list[str] | None]:
        names = self.board.metrics
        changed = [row for name in self.board.touched() if (row := self._changes_of(name))]
        removed = [name for name in self._rows if name not in names]
        for name in removed:
            del self._rows[name], self._noted[name]
        same = list(self._rows) == list(names)
        if not same:
            self._rows = {name: self._rows[name] for name in names}
        return changed, removed, None if same else list(names)

    def _changes_of(self, name: str) -> dict[str, Any]:
        """Return what changed of a metric, with its name; nothing if nothing did."""
        before, row = self._rows.get(name), self.board.row(name)
        durations = self.board.durations(name, self._noted.get(name, 0))
        self._rows[name], self._noted[name] = row, self.board.noted(name)
        if before is None:
            return {**row, "poll_seconds": durations}
        changes = {key: row[key] for key in row if row[key] != before.get(key)}
        if durations:
            changes["poll_seconds"] = durations
        return {"metric": name, **changes} if changes else {}

    def _begin_again(self) -> None:
        self._editions.clear()
        self._state = ""
        self.board.touched()
        self._rows = {name: self.board.row(name) for name in self.board.metrics}
        self._noted = {name: self.board.noted(name) for name in self.board.metrics}
        self._head, self._said_seconds = self.board.head(), self.board.clock.monotonic_seconds()

    def _whole(self) -> str:
        """Return the state as of the newest edition, so that the next one is a difference to it."""
        rows = [{**row, "poll_seconds": self._durations(name)} for name, row in self._rows.items()]
        return orjson.dumps({"state": {**self._head, "metrics": rows}}).decode()

    def _durations(self, name: str) -> list[float]:
        """Return the durations that were known when the newest edition was made."""
        known = self.board.durations(name)
        return known[: max(0, len(known) - (self.board.noted(name) - self._noted[name]))]
