"""Runs the web process: takes reports from the feed, serves the page, and ends when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator
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

BEAT_SECONDS = 1.0


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
    feed: str,
    *,
    take: Callable[[Report], None],
    follow: Callable[[Any], ASGIApp],
    beat: Callable[[], None],
    orders: Connection,
) -> None:
    """Serve `app` on an open socket and give every report from the address `feed` to `take`.

    Returns when `orders` says `stop`; anything else that it says goes to `follow`, which returns the application
    that answers from then on. Ends the process at once when `orders` is closed, because then the supervisor is gone.
    """
    asyncio.run(_serve(app, listening, feed, take, follow, beat, orders))


async def _serve(
    app: ASGIApp,
    listening: socket.socket,
    feed: str,
    take: Callable[[Report], None],
    follow: Callable[[Any], ASGIApp],
    beat: Callable[[], None],
    orders: Connection,
) -> None:
    front = Front(app)
    server = QuietServer(
        uvicorn.Config(
            front, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
    )

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
    background = [
        asyncio.create_task(_take_reports(feed, take)),
        asyncio.create_task(_beat(beat)),
    ]
    await server.serve(sockets=[listening])
    for task in background:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _take_reports(feed: str, take: Callable[[Report], None]) -> None:
    with zmq.asyncio.Context() as context, context.socket(zmq.PULL) as receiver:
        receiver.bind(feed)
        while True:
            take(orjson.loads(await receiver.recv()))


async def _beat(beat: Callable[[], None]) -> None:
    while True:
        beat()
        await asyncio.sleep(BEAT_SECONDS)
