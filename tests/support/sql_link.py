"""A database without a database: an engine of the SQL source whose answers and failures the test writes down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from threading import Event

from sqlalchemy.engine import URL
from sqlalchemy.sql import ClauseElement

from shipper.sources.sql.engines import Change, Column, Few, Parameters, Streamed, Values


class DriverError(Exception):
    """What the driver of this database raises."""


class Lost(DriverError):
    """The connection is gone."""


class Stopped(DriverError):
    """The server stopped a statement."""


class Unreadable(DriverError):
    """A value came that only a forgiving link can read."""


@dataclass
class FakeLink:
    """A connection that answers every statement with the same rows, unless it is told to fail.

    Attributes:
        columns: Of every answer.
        rows: Of every answer.
        fails: What the next calls raise; `None` for a call that succeeds.
        forgiving: Whether it was asked to be.
        asked: The statements that were run.
        was_cut: Set by `cut`.
        was_closed: Set by `close`.
        ended: How many transactions were ended.
    """

    columns: Sequence[Column] = (Column("id"),)
    rows: Sequence[Values] = ()
    fails: list[Exception | None] = field(default_factory=list)
    forgiving: bool = False
    asked: list[str] = field(default_factory=list)
    was_cut: Event = field(default_factory=Event)
    was_closed: Event = field(default_factory=Event)
    ended: int = 0
    version: str = "Fake 1"

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self.was_closed.is_set()

    @property
    def connection(self) -> object:
        return self

    def begin(self, seconds: float) -> None:
        self._fail()

    def few(self, sql: str, parameters: Parameters) -> Few:
        self.asked.append(sql)
        self._fail()
        return Few(self.columns, self.rows)

    def stream(self, sql: str, parameters: Parameters) -> Streamed:
        self.asked.append(sql)
        self._fail()
        rows = iter(self.rows)

        def fetch(count: int) -> Sequence[Values]:
            fetched = list(islice(rows, count))
            if not fetched:
                self._fail()
            return fetched

        return Streamed(self.columns, fetch)

    def end(self) -> None:
        self.ended += 1

    def cancel(self, seconds: float) -> None:
        """Nothing runs."""

    def cut(self) -> None:
        self.was_cut.set()

    def close(self) -> None:
        self.was_closed.set()

    def _fail(self) -> None:
        error = self.fails.pop(0) if self.fails else None
        if error is not None:
            raise error


class FakeEngine:
    """Gives out the links it was made with, one after the other.

    Attributes:
        links: Those that are left.
        fails: What connecting raises.
    """

    dialect = URL.create("sqlite+pysqlite").get_dialect()()
    errors = (DriverError,)
    compares_rows = True
    mixes_types = False

    def __init__(self, *links: FakeLink) -> None:
        self.links = list(links)
        self.fails: Exception | None = None

    def connect(self, url: URL, seconds: float, *, forgiving: bool) -> FakeLink:
        if self.fails is not None:
            raise self.fails
        link = self.links.pop(0)
        link.forgiving = forgiving
        return link

    def is_timeout(self, error: Exception) -> bool:
        return isinstance(error, Stopped)

    def is_lost(self, error: Exception) -> bool:
        return isinstance(error, Lost)

    def is_unreadable(self, error: Exception) -> bool:
        return isinstance(error, Unreadable)

    def told(self, error: Exception) -> str:
        return str(error)

    def change(self, column: Column) -> Change | None:
        return None

    def objection(self, column: Column) -> str:
        return ""

    def json_columns(self, table: str, schema: str | None) -> ClauseElement | None:
        return None
