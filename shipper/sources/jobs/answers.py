"""Reads what clients ask for, in a thread of its own with a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from shipper.store.database import Database
from shipper.store.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

ANSWER = TypeVar("ANSWER")


class Answers:
    """One reader for all who ask: their questions are short, and none keeps a writer waiting."""

    def __init__(self, connect: Callable[[], Database]) -> None:
        self._connect = connect
        self._database: Database | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answers")

    def ask(self, question: Callable[[Connection], ANSWER]) -> Future[ANSWER]:
        """Let something be read; the future may raise what the question does, `StoreError` and `ConfigError`."""
        return self._thread.submit(self._answered, question)

    def close(self) -> None:
        """Answer nobody any more."""
        self._thread.submit(self._forget_database)
        # A database that hangs keeps the thread, and shall not keep us.
        self._thread.shutdown(wait=False)

    def _answered(self, question: Callable[[Connection], ANSWER]) -> ANSWER:
        if self._database is None:
            self._database = self._connect()
        try:
            with self._database.reading() as connection:
                return question(connection)
        except StoreError:
            self._forget_database()
            raise

    def _forget_database(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
