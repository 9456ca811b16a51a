"""Everything Shipper knows about pysqream: 6.3.0, and as well 5.3.0 and 5.0.0.

What the driver does not do, or does wrong, and what is done about it here and in `taming`:

- A cursor is a TCP session of its own that lives until the *connection* is closed: one cursor is made and kept.
- `fetchmany` and `fetchone` lose rows of results in several chunks: only `fetchall` is used.
- There is no time limit: a watchdog shuts the sockets, which wakes the thread that waits on one.
- Ping threads keep the process alive: they become daemons.
- User, password, database and service are pasted into JSON: they are escaped beforehand.
- After an error *answer* the cursor goes on; after anything else the connection is thrown away.
- A result without columns has no description and must not be fetched.
- Finalizers hang with a hung server, and raise when a connection is broken: they only close the sockets.
- 6.x makes a named logger per connection that is never freed: it is removed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shipper.core.errors import (
    ConfigError,
    ReadRefused,
    SourceError,
    SourceTimeout,
    SourceUnavailable,
)
from shipper.sources.sqream.answers import error_answer, plain_text
from shipper.sources.sqream.connection import SqreamConnection
from shipper.sources.sqream.taming import (
    DriverConnection,
    DriverCursor,
    Sockets,
    forget_loggers,
    tamed_connect,
)

CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A result set; both parts are empty for a statement without columns."""

    columns: Sequence[str] = ()
    rows: Sequence[tuple[object, ...]] = ()


class Session:
    """One login with its one cursor. Belongs to one thread."""

    def __init__(
        self,
        connection: DriverConnection,
        cursor: DriverCursor,
        *,
        sockets: Sockets,
        far_end: str,
    ) -> None:
        self._connection = connection  # to keep it alive: a collected connection closes its cursor
        self._cursor = cursor
        self._sockets = sockets
        self._far_end = far_end

    def query(self, sql: str, *, timeout_seconds: float) -> Answer:
        """Run one statement and return its whole result.

        Raises:
            ReadRefused: The server answered with an error; ask again whenever you like.
            SourceTimeout: No complete answer in time; the session is closed.
            SourceUnavailable: The connection broke; the session is closed.
        """
        try:
            with _speaking(self._sockets, self._far_end, timeout_seconds):
                return self._ask(sql)
        except SourceUnavailable:
            self._sockets.close()
            raise

    def close(self, timeout_seconds: float = CLOSE_SECONDS) -> None:
        """Say goodbye, waiting at most `timeout_seconds`, and let go of everything. Never raises."""
        # A broken connection cannot say goodbye, and nobody is left to be told.
        with contextlib.suppress(Exception), self._sockets.cut_after(timeout_seconds):
            self._connection.close()
        self._sockets.close()

    def hang_up(self) -> None:
        """Let go of everything at once, without goodbye: the driver takes 0.2 s for one, joining its ping threads."""
        self._sockets.close()

    def _ask(self, sql: str) -> Answer:
        self._cursor.execute(sql)
        description = self._cursor.description
        if description is None:
            return Answer()
        # A name is whatever stands in the server's JSON.
        return Answer([str(column[0]) for column in description], self._cursor.fetchall())


def connect(section: SqreamConnection, *, timeout_seconds: float) -> Session:
    """Log in and make the one cursor, within `timeout_seconds` altogether.

    Raises:
        SourceUnavailable: Nobody answers, or the login is refused; the text says which.
        SourceTimeout: No answer in time.
        SourceRefused: pysqream cannot be used on this machine.
    """
    log_in = tamed_connect()
    arguments = _arguments(section)
    sockets = Sockets()
    try:
        with sockets.watching(), _speaking(sockets, section.far_end, timeout_seconds):
            connection = log_in(**arguments)
            return Session(
                connection, connection.cursor(), sockets=sockets, far_end=section.far_end
            )
    except SourceError as error:
        sockets.close()
        if isinstance(error, ReadRefused):
            text = f"{section.far_end} refuses the login: {error}"
            raise SourceUnavailable(text) from None
        raise
    finally:
        forget_loggers()


@contextlib.contextmanager
def _speaking(sockets: Sockets, far_end: str, timeout_seconds: float) -> Iterator[None]:
    """Give a conversation its deadline, and translate what the driver raises."""
    late = SourceTimeout(f"{far_end} did not answer within {timeout_seconds:g} s")
    try:
        with sockets.cut_after(timeout_seconds):
            yield
    except Exception as error:  # noqa: BLE001 - pysqream raises Exception itself, and any other
        # Not chained: a foreign text may quote what was sent, and that includes the password.
        raise (late if sockets.is_cut else _translated(error, far_end)) from None
    if sockets.is_cut:
        raise late


def _translated(error: Exception, far_end: str) -> SourceError:
    refusal = error_answer(error)
    if refusal is not None:
        return ReadRefused(refusal)
    return SourceUnavailable(plain_text(error, far_end))


def _arguments(section: SqreamConnection) -> dict[str, object]:
    try:
        password = section.password.reveal()
    except ConfigError as error:
        raise SourceUnavailable(str(error)) from error
    return {
        "host": section.host,
        "port": section.port,
        "database": _escaped(section.database),
        "username": _escaped(section.username),
        "password": _escaped(password),
        "service": _escaped(section.service),
        "clustered": section.clustered,
        "use_ssl": section.use_ssl,
    }


def _escaped(text: str) -> str:
    """Return `text` as it stands inside a JSON string: the driver pastes it between two quotes."""
    return json.dumps(text)[1:-1]
