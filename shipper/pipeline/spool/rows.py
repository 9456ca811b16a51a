"""The rows of a spool: each function here is one look into its file, or one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shipper.core.record import Cursor
from shipper.pipeline.cursors import CursorUnreadable, cursor_text, read_cursor
from shipper.pipeline.spool import frame
from shipper.pipeline.spool.ahead import Head
from shipper.pipeline.spool.database import Database, SpoolDamaged
from shipper.pipeline.spool.parcel import Parcel

_COLUMNS = "sink, lines, put_ns, checksum, labels, weight_bytes, body"
_INSERT = f"INSERT INTO parcels ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own words
_INSERT_AT = f"INSERT INTO parcels ({_COLUMNS}, number) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - as above
CHECKPOINT = "SELECT kind, cursor, set_ns, checksum FROM checkpoint"
SET_CHECKPOINT = "INSERT INTO checkpoint VALUES (1, ?, ?, ?, ?)"
_SET_TOTALS = "INSERT OR REPLACE INTO totals VALUES (?, ?, ?)"
_SET_RUN = "INSERT OR REPLACE INTO run VALUES (1, ?)"

ROW_BYTES = 60
"""What a parcel takes on disk beside its body and labels: columns, index, and what is free in a page (measured)."""

_SIZE = f"length(body) + length(CAST(labels AS BLOB)) + {ROW_BYTES}"
_COUNT = f"SELECT sink, SUM(lines), SUM({_SIZE}) FROM parcels GROUP BY sink"  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Totals:
    """How much lies on disk for one sink."""

    lines: int = 0
    bytes: int = 0

    def plus(self, lines: int, size_bytes: int) -> Totals:
        """Return the sum; never less than nothing."""
        return Totals(max(0, self.lines + lines), max(0, self.bytes + size_bytes))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A cursor that was made durable.

    Attributes:
        kind: The kind of source that gave it.
        cursor: How far it was read.
        set_ns: When, nanoseconds since the Unix epoch.
    """

    kind: str
    cursor: Cursor
    set_ns: int


class Rows:
    """The parcels, their totals, the checkpoint and the name of the run.

    Everything here raises `SpoolUnusable` when the disk does not allow it, and `SpoolDamaged` when the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.database = Database(path)
        self.totals: dict[str, Totals] = {}
        self.highest = 0

    def read_totals(self) -> int:
        """Find out how much lies here, and return how many lines less than there should be."""
        promised = self._totals_by("SELECT sink, lines, bytes FROM totals")
        self.totals = self._totals_by(_COUNT)
        if self.totals != {sink: each for sink, each in promised.items() if each != Totals()}:
            with self.database.transaction(durable=False) as connection:
                connection.execute("DELETE FROM totals")
                rows = [(sink, each.lines, each.bytes) for sink, each in self.totals.items()]
                connection.executemany(_SET_TOTALS, rows)
        return max(0, _lines_in(promised) - _lines_in(self.totals))

    @property
    def lines(self) -> int:
        """How many lines lie here, for all sinks."""
        return _lines_in(self.totals)

    def totals_of(self, sink: str) -> Totals:
        """Return how much lies here for a sink."""
        return self.totals.get(sink, Totals())

    def begin_run(self, run: str) -> bool:
        """Write down which run works here from now on; True when it was another before."""
        if self.database.read("SELECT name FROM run") == [(run,)]:
            return False
        with self.database.transaction(durable=False) as connection:
            connection.execute(_SET_RUN, (run,))
        return True

    def insert(self, sink: str, parcels: Sequence[Parcel], *, run: str) -> Sequence[Parcel]:
        """Add parcels at the end, wait until the disk has them, and return them with their numbers."""
        rows = [_values(sink, parcel) for parcel in parcels]
        totals, kept = self.totals_of(sink), []
        self.database.see_to_room(sum(map(_size_bytes, rows)))
        with self.database.transaction(durable=True) as connection:
            for parcel, values in zip(parcels, rows, strict=True):
                number = connection.execute(_INSERT, values).lastrowid
                totals = totals.plus(len(parcel.stream), _size_bytes(values))
                kept.append(replace(parcel, number=number or 0))
            connection.execute(_SET_TOTALS, (sink, totals.lines, totals.bytes))
            connection.execute(_SET_RUN, (run,))
        self.totals[sink] = totals
        self.highest = max([self.highest, *(parcel.number for parcel in kept)])
        return kept

    def heads(self, sink: str, *, at_most: int) -> list[Head]:
        """Return what is known of the oldest parcels of a sink, oldest first."""
        sql = "SELECT number, labels, weight_bytes FROM parcels WHERE sink = ? ORDER BY number LIMIT ?"
        rows = self.database.read(sql, (sink, at_most))
        return [Head(*row) for row in _checked(rows, int, str, int)]

    def open_parcels(self, numbers: Sequence[int]) -> tuple[list[Parcel], list[int]]:
        """Return the parcels with these numbers in their order, and the numbers of those that are damaged."""
        places = ", ".join("?" * len(numbers))
        sql = f"SELECT number, {_COLUMNS} FROM parcels WHERE number IN ({places}) ORDER BY number"  # noqa: S608
        rows = self.database.read(sql, numbers)
        if len(rows) < len(numbers):
            raise SpoolDamaged(f"{len(numbers) - len(rows)} parcels cannot be found")
        opened: list[Parcel] = []
        damaged: list[int] = []
        for number, *values in rows:
            try:
                opened.append(_opened(number, values))
            except frame.FrameDamaged:
                damaged.append(number)
        self.highest = max(self.highest, *numbers)
        return opened, damaged

    def body(self, number: int) -> tuple[int, bytes]:
        """Return how many lines a damaged parcel has, as far as it can say so, and its body as it is."""
        sql = "SELECT lines, CAST(body AS BLOB) FROM parcels WHERE number = ?"
        for lines, body in self.database.read(sql, (number,)):
            return lines if isinstance(lines, int) else 0, body or b""
        return 0, b""

    def sizes(self, sink: str, *, at_most: int) -> list[tuple[int, int, int]]:
        """Return number, lines and bytes of the oldest parcels of a sink, oldest first."""
        sql = f"SELECT number, lines, {_SIZE} FROM parcels WHERE sink = ? ORDER BY number LIMIT ?"  # noqa: S608
        rows = self.database.read(sql, (sink, at_most))
        return [(number, lines, size) for number, lines, size in _checked(rows, int, int, int)]

    def oldest_put_ns(self, sink: str) -> int | None:
        """Return since when the oldest parcel of a sink waits."""
        sql = "SELECT put_ns FROM parcels WHERE sink = ? ORDER BY number LIMIT 1"
        for (put_ns,) in _checked(self.database.read(sql, (sink,)), int):
            return int(put_ns)
        return None

    def delete(self, sink: str, numbers: Sequence[int]) -> None:
        """Take parcels away; after a power failure they may be there again."""
        self._exchange(sink, numbers, None, durable=False)

    def replace(self, sink: str, numbers: Sequence[int], left: Parcel) -> None:
        """Put a parcel in the place of others, and wait until the disk has it."""
        self._exchange(sink, numbers, left, durable=True)

    def checkpoint(self) -> Checkpoint | None:
        """Return the cursor that was made durable last.

        Raises:
            CursorUnreadable: There is one, and it makes no sense.
        """
        for row in self.database.read(CHECKPOINT):
            if not is_whole_checkpoint(row):
                raise CursorUnreadable("the checksum is wrong")
            kind, text, set_ns, _ = row
            return Checkpoint(kind, read_cursor(text), set_ns)
        return None

    def set_checkpoint(self, checkpoint: Checkpoint | None) -> None:
        """Remember a cursor instead of the one before, or none."""
        # An older cursor after a power failure only lets lines come twice, so nobody waits for the disk.
        with self.database.transaction(durable=False) as connection:
            connection.execute("DELETE FROM checkpoint")
            if checkpoint is not None:
                values = (checkpoint.kind, cursor_text(checkpoint.cursor), checkpoint.set_ns)
                connection.execute(SET_CHECKPOINT, (*values, frame.checksum(b"", *values)))

    def _exchange(
        self, sink: str, numbers: Sequence[int], left: Parcel | None, *, durable: bool
    ) -> None:
        totals = self.totals_of(sink)
        with self.database.transaction(durable=durable) as connection:
            for number in numbers:
                totals = totals.plus(*_take_away(connection, number))
            if left is not None:
                values = _values(sink, left)
                connection.execute(_INSERT_AT, (*values, numbers[0]))
                totals = totals.plus(len(left.stream), _size_bytes(values))
            connection.execute(_SET_TOTALS, (sink, totals.lines, totals.bytes))
        self.totals[sink] = totals

    def _totals_by(self, sql: str) -> dict[str, Totals]:
        rows = _checked(self.database.read(sql), str, int, int)
        return {sink: Totals(lines, size_bytes) for sink, lines, size_bytes in rows}


def is_whole(row: Sequence[Any]) -> bool:
    """Tell whether a row of parcels, without the number, is what was written."""
    kinds = (str, int, int, int, str, int, bytes)
    if not all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True)):
        return False
    *beside, body = row
    wanted = beside.pop(3)
    return bool(frame.checksum(body, *beside) == wanted)


def _opened(number: int, values: Sequence[Any]) -> Parcel:
    if not is_whole(values):
        raise frame.FrameDamaged("the checksum is wrong")
    _, _, put_ns, _, labels, weight_bytes, body = values
    return Parcel(frame.unpack(body, labels), weight_bytes, put_ns, number)


def is_whole_checkpoint(row: Sequence[Any]) -> bool:
    """Tell whether a row of `CHECKPOINT` is what was written."""
    kinds = (str, str, int, int)
    if not all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True)):
        return False
    return bool(frame.checksum(b"", *row[:-1]) == row[-1])


def _values(sink: str, parcel: Parcel) -> tuple[Any, ...]:
    """Return a parcel as the columns of its row, without the number."""
    labels = frame.labels_text(parcel.stream.labels)
    body = frame.pack(parcel.stream)
    lines = len(parcel.stream)
    checksum = frame.checksum(body, sink, lines, parcel.put_ns, labels, parcel.weight_bytes)
    return sink, lines, parcel.put_ns, checksum, labels, parcel.weight_bytes, body


def _size_bytes(values: tuple[Any, ...]) -> int:
    """Return what a row counts for, the same as `_SIZE`."""
    *_, labels, _, body = values
    return len(body) + len(labels.encode()) + ROW_BYTES


def _take_away(connection: sqlite3.Connection, number: int) -> tuple[int, int]:
    """Delete a parcel and return what the totals change by."""
    sql = f"DELETE FROM parcels WHERE number = ? RETURNING lines, {_SIZE}"  # noqa: S608 - as above
    for lines, size_bytes in connection.execute(sql, (number,)).fetchall():
        return -lines, -size_bytes
    return 0, 0


def _checked(rows: list[tuple[Any, ...]], *kinds: type) -> list[tuple[Any, ...]]:
    """Return rows whose values are of the types they were written with; SQLite itself does not insist."""
    for row in rows:
        if not all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True)):
            raise SpoolDamaged("a value came back as another type")
    return rows


def _lines_in(totals: dict[str, Totals]) -> int:
    return sum(each.lines for each in totals.values())
