"""What is asked of the database: the statements of one entry, written with SQLAlchemy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import quoted_name
from sqlalchemy.types import NullType

from shipper.core.record import Cursor

PLACE = "place_"
"""What the parameters of a place are called, each with a number behind it."""


def parameters(place: Cursor) -> dict[str, object]:
    """Return the values of a place as parameters of `Selection.following_page`."""
    return {f"{PLACE}{index}": value for index, value in enumerate(place)}


@dataclass(frozen=True, slots=True)
class Selection:
    """A table or a query, and the columns that its rows are paged by.

    Attributes:
        query: A statement that returns rows; `None` for a table.
        table: Its name, `schema.name` for one outside the default schema.
        cursor: The columns that order the rows; the whole of them is different in every row.
    """

    query: str | None
    table: str | None
    cursor: tuple[str, ...]

    @property
    def table_and_schema(self) -> tuple[str, str | None]:
        """The table's name, and the schema it is in where one is given."""
        schema, _, name = (self.table or "").rpartition(".")
        return name, schema or None

    def whole(self) -> ClauseElement:
        """Return the statement for all rows, a query exactly as it was written."""
        if self.query is not None:
            return _verbatim(self.query)
        return self._select()

    def header(self) -> ClauseElement:
        """Return the statement for no row at all, to see the columns."""
        return self._select().limit(0)

    def first_page(self, rows: int) -> ClauseElement:
        """Return the statement for the first rows in the order of the cursor, `rows` at most."""
        return self._in_order().limit(rows)

    def following_page(self, rows: int, *, compares_rows: bool) -> ClauseElement:
        """Return the statement for the rows behind the place that `parameters` of a cursor name.

        Args:
            rows: How many rows at most.
            compares_rows: Whether the engine uses an index for `(a, b) > (x, y)`.
        """
        behind = _behind(self._columns(), compares_rows=compares_rows)
        return self._in_order().where(behind).limit(rows)

    def newest(self, names: Sequence[str], rows: int) -> ClauseElement:
        """Return the statement for some columns of the last rows, the last one first."""
        columns = self._columns()
        return (
            self._some(names)
            .where(*(column.is_not(None) for column in columns))
            .order_by(*(column.desc() for column in columns))
            .limit(rows)
        )

    def sample(self, names: Sequence[str], rows: int) -> ClauseElement:
        """Return the statement for some columns of any rows that have a place in the order."""
        return self._some(names).where(*(each.is_not(None) for each in self._columns())).limit(rows)

    def at_place(self) -> ClauseElement:
        """Return the statement for the row at the place that `parameters` of a cursor name, with no more than that."""
        columns = self._columns()
        here = (
            column == after for column, after in zip(columns, _place(len(columns)), strict=True)
        )
        return self._some(self.cursor).where(*here).limit(1)

    def without_place(self, most_rows: int) -> ClauseElement:
        """Return the statement that counts rows with a NULL in the cursor, up to `most_rows`."""
        nulls = sa.or_(*(column.is_(None) for column in self._columns()))
        some = self._some(self.cursor[:1]).where(nulls).limit(most_rows)
        return sa.select(sa.func.count()).select_from(some.subquery("n"))

    def _in_order(self) -> sa.Select[Any]:
        columns = self._columns()
        # A row with a NULL there has no place in the order.
        return self._select().where(*(each.is_not(None) for each in columns)).order_by(*columns)

    def _select(self) -> sa.Select[Any]:
        return sa.select(sa.literal_column("*")).select_from(self._source())

    def _some(self, names: Sequence[str]) -> sa.Select[Any]:
        columns: list[Any] = [_column(name) for name in names]
        return sa.select(*columns).select_from(self._source())

    def _columns(self) -> list[ColumnElement[object]]:
        return [_column(name) for name in self.cursor]

    def _source(self) -> sa.FromClause:
        if self.query is not None:
            return _verbatim(self.query).columns().subquery("q")
        name, schema = self.table_and_schema
        return sa.table(
            quoted_name(name, quote=True),
            schema=None if schema is None else quoted_name(schema, quote=True),
        )


def _column(name: str) -> ColumnElement[object]:
    # Always quoted, because what is a reserved word depends on the server's version.
    return sa.column(quoted_name(name, quote=True), NullType())


def _verbatim(query: str) -> sa.TextClause:
    # The newlines keep a comment at the end from swallowing what follows; a colon would begin a parameter.
    return sa.text("\n" + query.strip().rstrip(";").replace(":", r"\:") + "\n")


def _place(count: int) -> list[ColumnElement[Any]]:
    # Without a type SQLAlchemy adds no cast and no conversion: the driver takes back what it gave.
    return [sa.bindparam(f"{PLACE}{index}", type_=NullType()) for index in range(count)]


def _behind(
    columns: Sequence[ColumnElement[object]], *, compares_rows: bool
) -> ColumnElement[bool]:
    after = _place(len(columns))
    if compares_rows and len(columns) > 1:
        return sa.tuple_(*columns) > sa.tuple_(*after)
    return sa.or_(
        *(
            sa.and_(
                *(columns[index] == after[index] for index in range(last)),
                columns[last] > after[last],
            )
            for last in range(len(columns))
        )
    )
