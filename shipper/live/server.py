"""Runs the web process: takes reports and lines, serves the page, and ends when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import orjson
import uvicorn
import zmq
import zmq.asyncio
from starlette.types import ASGIApp, Receive, Scope, Send

from shipper.live.feed import Report
from shipper.live.patience import CONNECTIONS_ANSWERED, PatientProtocol

BEAT_SECONDS = 1.0
IDLE_SECONDS = 5
"""How long a connection may wait for its next request."""

MESSAGE_BYTES = 4096
"""How much a viewer may say at once; what it says is of no interest."""

PING_SECONDS = 20.0
NO_ANSWER_SECONDS = 60.0
"""When to ask a viewer whether it is there, and how long it may take to answer; it may be busy reading."""

UNACKNOWLEDGED_MS = 90_000
"""How long what was sent may stay unacknowledged, or a viewer's window closed, before the kernel lets go."""


class QuietServer(uvicorn.Server):
    """A uvicorn server that leaves signals alone: the supervisor tells it when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


@dataclass(slots=True)
class Front:
    """An application whose place another can take between two requests."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application of this moment answer."""
        await self.app(scope, receive, send)


def serve(
    app: ASGIApp,
    listening: socket.socket,
    *,
    follow: Callable[[Any], ASGIApp],
    orders: Connection,
    background: Sequence[Coroutine[Any, Any, None]],
) -> None:
    """Serve `app` on an open socket, with other things going on in the background.

    Returns when `orders` says `stop`; anything else that it says goes to `follow`, which returns the application
    that answers from then on. Ends the process at once when `orders` is closed, because then the supervisor is gone.
    """
    # Accepted connections inherit it (tcp(7)).
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
    asyncio.run(_serve(app, listening, follow, orders, background))


async def _serve(
    app: ASGIApp,
    listening: socket.socket,
    follow: Callable[[Any], ASGIApp],
    orders: Connection,
    background: Sequence[Coroutine[Any, Any, None]],
) -> None:
    front = Front(app)
    server = QuietServer(_config(front))

    def obey() -> None:
        try:
            word = orders.recv()
        except EOFError:
            os._exit(0)
        if word == "stop":
            server.should_exit = True
        else:
            front.app = follow(word)

    asyncio.get_running_loop().add_reader(orders.fileno(), obey)
    tasks = [asyncio.create_task(each) for each in background]
    await server.serve(sockets=[listening])
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="websockets-sansio",
        log_config=None,
        log_level="error",  # whoever sends rubbish need not fill our log
        access_log=False,
        lifespan="off",
        server_header=False,
        limit_concurrency=CONNECTIONS_ANSWERED,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=1,
        ws_max_size=MESSAGE_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=NO_ANSWER_SECONDS,
        ws_per_message_deflate=False,  # costs more than what it spares on the way to a browser nearby
    )


async def take_reports(feed: str, take: Callable[[Report], None]) -> None:
    """Give every report from an address to `take`; never returns."""
    with zmq.asyncio.Context() as context, context.socket(zmq.PULL) as receiver:
        receiver.bind(feed)
        while True:
            take(orjson.loads(await receiver.recv()))


async def keep_beating(beat: Callable[[], None]) -> None:
    """Say every second that the loop turns; never returns."""
    while True:
        beat()
        await asyncio.sleep(BEAT_SECONDS)
