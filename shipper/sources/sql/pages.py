"""Reads a table or a query page by page: in the order of its cursor, or without one as pieces of one long answer."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy.sql import ClauseElement

from shipper.core.clock import Clock
from shipper.core.record import Cursor, Row
from shipper.sources.sql.engines import Column, Engine, Values
from shipper.sources.sql.place import Age, first_place, see_that_it_fits
from shipper.sources.sql.reading import Reading
from shipper.sources.sql.rows import Shape, cursor_of
from shipper.sources.sql.selection import parameters
from shipper.sources.sql.session import Session, Turn


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and the place behind the last of them.

    Attributes:
        rows: In the order of the cursor.
        cursor: Where the next page begins; `None` for the beginning, and without a cursor.
        is_full: Whether more rows may be waiting.
    """

    rows: Sequence[Row]
    cursor: Cursor | None = None
    is_full: bool = False


class Pages:
    """The pages of one entry."""

    def __init__(self, reading: Reading, engine: Engine, clock: Clock) -> None:
        self._reading = reading
        self._engine = engine
        self._clock = clock
        self._json_columns: frozenset[str] = frozenset()
        self._shape: Shape | None = None
        self._shaped: Sequence[Column] = ()

    def begin(self, turn: Turn, cursor: Cursor | None) -> Cursor | None:
        """Look at what there is, and return where to go on.

        Raises:
            SourceRefused: The cursor does not fit, or the columns cannot be a cursor.
        """
        self._json_columns = self._those_with_json(turn)
        if not self._reading.selection.cursor:
            return None
        see_that_it_fits(turn, self._reading, self._engine, cursor)
        if cursor is not None:
            return cursor
        return first_place(turn, self._reading, self._engine, now_ns=self._clock.now_ns())

    def pieces(self, session: Session, seconds: float) -> Generator[Page]:
        """Yield the whole result, page by page, in one turn that lasts until all of it was taken.

        Raises:
            SourceTimeout: `seconds` went by before the last of them was taken.
            SourceUnavailable: No connection, or it broke.
            ReadRefused: The server answered with an error.
        """
        with session.turn(seconds) as turn:
            streamed = turn.stream(self._whole)
            while True:
                rows: list[Row] = []
                for chunk in streamed.chunks(self._reading.page_rows):
                    rows += self._shape_of(streamed.columns).rows(chunk)
                if len(rows) < self._reading.page_rows:
                    break
                with turn.idle():
                    yield Page(rows, is_full=True)
        # The transaction has ended by now, so that it does not last until the next poll.
        yield Page(rows)

    def behind(self, turn: Turn, after: Cursor | None) -> Page:
        """Return the page behind a place in the order of the cursor.

        Raises:
            SourceRefused: The columns cannot be a cursor.
        """
        statement = self._following if after else self._first
        streamed = turn.stream(statement, parameters(after or ()))
        age = Age(self._reading, self._clock.now_ns())
        rows: list[Row] = []
        last: Values | None = None
        young = False
        for chunk in streamed.chunks():
            # What comes behind a row that is too young waits with it, but is taken off the wire.
            if young:
                continue
            taken = age.old_enough(self._shape_of(streamed.columns).rows(chunk))
            young = len(taken) < len(chunk)
            rows.extend(taken)
            last = chunk[len(taken) - 1] if taken else last
        if last is None:
            return Page((), after)
        cursor = self._cursor_in(last, streamed.columns)
        return Page(rows, cursor, is_full=len(rows) >= self._reading.page_rows)

    @cached_property
    def _whole(self) -> ClauseElement:
        return self._reading.selection.whole()

    @cached_property
    def _first(self) -> ClauseElement:
        return self._reading.selection.first_page(self._reading.page_rows)

    @cached_property
    def _following(self) -> ClauseElement:
        return self._reading.selection.following_page(
            self._reading.page_rows, compares_rows=self._engine.compares_rows
        )

    def _cursor_in(self, values: Values, columns: Sequence[Column]) -> Cursor:
        names = self._reading.selection.cursor
        shape = self._shape_of(columns)
        return cursor_of([values[shape.place(name)] for name in names], names)

    def _shape_of(self, columns: Sequence[Column]) -> Shape:
        if self._shape is None or self._shaped != columns:
            self._shaped = columns
            self._shape = Shape(
                columns,
                self._engine,
                json_columns=self._json_columns,
                time_field=self._reading.time_field,
                zone=self._reading.zone,
            )
        return self._shape

    def _those_with_json(self, turn: Turn) -> frozenset[str]:
        """Return the columns of a table that hold JSON as text; the columns of a query do not tell."""
        if self._reading.selection.table is None:
            return frozenset()
        statement = self._engine.json_columns(*self._reading.selection.table_and_schema)
        if statement is None:
            return frozenset()
        return frozenset(str(name) for (name,) in turn.few(statement).rows)
