"""One client's conversation with the emulator, from the first byte to the end of its connection.

The order of messages is that of pysqream 5.0.0 to 6.3.0: login, then for each statement
getStatementId, prepareStatement, (reconnect and reconstructStatement,) execute, queryTypeIn,
queryTypeOut, fetch until no rows come, closeStatement; and closeConnection at the end.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from shipper.demo.sqream.catalog import Caller, ServedFunction, StatementRefused, function_in
from shipper.demo.sqream.faults import Cut, Delay, ErrorAnswer, Hang, Step
from shipper.demo.sqream.instance import Instance, LoginRefused, Statement
from shipper.demo.sqream.packing import Chunk
from shipper.demo.sqream.protocol import (
    ConnectionEnded,
    ProtocolBroken,
    binary_message,
    read_message,
    text_message,
)

Message: TypeAlias = Mapping[str, object]


class CutShort(Exception):
    """A fault closes the connection."""


@dataclass(frozen=True, slots=True)
class Place:
    """The listener that shall run a prepared statement.

    Attributes:
        port: For plain TCP.
        port_ssl: For TLS.
        elsewhere: Whether the client has to reconnect to get there.
    """

    listener_id: int
    port: int
    port_ssl: int
    elsewhere: bool


class Session:
    """A connection and what was said on it."""

    def __init__(
        self, connection: socket.socket, instance: Instance, place: Callable[[], Place]
    ) -> None:
        self._connection = connection
        self._instance = instance
        self._place = place
        self._connection_id: int | None = None
        self._service = ""
        self._current: Statement | None = None
        self._moved = False
        self._ended = False
        self._requests: Mapping[str, Callable[[Message], Message | None]] = {
            "ping": self._ping,
            "connectDatabase": self._login,
            "reconnectDatabase": self._reconnect,
            "getStatementId": self._new_statement,
            "prepareStatement": self._prepare,
            "reconstructStatement": self._reconstruct,
            "execute": self._execute,
            "queryTypeIn": self._type_in,
            "queryTypeOut": self._type_out,
            "fetch": self._fetch,
            "closeStatement": self._close_statement,
            "closeConnection": self._close_connection,
        }

    def run(self) -> None:
        """Converse until one side ends the connection."""
        self._instance.tally.connection_opened()
        try:
            self._suffer(Step.CONNECT)
            if isinstance(self._connection, ssl.SSLSocket):
                self._connection.do_handshake()
            while not self._ended:
                self._reply_to(read_message(self._connection))
        except (ConnectionEnded, CutShort, ProtocolBroken, OSError):
            return  # as a real server: the client learns it from the closed connection
        finally:
            if self._connection_id is not None and not self._moved:
                self._instance.disconnect(self._connection_id)
            self._instance.tally.connection_closed()

    def _reply_to(self, message: Message) -> None:
        request = next((request for request in self._requests if request in message), None)
        if request is None:
            raise ProtocolBroken(f"unknown request {sorted(message)}")
        try:
            answer = self._requests[request](message)
        except (StatementRefused, LoginRefused) as refusal:
            answer = {"error": str(refusal)}
        if answer is not None:
            self._connection.sendall(text_message(answer))

    def _ping(self, _message: Message) -> None:
        """Say nothing: the client would take an answer for that of its statement."""
        self._instance.tally.ping()

    def _login(self, message: Message) -> Message:
        try:
            self._suffer(Step.LOGIN)
            self._instance.account.check(message, database_key="connectDatabase")
        except (LoginRefused, StatementRefused):
            self._instance.tally.login(accepted=False)
            raise
        self._connection_id = self._instance.connect()
        self._service = str(message["service"])
        self._instance.tally.login(accepted=True)
        return {**self._connected(), "version": self._instance.version}

    def _reconnect(self, message: Message) -> Message:
        """Go on with a connection that was opened on another listener."""
        self._instance.account.check(message, database_key="reconnectDatabase")
        connection_id = message.get("connectionId")
        if not isinstance(connection_id, int) or not self._instance.knows(connection_id):
            raise LoginRefused(f"Login failure: there is no connection {connection_id}")
        self._connection_id = connection_id
        self._service = str(message["service"])
        return self._connected()

    def _connected(self) -> dict[str, object]:
        return {
            "connectionId": self._connection_id,
            "databaseConnected": "databaseConnected",
            "varcharEncoding": "ascii",
        }

    def _new_statement(self, _message: Message) -> Message:
        self._current = self._instance.new_statement(self._own_id())
        return {"statementId": self._current.statement_id}

    def _prepare(self, message: Message) -> Message:
        statement = self._statement()
        statement.sql = str(message["prepareStatement"])
        name = function_in(statement.sql)
        self._suffer(Step.PREPARE, name)
        statement.function = self._instance.catalog.find(name)
        place = self._place()
        self._moved = place.elsewhere
        return {
            "ip": self._connection.getsockname()[0],
            "listener_id": place.listener_id,
            "port": place.port,
            "port_ssl": place.port_ssl,
            "reconnect": place.elsewhere,
            "statementPrepared": True,
        }

    def _reconstruct(self, message: Message) -> Message:
        statement = self._instance.statement(self._own_id(), message["reconstructStatement"])
        self._current = statement
        self._instance.check_gpu(self._function())
        return {"statementReconstructed": "statementReconstructed"}

    def _execute(self, _message: Message) -> Message:
        function = self._function()
        self._instance.tally.statement(function.name)
        self._suffer(Step.EXECUTE, function.name)
        self._statement().result = self._instance.run(function, self._caller())
        return {"executed": "executed"}

    def _type_in(self, _message: Message) -> Message:
        return {"queryType": []}

    def _type_out(self, _message: Message) -> Message:
        result = self._statement().result
        if result is None:
            raise StatementRefused("The statement was not executed")
        if not result.columns:
            self._instance.was_served(self._function(), [])
        return {"queryTypeNamed": [column.described() for column in result.columns]}

    def _fetch(self, _message: Message) -> None:
        statement, function = self._statement(), self._function()
        self._suffer(Step.FETCH, function.name)
        chunk = statement.next_chunk()
        if chunk is not None:
            self._send_chunk(chunk, function.name)
            return
        self._connection.sendall(text_message({"colSzs": [], "rows": 0}))
        if statement.result is not None:
            self._instance.was_served(function, statement.result.rows)

    def _send_chunk(self, chunk: Chunk, function_name: str) -> None:
        sizes = {"colSzs": chunk.sizes_bytes, "rows": chunk.row_count}
        self._connection.sendall(text_message(sizes))
        block = memoryview(binary_message(chunk.block))
        middle = len(block) // 2
        self._connection.sendall(block[:middle])
        self._suffer(Step.BLOCK, function_name)
        self._connection.sendall(block[middle:])

    def _close_statement(self, _message: Message) -> Message:
        if self._current is not None:
            self._instance.close_statement(self._own_id(), self._current.statement_id)
            self._current = None
        return {"statementClosed": "statementClosed"}

    def _close_connection(self, _message: Message) -> Message:
        self._ended = True
        return {"connectionClosed": "connectionClosed"}

    def _own_id(self) -> int:
        if self._connection_id is None:
            raise ProtocolBroken("a statement before the login")
        return self._connection_id

    def _statement(self) -> Statement:
        if self._current is None:
            raise StatementRefused("There is no open statement")
        return self._current

    def _function(self) -> ServedFunction:
        function = self._statement().function
        if function is None:
            raise StatementRefused("The statement was not prepared")
        return function

    def _caller(self) -> Caller:
        statement, account = self._statement(), self._instance.account
        return Caller(
            connection_id=self._own_id(),
            statement_id=statement.statement_id,
            client_ip=self._connection.getpeername()[0],
            username=account.username,
            database=account.database,
            service=self._service,
            sql=statement.sql,
        )

    def _suffer(self, step: Step, function: str = "") -> None:
        """Let the faults that are set for this step happen."""
        for active in self._instance.faults.strike(step, function):
            match active.fault.action:
                case Hang():
                    active.over.wait()
                case Delay(delay_seconds):
                    active.over.wait(delay_seconds)
                case Cut():
                    raise CutShort
                case ErrorAnswer(text):
                    raise StatementRefused(text)
