"""What must be true before databases are read: each lets us in, and each table or query is there and can be paged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import TypeVar
from zoneinfo import ZoneInfo

from shipper.config.complaint import nearest
from shipper.config.secret import Secret
from shipper.core.checks import Check, Finding, Outcome
from shipper.core.clock import SystemClock
from shipper.core.errors import ConfigError, SourceError, SourceRefused, SourceTimeout
from shipper.core.words import counted
from shipper.sources.sql.engines import engine_for
from shipper.sources.sql.keys import Keys, keys_of
from shipper.sources.sql.pages import Page, Pages
from shipper.sources.sql.reading import UTC, Reading
from shipper.sources.sql.session import Session, Turn
from shipper.store.address import instance, read_url

MOST_NULLS_COUNTED = 1000

SHORTEST_WAIT_SECONDS = 0.1

ANSWER = TypeVar("ANSWER")

_HINTS = (
    ("refused", "does a server listen there?"),
    ("Can't connect", "does a server listen there? Check host and port"),
    ("not known", "check the spelling of the host"),
    ("name resolution", "check the spelling of the host"),
    (
        "unable to open database file",
        "check the path, and who may read the file and enter its folder",
    ),
    ("not a database", "check the path: this is another kind of file"),
    ("password authentication failed", "check user and password"),
    ("no password supplied", "write user:password@ before the host"),
    ("Access denied", "check user and password, and what the user may do"),
    ("permission denied", "GRANT SELECT on it to the user"),
    ("command denied", "GRANT SELECT on it to the user"),
    ("Unknown database", "check the name of the database"),
    ("does not exist", "check the name"),
    ("doesn't exist", "check the name"),
    ("no such table", "check the name"),
    ("did not answer within", "is the server overloaded, or is an index missing?"),
    ("cannot be imported", "pip install -r requirements.txt"),
    ("environment variable", "set it, or correct `url`"),
    ("secret's file", "write it, or correct `url`"),
)


def startup_checks(readings: Sequence[Reading]) -> Sequence[Check]:
    """Return a check of every database, and one of every entry; they can be pickled."""
    databases: dict[Secret, list[Reading]] = {}
    for reading in readings:
        databases.setdefault(reading.url, []).append(reading)
    connections = [
        Check(
            "check_sql_connection"
            if len(databases) == 1
            else f"check_sql_connection {instance(url)}",
            partial(try_database, url),
            required=any(reading.required for reading in users),
        )
        for url, users in databases.items()
    ]
    entries = [
        Check(f"check_sql_{each.metric}", partial(try_reading, each), required=each.required)
        for each in readings
    ]
    return [*connections, *entries]


def try_database(url: Secret, deadline_seconds: float) -> Finding:
    """Connect and say what was found."""
    try:
        session = _session(url, UTC)
        try:
            version = session.ask(lambda turn: turn.version, deadline_seconds)
        finally:
            session.close()
    except (SourceError, ConfigError) as error:
        return _failure(error)
    return Finding(Outcome.PASSED, f"{version} at {instance(url)} lets us in")


def try_reading(reading: Reading, deadline_seconds: float) -> Finding:
    """Look at the table or query of an entry as its worker will."""
    trial = _Trial(reading, deadline_seconds)
    try:
        names = trial.names()
        keys = trial.keys()
        notes = [
            *_missing_fields(reading, names),
            *_about_order(reading, keys),
            *trial.about_nulls(keys),
        ]
    except (SourceError, ConfigError) as error:
        return _failure(error)
    finally:
        trial.close()
    if not notes:
        return Finding(Outcome.PASSED, _summary(reading, names))
    return Finding(
        Outcome.NOTED, "; ".join(text for text, _ in notes), "; ".join(hint for _, hint in notes)
    )


class _Trial:
    """One look at a table or query, within a deadline."""

    def __init__(self, reading: Reading, deadline_seconds: float) -> None:
        self._reading = reading
        self._until_seconds = time.monotonic() + deadline_seconds
        self._session: Session | None = None

    def names(self) -> Sequence[str]:
        """Return the names of the columns; none when there is no row to tell them.

        Raises:
            SourceRefused: A column of the cursor is missing, or cannot be one.
        """
        url = read_url(self._reading.url)
        engine = engine_for(url, self._reading.zone)
        pages = Pages(self._reading, engine, SystemClock())
        if not self._reading.selection.cursor:
            rows = self._first_piece(pages).rows
            return list(rows[0]) if rows else ()
        columns = self._ask(lambda turn: turn.few(self._reading.selection.header())).columns
        names = [column.name for column in columns]
        known = {name.casefold() for name in names}
        for name in self._reading.place_columns:
            if name.casefold() not in known:
                raise SourceRefused(f'there is no column "{name}"{nearest(name, names)}')
        self._ask(lambda turn: pages.begin(turn, None))
        return names

    def keys(self) -> Keys | None:
        """Return the keys of the table, as far as they matter and can be known."""
        if self._reading.selection.table is None or not self._reading.selection.cursor:
            return None
        url = read_url(self._reading.url)
        name, schema = self._reading.selection.table_and_schema
        return self._ask(lambda turn: keys_of(turn, url, name, schema))

    def about_nulls(self, keys: Keys | None) -> Iterator[tuple[str, str]]:
        """Tell how many rows can never be read, because they have no place in the order."""
        cursor = {name.casefold() for name in self._reading.selection.cursor}
        if not cursor or (keys is not None and not cursor & keys.nullable):
            return
        statement = self._reading.selection.without_place(MOST_NULLS_COUNTED + 1)
        try:
            ((found,),) = self._ask(lambda turn: turn.few(statement)).rows
        except SourceTimeout:
            yield "rows with NULL in the cursor were not counted in time", ""
            return
        count = int(str(found))
        if count:
            has = ("has", "have")
            shown = (
                f"more than {counted(MOST_NULLS_COUNTED, 'row', has)}"
                if count > MOST_NULLS_COUNTED
                else counted(count, "row", has)
            )
            yield (
                f"{shown} NULL in {_listed(self._reading)}: never read",
                "choose columns that are NOT NULL",
            )

    def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            self._session.close()

    def _first_piece(self, pages: Pages) -> Page:
        session = self._opened_session()

        def first_piece(seconds: float) -> Page:
            with closing(pages.pieces(session, seconds)) as pieces:
                return next(pieces)

        return session.again_if_unreadable(first_piece, self._left_seconds())

    def _ask(self, question: Callable[[Turn], ANSWER]) -> ANSWER:
        return self._opened_session().ask(question, self._left_seconds())

    def _opened_session(self) -> Session:
        if self._session is None:
            self._session = _session(self._reading.url, self._reading.zone)
        return self._session

    def _left_seconds(self) -> float:
        return max(self._until_seconds - time.monotonic(), SHORTEST_WAIT_SECONDS)


def _session(url: Secret, zone: ZoneInfo) -> Session:
    place = read_url(url)
    return Session(engine_for(place, zone), place)


def _missing_fields(reading: Reading, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for field in reading.fields if names else ():
        if field not in names:
            yield f'no column is called "{field}"{nearest(field, names)}', "correct the entry"


def _about_order(reading: Reading, keys: Keys | None) -> Iterator[tuple[str, str]]:
    if keys is None:
        return
    cursor = [name.casefold() for name in reading.selection.cursor]
    if not any(index[:1] == (cursor[0],) for index in keys.indexes):
        yield (
            f"no index begins with {reading.selection.cursor[0]}: every page sorts the whole table",
            f"CREATE INDEX on ({_listed(reading)})",
        )
    if not any(unique <= set(cursor) for unique in keys.unique):
        yield (
            f"nothing makes {_listed(reading)} unique: of equal rows at the end of a page some are not read",
            "let the last column of cursor be a unique one",
        )


def _summary(reading: Reading, names: Sequence[str]) -> str:
    what = "the query" if reading.selection.table is None else reading.selection.table
    if not reading.selection.cursor:
        return f"{what} answers; every poll reads the whole result"
    parts = [f"{what} has {len(names)} columns and is read by {_listed(reading)}"]
    if reading.start == "now":
        parts.append("the first start begins with what comes from then on")
    if reading.age_column is not None:
        parts.append(f"rows wait until {reading.age_column} is {reading.lag_seconds:g} s ago")
    return "; ".join(parts)


def _listed(reading: Reading) -> str:
    return ", ".join(reading.selection.cursor)


def _failure(error: SourceError | ConfigError) -> Finding:
    text = str(error)
    hint = next((hint for fragment, hint in _HINTS if fragment in text), "")
    return Finding(Outcome.FAILED, text, hint)
