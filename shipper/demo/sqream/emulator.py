"""The emulator as its user sees it: start it, connect to it, make it fail, stop it."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

from shipper.demo.sqream.catalog import CallerRows, Catalog, Rows, served, served_to_caller
from shipper.demo.sqream.columns import Column
from shipper.demo.sqream.faults import Faults
from shipper.demo.sqream.functions import monitoring_functions
from shipper.demo.sqream.instance import GPU_WORKER_TEXT, Account, Instance, OnServed
from shipper.demo.sqream.listener import Listener, TlsFiles
from shipper.demo.sqream.picker import SqreamPicker
from shipper.demo.sqream.session import Place, Session
from shipper.demo.sqream.tally import Counts
from shipper.demo.sqream.world import World


class SqreamEmulator:
    """A SQreamDB worker on TCP.

    Ports given as 0 are chosen by the system at the first `start` and kept: after `stop`, `start`
    listens on the same ones. Functions, faults and counters can be used from any thread, before,
    while and after it runs; `stop` clears the faults and keeps the rest.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        username: str = "sqream",
        password: str = "sqream",  # noqa: S107 - what a fresh SQreamDB has
        database: str = "master",
        services: Sequence[str] = ("monitor", "sqream"),
        version: str = "4.9.0",
        gpu: bool = False,
        cpu_refusal: str = GPU_WORKER_TEXT,
        world: World | None = None,
        tls: TlsFiles | None = None,
        reconnects: bool = False,
        picker_port: int | None = None,
        on_served: OnServed | None = None,
    ) -> None:
        """Set up an emulator that does not listen yet.

        Args:
            host: Address to listen on.
            port: Port for plain TCP.
            username: The role that may log in.
            password: Its password.
            database: The database it may connect to.
            services: The services this worker is subscribed to.
            version: What the server says of itself.
            gpu: Whether `select 1` runs; a worker without GPU refuses it.
            cpu_refusal: The text of that refusal.
            world: What the monitoring functions tell about; by default one with a random seed.
            tls: Also listen for TLS, on `port_ssl`.
            reconnects: Send clients to a second listener when they prepare a statement.
            picker_port: Also run a server picker there (0: any free port), None for none.
            on_served: See the property of this name.

        Raises:
            OSError: A TLS file cannot be read.
        """
        account = Account(username, password, database, frozenset(services))
        self._world = world or World(random.Random(), time.time)  # noqa: S311 - a play, no secret
        self._instance = Instance(
            account,
            Catalog(monitoring_functions(self._world, version)),
            version=version,
            gpu=gpu,
            cpu_refusal=cpu_refusal,
        )
        self._instance.on_served = on_served
        context = tls.server_context() if tls else None
        self._reconnects = reconnects
        self._plain = Listener(host, port, self._converse_first)
        self._plain_second = Listener(host, 0, self._converse_second) if reconnects else None
        self._tls = Listener(host, 0, self._converse_first, tls=context) if context else None
        self._tls_second = (
            Listener(host, 0, self._converse_second, tls=context)
            if context and reconnects
            else None
        )
        self._wanted_picker_port = picker_port
        self._picker: SqreamPicker | None = None

    @property
    def host(self) -> str:
        """The address it listens on."""
        return self._plain.host

    @property
    def port(self) -> int:
        """The port for plain TCP; 0 until the first start when the system chooses."""
        return self._plain.port

    @property
    def port_ssl(self) -> int:
        """The port for TLS; 0 without TLS."""
        return self._tls.port if self._tls else 0

    @property
    def picker_port(self) -> int:
        """The port of the server picker; 0 when there is none."""
        return self._picker.port if self._picker else 0

    @property
    def world(self) -> World:
        """What the monitoring functions tell about."""
        return self._world

    @property
    def faults(self) -> Faults:
        """What goes wrong, and when."""
        return self._instance.faults

    @property
    def counts(self) -> Counts:
        """What happened so far, in numbers."""
        return self._instance.tally.counts()

    @property
    def on_served(self) -> OnServed | None:
        """Called with a function's name and rows once the last byte of a result was sent.

        It runs in the thread of the session. That the client has read the result does not follow.
        """
        return self._instance.on_served

    @on_served.setter
    def on_served(self, on_served: OnServed | None) -> None:
        self._instance.on_served = on_served

    def serve(
        self, name: str, columns: Sequence[Column], rows: Rows, *, chunk_rows: int | None = None
    ) -> None:
        """Answer `select NAME()` with `rows`, in place of a function of the same name.

        Args:
            name: The function's name; upper and lower case are the same.
            columns: None at all makes it a statement without a result set.
            rows: Rows, which are packed now, once; or a callable that is asked for them at each
                execution and may raise `StatementRefused`.
            chunk_rows: The most rows that one fetch brings; None for all at once.

        Raises:
            ValueError: The rows do not fit the columns.
        """
        self._instance.catalog.add(served(name, columns, rows, chunk_rows=chunk_rows))

    def serve_to_caller(self, name: str, columns: Sequence[Column], rows: CallerRows) -> None:
        """Answer `select NAME()` with what `rows` returns for the session that asks.

        A session that asks again has read the whole answer to what it asked before, unless a fault
        of this emulator said otherwise.
        """
        self._instance.catalog.add(served_to_caller(name, columns, rows))

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: A port is taken.
        """
        try:
            for listener in self._listeners():
                listener.start()
            self._start_picker()
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """Clear the faults, close all ports and connections, and wait for their threads."""
        self.faults.clear()
        if self._picker is not None:
            self._picker.stop()
        for listener in self._listeners():
            listener.stop()

    def __enter__(self) -> SqreamEmulator:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_picker(self) -> None:
        if self._wanted_picker_port is None:
            return
        if self._picker is None:
            self._picker = SqreamPicker(
                [(self.host, self.port)], host=self.host, port=self._wanted_picker_port
            )
        self._picker.start()

    def _listeners(self) -> Iterator[Listener]:
        for listener in (self._plain, self._plain_second, self._tls, self._tls_second):
            if listener is not None:
                yield listener

    def _converse_first(self, connection: socket.socket) -> None:
        Session(connection, self._instance, self._first_place).run()

    def _converse_second(self, connection: socket.socket) -> None:
        Session(connection, self._instance, self._second_place).run()

    def _first_place(self) -> Place:
        """Where statements go that are prepared on the first listener."""
        if self._reconnects:
            return self._second(elsewhere=True)
        return Place(listener_id=0, port=self.port, port_ssl=self.port_ssl, elsewhere=False)

    def _second_place(self) -> Place:
        """Where statements go that are prepared on the second listener: they stay."""
        return self._second(elsewhere=False)

    def _second(self, *, elsewhere: bool) -> Place:
        port = self._plain_second.port if self._plain_second else 0
        port_ssl = self._tls_second.port if self._tls_second else 0
        return Place(listener_id=1, port=port, port_ssl=port_ssl, elsewhere=elsewhere)
