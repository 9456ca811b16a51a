"""Turns at a database: a connection with manners, every turn a read-only transaction with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import Lock
from typing import TypeVar

from sqlalchemy.engine import URL
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from shipper.core.errors import ReadRefused, SourceError, SourceTimeout, SourceUnavailable
from shipper.sources.sql.deadline import Stages, Watch
from shipper.sources.sql.engines import Engine, Few, Link, Parameters, Streamed
from shipper.store.address import shown, with_driver

ANSWER = TypeVar("ANSWER")

SHORTEST_TURN_SECONDS = 0.1

LONGEST_TEXT = 500
"""Characters of a foreign text that are worth keeping: an answer may quote whole statements."""


Writer = Callable[[ClauseElement, Mapping[str, object]], tuple[str, Parameters]]
"""Makes SQL, and parameters in the driver's form, of a statement and the values of its parameters."""


class UnreadableValue(ReadRefused):
    """A value came that only a forgiving connection can read."""


class Turn:
    """What can be asked while a turn lasts.

    Attributes:
        idle: Makes a block in which nobody uses the connection, so that it may be closed when the time is over.
    """

    def __init__(
        self,
        link: Link,
        written: Writer,
        idle: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._link = link
        self._written = written
        self.idle = idle

    @property
    def version(self) -> str:
        """What the server calls itself."""
        return self._link.version

    @property
    def connection(self) -> object:
        """The driver's own connection."""
        return self._link.connection

    def few(self, statement: ClauseElement, values: Mapping[str, object] | None = None) -> Few:
        """Run a statement with few rows."""
        return self._link.few(*self._written(statement, values or {}))

    def stream(
        self, statement: ClauseElement, values: Mapping[str, object] | None = None
    ) -> Streamed:
        """Run a statement with any number of rows; take them all before the next statement."""
        return self._link.stream(*self._written(statement, values or {}))


class Session:
    """Takes turns at one database. Belongs to one thread."""

    def __init__(self, engine: Engine, url: URL) -> None:
        self._engine = engine
        self._url = with_driver(url)
        self._far_end = shown(url)
        self._password = str(url.password or "")
        self._link: Link | None = None
        self._forgiving = False
        self._compiled: dict[ClauseElement, SQLCompiler] = {}
        self._in_use = Lock()

    def ask(self, question: Callable[[Turn], ANSWER], seconds: float) -> ANSWER:
        """Return what a question makes of one turn.

        Raises:
            SourceTimeout: It took longer than `seconds`; the query was cancelled.
            SourceUnavailable: No connection, or it broke.
            ReadRefused: The server answered with an error.
        """

        def in_a_turn(seconds: float) -> ANSWER:
            with self.turn(seconds) as turn:
                return question(turn)

        return self.again_if_unreadable(in_a_turn, seconds)

    def again_if_unreadable(self, attempt: Callable[[float], ANSWER], seconds: float) -> ANSWER:
        """Return what an attempt within some seconds brings; try once more when only that turn could not read it.

        Raises:
            SourceError: What the attempt raises.
        """
        until_seconds = time.monotonic() + seconds
        try:
            return attempt(seconds)
        except UnreadableValue:
            return attempt(max(until_seconds - time.monotonic(), SHORTEST_TURN_SECONDS))

    @contextmanager
    def turn(self, seconds: float) -> Iterator[Turn]:
        """Give the block a transaction that only reads; connect, or connect again, when that is needed.

        Raises:
            SourceTimeout: The block took longer than `seconds`; the query was cancelled.
            SourceUnavailable: No connection, or it broke.
            UnreadableValue: Only a forgiving connection can read what came; the next turn has one.
            ReadRefused: The server answered with an error.
        """
        stages = Stages.within(seconds)
        cancel_seconds = stages.cut - stages.cancel
        watch = Watch(
            (stages.cancel, partial(self._cancel, cancel_seconds)), (stages.cut, self._cut)
        )
        try:
            with watch, self._in_use:
                link = self._begun(stages, watch)
                yield Turn(link, self._written, partial(self._idle, watch, seconds))
                link.end()
        except self._engine.errors as error:
            self.close()
            translated = self._translated(error, late=watch.late, seconds=seconds)
            self._forgiving = self._forgiving or isinstance(translated, UnreadableValue)
            # Not chained: a foreign text may quote the URL.
            raise translated from None
        except BaseException:
            # An answer that was not taken to its end, whatever the reason, is in the way of the next question.
            self.close()
            raise
        if watch.late:
            self.close()
            raise self._too_late(seconds)

    def close(self) -> None:
        """Let go of the connection. Never raises; safe to call twice."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _written(
        self, statement: ClauseElement, values: Mapping[str, object]
    ) -> tuple[str, Parameters]:
        """Return a statement as the driver takes it; it is compiled once, which takes 1 ms."""
        compiled = self._compiled.get(statement)
        if compiled is None:
            compiled = self._compiled[statement] = self._compile(statement)
        named = compiled.construct_params(values)
        if compiled.positiontup is None:
            return str(compiled), named
        return str(compiled), [named[name] for name in compiled.positiontup]

    def _compile(self, statement: ClauseElement) -> SQLCompiler:
        compiled = statement.compile(
            dialect=self._engine.dialect, compile_kwargs={"render_postcompile": True}
        )
        if not isinstance(compiled, SQLCompiler):
            raise TypeError(f"{type(statement).__name__} asks nothing")
        return compiled

    def _cancel(self, seconds: float) -> None:
        if self._link is not None:
            self._link.cancel(seconds)

    def _cut(self) -> None:
        link = self._link
        if link is None:
            return
        link.cut()
        # Who uses it wakes up and closes it. When nobody does, a server would wait for us to take the rest.
        if self._in_use.acquire(blocking=False):
            try:
                link.close()
            finally:
                self._in_use.release()

    @contextmanager
    def _idle(self, watch: Watch, seconds: float) -> Iterator[None]:
        self._in_use.release()
        try:
            if watch.late:
                raise self._too_late(seconds)
            yield
        finally:
            self._in_use.acquire()

    def _begun(self, stages: Stages, watch: Watch) -> Link:
        """Return a link on which a transaction has begun, over a new connection when the kept one is gone."""
        if self._link is not None:
            try:
                self._link.begin(stages.server)
            except self._engine.errors as error:
                if watch.late or not self._engine.is_lost(error):
                    raise
                self.close()
            else:
                return self._link
        self._link = self._engine.connect(self._url, stages.cut, forgiving=self._forgiving)
        if watch.late:  # and nobody would cut it
            raise self._too_late(stages.cut)
        self._link.begin(stages.server)
        return self._link

    def _translated(self, error: Exception, *, late: bool, seconds: float) -> SourceError:
        if late or self._engine.is_timeout(error):
            return self._too_late(seconds)
        text = self._told(error)
        if self._engine.is_lost(error):
            return SourceUnavailable(f"{self._far_end}: {text}")
        if self._engine.is_unreadable(error):
            return UnreadableValue(text)
        return ReadRefused(text)

    def _too_late(self, seconds: float) -> SourceTimeout:
        return SourceTimeout(f"{self._far_end} did not answer within {seconds:g} s")

    def _told(self, error: Exception) -> str:
        text = " ".join(self._engine.told(error).split()) or type(error).__name__
        if self._password:
            text = text.replace(self._password, "***")
        return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
