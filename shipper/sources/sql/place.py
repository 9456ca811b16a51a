"""Where to go on reading: sees that a cursor fits its columns, and finds the place of a start from now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from shipper.core.errors import SourceRefused
from shipper.core.record import Cursor, CursorValue, Row
from shipper.sources.sql.engines import Engine
from shipper.sources.sql.reading import Reading
from shipper.sources.sql.rows import Shape, cursor_of
from shipper.sources.sql.selection import parameters
from shipper.sources.sql.session import Turn
from shipper.sources.sql.times import EPOCH, moment

KINDS = {
    "int": "numbers",
    "float": "numbers",
    "Decimal": "numbers",
    "str": "text",
    "bytes": "bytes",
    "date": "dates",
    "time": "times of day",
    "UUID": "UUIDs",
}
"""What values of a type are called; a column of numbers may give several types of them."""

TIMES = {"dates", "times of day", "times with a zone", "times without a zone"}

SAMPLE_ROWS = 100
"""How many rows are looked at to see what the columns hold."""

BEFORE_EVERYTHING: Cursor = ()
"""The place in front of the first row: a start from now in an empty table, kept like any other cursor."""


def first_place(turn: Turn, reading: Reading, engine: Engine, *, now_ns: int) -> Cursor | None:
    """Return where to begin without a cursor; `None` for the beginning that every start finds again.

    With a lag, a start from now is behind the last row that is old enough: what is younger, and what commits late,
    is still to come.
    """
    if reading.start == "beginning":
        return None
    age = Age(reading, now_ns)
    names = reading.place_columns
    rows_looked_at = reading.page_rows if reading.lag_seconds else 1
    few = turn.few(reading.selection.newest(names, rows_looked_at))
    rows = Shape(few.columns, engine, zone=reading.zone).rows(few.rows)
    old_enough = (values for values, row in zip(few.rows, rows, strict=True) if age.is_enough(row))
    # Where there are more young rows than a page, its oldest will do.
    oldest = few.rows[-1] if len(rows) == rows_looked_at else None
    behind = next(old_enough, oldest)
    count = len(reading.selection.cursor)
    return BEFORE_EVERYTHING if behind is None else cursor_of(behind[:count], names[:count])


def see_that_it_fits(turn: Turn, reading: Reading, engine: Engine, cursor: Cursor | None) -> None:
    """Compare a cursor with some of the rows.

    Raises:
        SourceRefused: The columns cannot be a cursor, cannot tell a row's age, or are not those of this cursor.
    """
    names = reading.selection.cursor
    few = turn.few(reading.selection.sample(reading.place_columns, SAMPLE_ROWS))
    for column in few.columns[: len(names)]:
        objection = engine.objection(column)
        if objection:
            raise SourceRefused(f'cursor: column "{column.name}" {objection}')
    if cursor and len(cursor) != len(names):
        raise _misfit(reading, f"it has {len(cursor)} values for {len(names)} columns")
    places = [cursor_of(values[: len(names)], names) for values in few.rows]
    if cursor and places:
        _see_that_kinds_agree(turn, reading, engine, cursor=cursor, places=places)
    rows = Shape(few.columns, engine, zone=reading.zone).rows(few.rows)
    Age(reading, 0).see_that_it_can_be_told(rows)


class Age:
    """Tells which rows are old enough to be read."""

    def __init__(self, reading: Reading, now_ns: int) -> None:
        self._column = reading.age_column
        self._zone = reading.zone
        now = EPOCH + timedelta(microseconds=now_ns // 1000)
        self._newest = now - timedelta(seconds=reading.lag_seconds)

    def is_enough(self, row: Row) -> bool:
        """Whether a row may be read; one that has no time does not wait."""
        if self._column is None:
            return True
        happened = self._happened(row)
        return happened is None or happened <= self._newest

    def old_enough(self, rows: list[Row]) -> list[Row]:
        """Return the rows in front of the first that is too young."""
        if self._column is None:
            return rows
        return list(takewhile(self.is_enough, rows))

    def see_that_it_can_be_told(self, rows: Sequence[Row]) -> None:
        """Look at the column of some rows.

        Raises:
            SourceRefused: It holds something else than times.
        """
        if self._column is None:
            return
        told = [row for row in rows if self._value(row) is not None]
        if told and all(self._happened(row) is None for row in told):
            raise SourceRefused(
                f'lag_seconds: column "{self._column}" holds no time, but '
                f"{type(self._value(told[0])).__name__} values; name a column with the time in time_field"
            )

    def _happened(self, row: Row) -> datetime | None:
        return moment(self._value(row), self._zone)

    def _value(self, row: Row) -> object:
        name = self._column or ""
        if name in row:
            return row[name]
        return next((row[each] for each in row if each.casefold() == name.casefold()), None)


def _see_that_kinds_agree(
    turn: Turn, reading: Reading, engine: Engine, *, cursor: Cursor, places: Sequence[Cursor]
) -> None:
    for name, kept, *found in zip(reading.selection.cursor, cursor, *places, strict=True):
        kind, kinds = _kind(kept), {_kind(each) for each in found}
        # A time that Python has none for, like infinity, is kept as text.
        if kind in kinds or (kind == "text" and kinds <= TIMES):
            continue
        if engine.mixes_types and turn.few(reading.selection.at_place(), parameters(cursor)).rows:
            continue
        raise _misfit(reading, f'column "{name}" holds {_kind(found[0])}, not {kind}')


def _kind(value: CursorValue) -> str:
    match value:
        case bool():
            return "true and false"
        case datetime():
            return "times without a zone" if value.tzinfo is None else "times with a zone"
        case _:
            return KINDS.get(type(value).__name__, type(value).__name__)


def _misfit(reading: Reading, why: str) -> SourceRefused:
    return SourceRefused(
        f"the cursor does not fit its columns: {why}; "
        f"`cursor reset {reading.metric}` forgets it and begins anew"
    )
