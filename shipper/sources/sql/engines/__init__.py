"""What differs between databases: connecting, deadlines, cancelling, and what the driver makes of values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from sqlalchemy.engine import URL, Dialect
from sqlalchemy.sql import ClauseElement

from shipper.core.errors import SourceRefused

CHUNK_ROWS = 250
"""How many rows are fetched at a time: so few are still in the CPU's cache when rows are made of them."""

Parameters = Mapping[str, object] | Sequence[object]
Values = tuple[object, ...]
"""A row as the driver gives it."""

Change = Callable[[object], object]
"""Makes of a driver's value what the line of a record should show; never sees NULL."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result.

    Attributes:
        name: As the database calls it.
        code: The type as the driver tells it; `None` where it does not.
    """

    name: str
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Few:
    """A whole answer."""

    columns: Sequence[Column]
    rows: Sequence[Values]


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that is still coming in.

    Attributes:
        columns: Empty when there are no rows, on some engines.
        fetch: Returns the next rows, as many as it is told at most; none when there are no more.
    """

    columns: Sequence[Column]
    fetch: Callable[[int], Sequence[Values]]

    def chunks(self, most_rows: int = sys.maxsize) -> Iterator[Sequence[Values]]:
        """Yield rows, some at a time, until there are no more or `most_rows` were yielded."""
        left_rows = most_rows
        while chunk := self.fetch(min(left_rows, CHUNK_ROWS)) if left_rows else ():
            left_rows -= len(chunk)
            yield chunk


class Link(Protocol):
    """One connection to a database. Used by one thread; `cancel` and `cut` may come from another at any time."""

    @property
    def connection(self) -> object:
        """The driver's own connection."""

    @property
    def version(self) -> str:
        """What the server calls itself, like `PostgreSQL 15.8`."""

    def begin(self, seconds: float) -> None:
        """Begin to read only, with `seconds` for every statement; also finds out whether the link still stands."""

    def few(self, sql: str, parameters: Parameters) -> Few:
        """Run a statement with few rows and return all of them."""

    def stream(self, sql: str, parameters: Parameters) -> Streamed:
        """Run a statement with any number of rows; take them all before the next statement."""

    def end(self) -> None:
        """End what `begin` began."""

    def cancel(self, seconds: float) -> None:
        """Ask the server to stop what it does for this link, waiting at most `seconds`."""

    def cut(self) -> None:
        """Wake the thread that waits for the server; the link is of no use afterwards. Never blocks."""

    def close(self) -> None:
        """Let go of the connection without a word to the server. Never raises; safe to call twice."""


class Engine(Protocol):
    """A kind of database, with its driver."""

    @property
    def dialect(self) -> Dialect:
        """How SQLAlchemy writes its SQL."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its driver raises."""

    @property
    def compares_rows(self) -> bool:
        """Whether `(a, b) > (x, y)` uses an index."""

    @property
    def mixes_types(self) -> bool:
        """Whether one column may hold values of several types."""

    def connect(self, url: URL, seconds: float, *, forgiving: bool) -> Link:
        """Connect within about `seconds`; a forgiving link returns text for values that Python has no type for."""

    def is_timeout(self, error: Exception) -> bool:
        """Whether the server stopped a statement because it took too long or was cancelled."""

    def is_lost(self, error: Exception) -> bool:
        """Whether the connection is gone."""

    def is_unreadable(self, error: Exception) -> bool:
        """Whether a value came that only a forgiving link can read."""

    def told(self, error: Exception) -> str:
        """Return what went wrong, in the server's words."""

    def change(self, column: Column) -> Change | None:
        """Return what to do with the values of a column."""

    def objection(self, column: Column) -> str:
        """Say why a column cannot be part of a cursor; empty when it can."""

    def json_columns(self, table: str, schema: str | None) -> ClauseElement | None:
        """Return the statement that names the columns of a table which hold JSON as text, if there can be any."""


def engine_for(url: URL, zone: tzinfo) -> Engine:
    """Return the engine that a URL names; its times without a zone are of `zone`.

    Raises:
        SourceRefused: Its driver is not installed.
    """
    try:
        match url.drivername.partition("+")[0]:
            case "sqlite":
                from shipper.sources.sql.engines.sqlite import Sqlite

                return Sqlite()
            case "postgresql":
                from shipper.sources.sql.engines.postgres import Postgres

                return Postgres(zone)
            case _:
                from shipper.sources.sql.engines.mariadb import MariaDb

                return MariaDb(zone)
    except ImportError as error:
        raise SourceRefused(
            f"the driver for {url.drivername} cannot be imported: {error}"
        ) from error
