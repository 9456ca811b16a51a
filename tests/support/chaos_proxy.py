"""A relay in front of an HTTP server that gets into every kind of trouble a network and a server can be in.

    with ChaosProxy(server.host, server.port) as proxy:
        proxy.suffer(LoseAnswer())
        ...
        proxy.mend()

It reads whole requests and whole answers, so that a trouble strikes at a known place of a request, also on connections
that were kept. Requests need a Content-Length when they have a body; TLS is not spoken.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias

CALL_SECONDS = 10.0
HEAD_BYTES = 65536
END_OF_HEAD = b"\r\n\r\n"

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
_BODILESS = re.compile(rb"HTTP/1.1 (1\d\d|204|304)")
# SO_LINGER on with 0 seconds: closing sends a reset and throws away what was not sent.
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nobody listens, and every connection is reset."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Requests are read and never answered; they are reset when the trouble is over."""


@dataclass(frozen=True, slots=True)
class Slow:
    """Every request is passed on late."""

    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Trickle:
    """Every answer comes in small pieces."""

    piece_bytes: int
    pause_seconds: float


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """The connection is reset when half of a request's body was read; the server sees nothing of it."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The server gets every request, and the client a reset in place of its answer."""


@dataclass(frozen=True, slots=True)
class CutAnswer:
    """The server gets every request, and the client half of its answer's first line."""


@dataclass(frozen=True, slots=True)
class Canned:
    """Every request is answered with the same, and the server sees nothing of it."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def written(self) -> bytes:
        """Return the answer as it goes over the wire."""
        headers = {**self.headers, "Content-Length": str(len(self.body))}
        lines = [f"HTTP/1.1 {self.status} Canned", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join(lines).encode() + END_OF_HEAD + self.body


Trouble: TypeAlias = (
    Refuse | Silence | Slow | Trickle | ResetRequest | LoseAnswer | CutAnswer | Canned
)

NO_TROUBLE = "passed"


def name_of(trouble: Trouble | None) -> str:
    """Return a trouble's name for people."""
    match trouble:
        case None:
            return NO_TROUBLE
        case Canned(status):
            return f"answer {status}"
        case _:
            return re.sub(r"(?<!^)([A-Z])", r" \1", type(trouble).__name__).lower()


class ChaosProxy:
    """The relay, in a thread of its own; its methods can be called from any thread.

    Attributes:
        struck: How many requests met each kind of trouble, by its name.
    """

    def __init__(self, host: str, port: int) -> None:
        self.struck: Counter[str] = Counter()
        self._upstream = (host, port)
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._conversations: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._trouble: Trouble | None = None
        self._changed = asyncio.Event()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1, known once it was started."""
        return self._port

    @property
    def url(self) -> str:
        """Where it is reached, without a final slash."""
        return f"http://127.0.0.1:{self._port}"

    def suffer(self, trouble: Trouble) -> None:
        """Be in this trouble, and in no other, for every request whose head comes from now on."""
        self._call(self._change(trouble))

    def mend(self) -> None:
        """Be in no trouble from now on."""
        self._call(self._change(None))

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self._port, limit=HEAD_BYTES
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def _change(self, trouble: Trouble | None) -> None:
        self._trouble = trouble
        self._changed.set()
        self._changed = asyncio.Event()
        if isinstance(trouble, Refuse):
            await self._close()
        elif self._server is None:
            await self._listen()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        conversations = dict(self._conversations)
        for task, writer in conversations.items():
            _reset(writer)
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._converse(reader, writer))
        self._conversations[task] = writer
        task.add_done_callback(lambda ended: self._conversations.pop(ended, None))
        # A connection that was accepted just before the port was closed.
        if self._server is None:
            _reset(writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until one side ends the connection."""
        try:
            while await self._serve(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            _reset(writer)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; False when the connection is at its end."""
        head = await reader.readuntil(END_OF_HEAD)
        found = _LENGTH.search(head)
        length_bytes = int(found[1]) if found else 0
        trouble = self._trouble
        self.struck[name_of(trouble)] += 1
        if isinstance(trouble, ResetRequest):
            await reader.readexactly(length_bytes // 2)
            raise ConnectionResetError
        request = head + await reader.readexactly(length_bytes)
        match trouble:
            case Canned():
                answer, goes_on = trouble.written(), True
            case Silence():
                await self._changed.wait()
                raise ConnectionResetError
            case _:
                await self._pass_time(trouble.delay_seconds if isinstance(trouble, Slow) else 0.0)
                answer, goes_on = _kept_alive(await self._ask(request))
        return await self._reply(writer, answer, trouble) and goes_on

    async def _reply(
        self, writer: asyncio.StreamWriter, answer: bytes, trouble: Trouble | None
    ) -> bool:
        """Send the answer as the trouble has it; False when the connection is at its end."""
        match trouble:
            case LoseAnswer():
                raise ConnectionResetError
            case CutAnswer():
                # Half a status line: http.client takes a 204 whose headers are cut for a whole one.
                writer.write(answer[: answer.index(b"\r\n") // 2])
                await writer.drain()
                return False
            case Trickle(piece_bytes, pause_seconds):
                for start in range(0, len(answer), piece_bytes):
                    writer.write(answer[start : start + piece_bytes])
                    await writer.drain()
                    await self._pass_time(pause_seconds)
            case _:
                writer.write(answer)
                await writer.drain()
        return True

    async def _pass_time(self, seconds: float) -> None:
        """Wait, but not longer than the trouble lasts."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def _ask(self, request: bytes) -> bytes:
        """Return the server's whole answer.

        It is asked on a connection of its own, which it closes after the answer: so its end is seen.

        Raises:
            OSError: The server cannot be reached, or says nothing.
        """
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            head, body = request.split(END_OF_HEAD, 1)
            head = _CONNECTION.sub(b"", head) + b"\r\nConnection: close"
            writer.write(head + END_OF_HEAD + body)
            answer = await reader.read()
        finally:
            writer.close()
        if END_OF_HEAD not in answer:
            raise ConnectionResetError
        return answer


def _kept_alive(answer: bytes) -> tuple[bytes, bool]:
    """Return an answer without its word that the connection ends, where its own end can be told without that."""
    head, body = answer.split(END_OF_HEAD, 1)
    framed = _LENGTH.search(head) or _CHUNKED.search(head) or _BODILESS.match(head)
    if not framed:
        return answer, False
    return _CONNECTION.sub(b"", head) + END_OF_HEAD + body, True


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
