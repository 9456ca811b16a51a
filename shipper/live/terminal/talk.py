"""Talks to a Shipper: follows what changes and the lines of one metric, and comes back after every interruption.

What changes is told over a WebSocket. Where there is none, as behind a proxy that lets none through, Shipper is asked
again and again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from threading import Thread
from typing import Any, TypeVar

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from shipper.core.errors import StartupError
from shipper.core.words import printable
from shipper.live.terminal.link import MOST_BYTES, Link, fetch_state, tls_context

UPDATES_PATH, LINES_PATH = "/api/updates", "/live"
OPEN_SECONDS = 5.0
CLOSE_SECONDS = 0.2
SILENT_SECONDS = 15.0
"""Something is told every 5 s even when nothing changed; after three times that, nothing comes any more."""

UPDATES_AGAIN_SECONDS = 30.0
"""While it has to be asked, it is tried this often whether it tells by itself meanwhile."""

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
LINES_KNOWN = 200
"""So many of the newest lines are asked for; more are on no screen."""

NO_SUCH_METRIC = 4404
Answer = TypeVar("Answer")
Message = Mapping[str, Any]


@dataclass(slots=True)
class Pause:
    """How long to wait before the next attempt: from half a second to ten, and never all at the same time."""

    random: Random
    _seconds: float = SHORTEST_PAUSE_SECONDS

    def reset(self) -> None:
        """Begin with short pauses again."""
        self._seconds = SHORTEST_PAUSE_SECONDS

    def next_seconds(self) -> float:
        """Return how long the next one is."""
        now, self._seconds = self._seconds, min(2 * self._seconds, LONGEST_PAUSE_SECONDS)
        return now * self.random.uniform(0.5, 1.0)


@dataclass(slots=True)
class Watcher:
    """Follows the state of a Shipper, for as long as it is let.

    Attributes:
        link: Where it is.
        interval_seconds: How often it is asked when it does not tell by itself.
        take_state: Takes a whole state, and whether it was told or asked for.
        take_news: Takes what changed.
        lost: Takes why it is not reached.
        pause: How long to wait after that.
    """

    link: Link
    interval_seconds: float
    take_state: Callable[[Message, bool], None]
    take_news: Callable[[Message], None]
    lost: Callable[[str], None]
    pause: Pause = field(default_factory=lambda: Pause(Random()))  # noqa: S311 - jitter

    async def follow(self) -> None:
        """Follow until it is cancelled."""
        while True:
            try:
                await self._listen()
            except (OSError, WebSocketException, TimeoutError, ValueError):
                # Why, the question that follows finds out in better words.
                await self._ask_on()

    async def _listen(self) -> None:
        async with _connected(self.link, self.link.websocket(UPDATES_PATH)) as connection:
            while True:
                async with asyncio.timeout(SILENT_SECONDS):
                    message = _message(await connection.recv())
                self.pause.reset()
                if isinstance(message.get("state"), dict):
                    self.take_state(message["state"], True)
                else:
                    self.take_news(message)

    async def _ask_on(self) -> None:
        """Ask again and again, for some time if it answers, once if it does not."""
        loop = asyncio.get_running_loop()
        until = loop.time() + UPDATES_AGAIN_SECONDS
        while loop.time() < until:
            try:
                state = await _in_thread(lambda: fetch_state(self.link))
            except StartupError as error:
                self.lost(str(error))
                await asyncio.sleep(self.pause.next_seconds())
                return
            self.pause.reset()
            self.take_state(state, False)
            await asyncio.sleep(self.interval_seconds)


async def follow_lines(
    link: Link,
    metric: str,
    match: str,
    *,
    begin: Callable[[], None],
    take: Callable[[Message], None],
    trouble: Callable[[str], None],
) -> None:
    """Follow the lines of a metric until it is cancelled; the newest that are known come first.

    Args:
        link: Where the Shipper is.
        metric: The metric.
        match: Only lines with this text in them; empty for all.
        begin: Called when the first line, or the first again, is about to come.
        take: Takes a line, or how many were lost.
        trouble: Takes why none come.
    """
    pause = Pause(Random())  # noqa: S311 - jitter
    query: dict[str, str | int] = {"metric": metric, "last": LINES_KNOWN}
    if match:
        query["match"] = match
    while True:
        try:
            async with _connected(link, link.websocket(LINES_PATH, **query)) as connection:
                begin()
                async for content in connection:
                    pause.reset()
                    take(_message(content))
        except (OSError, WebSocketException, TimeoutError, ValueError) as error:
            trouble(_why_no_lines(error))
        await asyncio.sleep(pause.next_seconds())


def _why_no_lines(error: Exception) -> str:
    match error:
        case InvalidStatus():
            return "this Shipper does not show its lines, or a proxy lets no WebSocket through"
        case ConnectionClosed(rcvd=frame) if frame is not None and frame.code == NO_SUCH_METRIC:
            return "there is no such metric any more"
        case ConnectionClosed(rcvd=frame) if frame is not None and frame.reason:
            return printable(frame.reason)
        case _:
            return f"no connection: {printable(str(error) or type(error).__name__)}"


class _Straight(connect):
    """A connection that follows no redirects: the token is for the address that was given."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take a redirect for the failure that it is."""
        return exc


@asynccontextmanager
async def _connected(link: Link, address: str) -> AsyncIterator[ClientConnection]:
    more: dict[str, Any] = {"ssl": tls_context()} if link.is_secure else {}
    connecting = _Straight(
        address,
        additional_headers=link.headers,
        proxy=None,
        open_timeout=OPEN_SECONDS,
        close_timeout=CLOSE_SECONDS,
        max_size=MOST_BYTES,
        **more,
    )
    async with connecting as connection:
        yield connection


def _message(content: str | bytes) -> Message:
    message = orjson.loads(content)
    if not isinstance(message, dict):
        raise ValueError("a message is no object")  # noqa: TRY004 - the far end's fault
    return message


async def _in_thread(question: Callable[[], Answer]) -> Answer:
    """Wait for a question that blocks; who quits does not wait, unlike with the loop's own threads."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Answer] = loop.create_future()

    def tell(settle: Callable[[Any], None], value: object) -> None:
        def settle_now() -> None:
            if not answer.done():
                settle(value)

        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle_now)

    def ask() -> None:
        try:
            tell(answer.set_result, question())
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            tell(answer.set_exception, error)

    Thread(target=ask, name="question", daemon=True).start()
    return await answer
