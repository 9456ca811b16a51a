"""Runs a log store in a thread of this process, and lets tests read what it holds."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from shipper.demo.log_store.catalog import Catalog
from shipper.demo.log_store.config_page import config_text
from shipper.demo.log_store.connection import ConnectionProtocol
from shipper.demo.log_store.counters import Counters
from shipper.demo.log_store.evaluate import Evaluator
from shipper.demo.log_store.golang import NS_PER_SECOND
from shipper.demo.log_store.ingest import Ingester
from shipper.demo.log_store.limits import Limits
from shipper.demo.log_store.logql import parse_selector
from shipper.demo.log_store.push_api import PushApi
from shipper.demo.log_store.pushes import Script, SeenPush
from shipper.demo.log_store.query_api import QueryApi
from shipper.demo.log_store.storage import Storage, StoredLine
from shipper.demo.log_store.tail import Tail
from shipper.demo.log_store.tenants import NO_AUTH_TENANT
from shipper.demo.log_store.web import Pages, build_app

_REMEMBERED_PUSHES = 10_000
# Loki closes a kept-alive connection after 120 s without a byte.
_KEEP_ALIVE_SECONDS = 120
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files for HTTPS; with `client_ca_path` clients must show a certificate of that CA."""

    certificate_path: Path
    key_path: Path
    client_ca_path: Path | None = None


class LogStore:
    """A Loki-compatible server: `with LogStore() as store: ... store.url ...`.

    `start` and `stop` can be called in turn: the port and what was stored stay. `close` ends it, and
    removes the file unless `path` named one. Times come from `clock` (ns since 1970).
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        limits: Limits | None = None,
        path: Path | None = None,
        auth_enabled: bool = False,
        ready_after_seconds: float = 0.0,
        clock: Callable[[], int] = time.time_ns,
        tls: Tls | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._clock = clock
        self._ready_after_seconds = ready_after_seconds
        self._started_ns = clock()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._seen: deque[SeenPush] = deque(maxlen=_REMEMBERED_PUSHES)
        self.answers = Script()
        self.counters = Counters()
        self._folder = tempfile.TemporaryDirectory(prefix="log-store-") if path is None else None
        self._storage = Storage(path or Path(self._folder.name if self._folder else "") / "logs.db")
        self._build(limits or Limits(), auth_enabled=auth_enabled)

    def _build(self, limits: Limits, *, auth_enabled: bool) -> None:
        catalog = Catalog(self._storage.streams())
        self._evaluator = Evaluator(catalog, self._storage)
        tail = Tail(self._evaluator, auth_enabled=auth_enabled, clock=self._clock)
        ingester = Ingester(
            self._storage,
            catalog,
            limits=limits,
            counters=self.counters,
            clock=self._clock,
            listener=tail.publish,
        )
        pushes = PushApi(
            ingester,
            limits=limits,
            auth_enabled=auth_enabled,
            answers=self.answers,
            record=self._seen.append,
            is_stopping=self._is_stopping,
        )
        self._app = build_app(
            pages=Pages(
                self.counters,
                is_ready=self._is_ready,
                config=config_text(limits, auth_enabled=auth_enabled),
            ),
            pushes=pushes,
            queries=QueryApi(self._evaluator, limits=limits),
            tail=tail,
            auth_enabled=auth_enabled,
            clock=self._clock,
        )

    @property
    def url(self) -> str:
        """Where the store is reached, without a final slash."""
        return f"{'https' if self._tls else 'http'}://{self._host}:{self._port}"

    @property
    def port(self) -> int:
        """The port; known once the store was started."""
        return self._port

    @property
    def pushes(self) -> list[SeenPush]:
        """The push requests of late, oldest first: the last 10,000."""
        return list(self._seen)

    def lines(self, selector: str = "{}", *, tenant: str = NO_AUTH_TENANT) -> list[StoredLine]:
        """Return the stored lines of a selector by time; read from the file, not over HTTP.

        Raises:
            Refused: The selector is no log query of the store's part of LogQL.
        """
        return self._evaluator.stored_lines(tenant, parse_selector(selector))

    def start(self) -> None:
        """Listen, and return once requests are answered.

        Raises:
            OSError: The port cannot be had.
            RuntimeError: The server did not come up.
        """
        config = self._config()
        config.load()
        listening = socket.create_server((self._host, self._port))
        self._port = listening.getsockname()[1]
        self._started_ns = self._clock()
        server = uvicorn.Server(config)
        self._server = server
        self._thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listening])),
            name=f"log-store-{self._port}",
            daemon=True,
        )
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the log store did not start")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop listening and end the connections; what was stored stays."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)
        self._server = self._thread = None

    def close(self) -> None:
        """Stop, and let go of the file; a temporary one is removed."""
        self.stop()
        self._storage.close()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _config(self) -> uvicorn.Config:
        tls = self._tls
        return uvicorn.Config(
            self._app,
            http=ConnectionProtocol,
            # The default WebSocket protocol of uvicorn uses parts that `websockets` deprecates.
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
            ssl_certfile=tls.certificate_path if tls else None,
            ssl_keyfile=tls.key_path if tls else None,
            ssl_ca_certs=str(tls.client_ca_path) if tls and tls.client_ca_path else None,
            ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.client_ca_path else ssl.CERT_NONE,
        )

    def _is_ready(self) -> bool:
        waited_ns = self._clock() - self._started_ns
        return waited_ns >= self._ready_after_seconds * NS_PER_SECOND

    def _is_stopping(self) -> bool:
        return self._server is None or self._server.should_exit
