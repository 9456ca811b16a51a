"""Rows that are kept as the lines they become, and are parsed again only where somebody looks at their fields.

What is parsed and written as JSON at once, some hundred rows at a time, stays in the CPU's cache. A batch of 5,000
dictionaries does not: each has to be fetched from memory once more when it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import orjson

from shipper.core.json_lines import json_lines
from shipper.core.record import Row


class JsonRows(Sequence[Row]):
    """Rows with their lines, the same that `json_lines` makes of them.

    Attributes:
        lines: Every row as compact JSON.
    """

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._kept: dict[int, Row] = {}

    def add(self, rows: Sequence[Row], *, tells_all: bool) -> None:
        """Add rows, and let go of them where their lines tell all of them, as they do of what orjson read.

        Others, which may hold what JSON does not know, like NaN, stay as they are.
        """
        if not tells_all:
            self._kept |= enumerate(rows, len(self.lines))
        self.lines += json_lines(rows)

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[Row]:
        if not self._kept:
            return map(orjson.loads, self.lines)
        return map(self._row, range(len(self.lines)))

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Row]: ...

    def __getitem__(self, place: int | slice) -> Row | Sequence[Row]:
        places = range(len(self.lines))[place]
        return self._row(places) if isinstance(places, int) else [self._row(at) for at in places]

    def _row(self, place: int) -> Row:
        kept = self._kept.get(place)
        if kept is not None:
            return kept
        row: Row = orjson.loads(self.lines[place])
        return row
