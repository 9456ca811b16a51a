"""Takes push requests: reads the body, plays a scripted answer or stores, and keeps a record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from shipper.demo.log_store.connection import transport_of
from shipper.demo.log_store.decode import decode_push
from shipper.demo.log_store.ingest import Ingester
from shipper.demo.log_store.limits import Limits
from shipper.demo.log_store.pushed import PushedStream
from shipper.demo.log_store.pushes import Answer, Script, SeenPush
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.responses import refusal_response
from shipper.demo.log_store.tenants import tenant_of

_LOOK_AGAIN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class _Push:
    request: Request
    body: bytes
    whole: bool
    streams: list[PushedStream]
    refusal: Refused | None


class PushApi:
    """The push endpoint. It runs in the server's event loop, so that pushes never overlap."""

    def __init__(
        self,
        ingester: Ingester,
        *,
        limits: Limits,
        auth_enabled: bool,
        answers: Script,
        record: Callable[[SeenPush], None],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._ingester = ingester
        self._limits = limits
        self._auth_enabled = auth_enabled
        self._answers = answers
        self._record = record
        self._is_stopping = is_stopping

    async def push(self, request: Request) -> Response:
        """Answer one push request."""
        try:
            push = await self._receive(request)
        except ClientDisconnect:
            return Response(status_code=499)
        if (answer := self._answers.take()) is not None:
            return await self._play(answer, push)
        response = self._taken(push)
        if not push.whole:
            response.headers["connection"] = "close"
        self._record(_seen(push, response.status_code))
        return response

    async def _receive(self, request: Request) -> _Push:
        chunks: list[bytes] = []
        size_bytes = 0
        most_bytes = self._limits.max_body_bytes
        async for chunk in request.stream():
            chunks.append(chunk)
            size_bytes += len(chunk)
            if size_bytes > most_bytes:
                break
        body = b"".join(chunks)
        try:
            streams = decode_push(
                body,
                content_type=request.headers.get("content-type", ""),
                content_encoding=request.headers.get("content-encoding", ""),
                declared_bytes=max(size_bytes, int(request.headers.get("content-length", "0"))),
                max_body_bytes=most_bytes,
            )
        except Refused as refusal:
            return _Push(request, body, size_bytes <= most_bytes, [], refusal)
        return _Push(request, body, size_bytes <= most_bytes, streams, None)

    def _taken(self, push: _Push) -> Response:
        try:
            self._store(push)
        except Refused as refusal:
            return refusal_response(refusal)
        return Response(status_code=204)

    def _store(self, push: _Push) -> None:
        tenant = tenant_of(push.request.headers, auth_enabled=self._auth_enabled)
        if push.refusal is not None:
            raise push.refusal
        self._ingester.push(tenant, push.streams)

    async def _play(self, answer: Answer, push: _Push) -> Response:
        generation = self._answers.generation
        silent = answer.never or answer.cut
        if answer.store_anyway:
            with suppress(Refused):
                self._store(push)
        self._record(_seen(push, 0 if silent else answer.status))
        if answer.delay_seconds:
            await asyncio.sleep(answer.delay_seconds)
        if answer.never:
            await self._stay_silent(push.request, generation)
        if silent:
            await _cut(push.request, _half_status_line(answer) if answer.cut else b"")
            return Response()
        response = Response(answer.body, answer.status, dict(answer.headers))
        if answer.close:
            response.headers["connection"] = "close"
        return response

    async def _stay_silent(self, request: Request, generation: int) -> None:
        while self._answers.generation == generation and not self._is_stopping():
            if await request.is_disconnected():
                return
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _half_status_line(answer: Answer) -> bytes:
    # Half of the status line: some clients take a head that ends anywhere later for a whole one.
    return f"HTTP/1.1 {answer.status}"[:10].encode()


async def _cut(request: Request, last_bytes: bytes) -> None:
    transport = transport_of(request.scope)
    if last_bytes:
        transport.write(last_bytes)
    transport.close()
    # Only once the server knows that the connection is gone does it want no response any more.
    while not await request.is_disconnected():
        await asyncio.sleep(0)


def _seen(push: _Push, status: int) -> SeenPush:
    request = push.request
    client = request.client
    return SeenPush(
        path=request.url.path,
        headers=dict(request.headers),
        body_bytes=len(push.body),
        content_type=request.headers.get("content-type", ""),
        content_encoding=request.headers.get("content-encoding", ""),
        status=status,
        streams=len(push.streams),
        entries=sum(len(stream.entries) for stream in push.streams),
        client=(client.host, client.port) if client else ("", 0),
    )
