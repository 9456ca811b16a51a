"""The inside of an emulated SQream instance: what all its listeners and sessions share."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from shipper.demo.sqream.catalog import Caller, Catalog, ServedFunction, StatementRefused
from shipper.demo.sqream.columns import Row
from shipper.demo.sqream.faults import Faults
from shipper.demo.sqream.packing import Chunk, ResultSet
from shipper.demo.sqream.tally import Tally

OnServed: TypeAlias = Callable[[str, list[Row]], None]

# What follows "has GPU" is not documented; pysqream's own comment ends there.
GPU_WORKER_TEXT = (
    "The query requires a GPU-Worker. Ensure the SQream Service has GPU Workers assigned."
)
INTERNAL_RUNTIME_ERROR = "Internal Runtime Error"


class LoginRefused(Exception):
    """The login is answered with an error."""


@dataclass(frozen=True, slots=True)
class Account:
    """The one role that may log in, and to what."""

    username: str
    password: str
    database: str
    services: frozenset[str]

    def check(self, login: Mapping[str, object], *, database_key: str) -> None:
        """Pass a login that fits.

        Raises:
            LoginRefused: With the text a real server answers.
        """
        username, database = login.get("username"), login.get(database_key)
        if username != self.username:
            raise LoginRefused(f"Login failure: role '{username}' doesn't exist")
        if login.get("password") != self.password:
            raise LoginRefused(f"Login failure: wrong password for role '{username}'")
        if database != self.database:
            raise LoginRefused(f"Database {database} no longer exists")
        if login.get("service") not in self.services:
            raise LoginRefused(
                "Login failure: There are no instances subscribed to the requested service."
            )


@dataclass(slots=True)
class Statement:
    """A statement between `getStatementId` and `closeStatement`."""

    statement_id: int
    sql: str = ""
    function: ServedFunction | None = None
    result: ResultSet | None = None
    _chunks_sent: int = field(default=0, init=False)

    def next_chunk(self) -> Chunk | None:
        """Return what the next `fetch` brings; None when all was fetched.

        Raises:
            StatementRefused: The statement was not executed.
        """
        if self.result is None:
            raise StatementRefused("The statement was not executed")
        if self._chunks_sent == len(self.result.chunks):
            return None
        self._chunks_sent += 1
        return self.result.chunks[self._chunks_sent - 1]


class Instance:
    """Account, functions, faults and counters of a worker, and the statements on it.

    Statements belong to a connection id, not to a socket: with several listeners a client is sent
    from one to the other between preparing and executing.
    """

    def __init__(
        self, account: Account, catalog: Catalog, *, version: str, gpu: bool, cpu_refusal: str
    ) -> None:
        self.account = account
        self.catalog = catalog
        self.version = version
        self.faults = Faults()
        self.tally = Tally()
        self.on_served: OnServed | None = None
        self._gpu = gpu
        self._cpu_refusal = cpu_refusal
        self._connection_ids = itertools.count(1)
        self._statement_ids = itertools.count(1)
        self._statements: dict[int, dict[int, Statement]] = {}
        self._lock = threading.Lock()

    def connect(self) -> int:
        """Return the id of a new connection."""
        with self._lock:
            connection_id = next(self._connection_ids)
            self._statements[connection_id] = {}
        return connection_id

    def knows(self, connection_id: object) -> bool:
        """Return whether a connection of this id is open."""
        with self._lock:
            return connection_id in self._statements

    def disconnect(self, connection_id: int) -> None:
        """Forget a connection and its statements."""
        with self._lock:
            self._statements.pop(connection_id, None)

    def new_statement(self, connection_id: int) -> Statement:
        """Return an empty statement with an id of its own."""
        with self._lock:
            statement = Statement(next(self._statement_ids))
            self._statements[connection_id][statement.statement_id] = statement
        return statement

    def statement(self, connection_id: int, statement_id: object) -> Statement:
        """Return a statement that was made on this connection, perhaps by another listener.

        Raises:
            StatementRefused: There is none of this id.
        """
        with self._lock:
            for statement in self._statements[connection_id].values():
                if statement.statement_id == statement_id:
                    return statement
        raise StatementRefused(f"There is no statement {statement_id}")

    def close_statement(self, connection_id: int, statement_id: int) -> None:
        """Forget a statement."""
        with self._lock:
            self._statements[connection_id].pop(statement_id, None)

    def check_gpu(self, function: ServedFunction) -> None:
        """Pass a function that this worker has the hardware for.

        Raises:
            StatementRefused: It needs a GPU and the worker has none.
        """
        if function.needs_gpu and not self._gpu:
            raise StatementRefused(self._cpu_refusal)

    def run(self, function: ServedFunction, caller: Caller) -> ResultSet:
        """Return what `function` answers.

        Raises:
            StatementRefused: The function needs a GPU or refuses.
        """
        self.check_gpu(function)
        return function.answer(caller)

    def was_served(self, function: ServedFunction, rows: list[Row]) -> None:
        """Report a result whose last byte was sent."""
        if self.on_served is not None:
            self.on_served(function.name, rows)
