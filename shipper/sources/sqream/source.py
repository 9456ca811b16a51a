"""One function of SQreamDB as a source: each read calls it once and returns its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import SourceUnavailable
from shipper.core.record import Batch, Cursor
from shipper.core.words import unique_names
from shipper.sources.sqream import driver
from shipper.sources.sqream.connection import SqreamConnection


class SqreamSource:
    """Polls one statement over a connection of its own."""

    def __init__(
        self,
        section: SqreamConnection,
        sql: str,
        *,
        clock: Clock | None = None,
        connect: Callable[..., driver.Session] = driver.connect,
    ) -> None:
        self._section = section
        self._sql = sql
        self._clock = clock or SystemClock()
        self._connect = connect
        self._session: driver.Session | None = None

    def open(self, cursor: Cursor | None = None) -> None:
        del cursor  # the functions tell the present state
        self.close()
        self._session = self._connect(
            self._section, timeout_seconds=self._section.login_timeout_seconds
        )

    def read(self, timeout_seconds: float) -> Batch:
        if self._session is None:
            raise SourceUnavailable(f"not connected to {self._section.far_end}")
        read_at_ns = self._clock.now_ns()
        try:
            answer = self._session.query(self._sql, timeout_seconds=timeout_seconds)
        except SourceUnavailable:
            self._session = None
            raise
        names = field_names(answer.columns)
        rows = [dict(zip(names, row, strict=True)) for row in answer.rows]
        return Batch(rows=rows, read_at_ns=read_at_ns)

    def acknowledge(self, cursor: Cursor) -> None:
        """Forget nothing: a function tells the present state, and there is no cursor to move."""
        del cursor

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def field_names(columns: Sequence[str]) -> list[str]:
    """Return a field name for every column: blanks become `_`, and no two are the same."""
    return list(unique_names(column.strip().replace(" ", "_") or "column" for column in columns))
