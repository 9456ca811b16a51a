"""A table or a query as a source: every read is one page."""

from __future__ import annotations

from collections.abc import Generator

from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import ConfigError, ReadRefused, SourceUnavailable
from shipper.core.record import Batch, Cursor
from shipper.sources.sql.engines import engine_for
from shipper.sources.sql.pages import Page, Pages
from shipper.sources.sql.reading import Reading
from shipper.sources.sql.session import Session
from shipper.store.address import read_url


class SqlSource:
    """Reads over a connection of its own, which it makes anew when the server was away.

    With a cursor every page has a transaction of its own. Without one the pages are pieces of one result, which stays
    open between the reads of a poll, and no longer than a poll may last.
    """

    def __init__(self, reading: Reading, *, clock: Clock | None = None) -> None:
        self._reading = reading
        self._clock = clock or SystemClock()
        self._opened: tuple[Session, Pages] | None = None
        self._cursor: Cursor | None = None
        self._pieces = _nothing()

    def open(self, cursor: Cursor | None = None) -> None:
        self.close()
        try:
            url = read_url(self._reading.url)
        except ConfigError as error:
            raise SourceUnavailable(f"url: {error}") from None
        engine = engine_for(url, self._reading.zone)
        session, pages = Session(engine, url), Pages(self._reading, engine, self._clock)
        try:
            self._cursor = session.ask(
                lambda turn: pages.begin(turn, cursor), self._reading.patience_seconds
            )
        except ReadRefused as error:
            raise SourceUnavailable(str(error)) from None
        self._opened = session, pages

    def read(self, timeout_seconds: float) -> Batch:
        if self._opened is None:
            raise SourceUnavailable("not connected")
        session, pages = self._opened
        seconds = min(timeout_seconds, self._reading.patience_seconds)
        now_ns = self._clock.now_ns()
        if self._reading.selection.cursor:
            page = session.ask(lambda turn: pages.behind(turn, self._cursor), seconds)
            self._cursor = page.cursor
        else:
            # Nothing is left of the last poll's result, or of one that broke off: begin a new one.
            page = next(self._pieces, None) or self._begun(session, pages, seconds)
        return Batch(rows=page.rows, read_at_ns=now_ns, cursor=page.cursor, more=page.is_full)

    def acknowledge(self, cursor: Cursor) -> None:
        """Tell nobody: the rows stay in the database, and the cursor is kept here."""
        del cursor

    def close(self) -> None:
        opened, self._opened = self._opened, None
        self._pieces.close()
        if opened is not None:
            session, _ = opened
            session.close()

    def _begun(self, session: Session, pages: Pages, seconds: float) -> Page:
        """Begin a new result and return its first piece."""

        def first_piece(seconds: float) -> Page:
            self._pieces = pages.pieces(session, seconds)
            return next(self._pieces)

        return session.again_if_unreadable(first_piece, seconds)


def _nothing() -> Generator[Page]:
    yield from ()
