"""The web process's answers: the page, `/metrics`, `/ready`, `/healthy`, what is kept, and the WebSockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from importlib.resources import files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp

from shipper.live.access import Guard
from shipper.live.board import Board
from shipper.live.doors import Doors
from shipper.live.viewing import Viewing

SUFFIXES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
"""Which files of the page are served, and as what."""

START = "index.html"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def web_app(
    board: Board,
    metrics_page: Callable[[], bytes],
    doors: Doors,
    *,
    viewing: Viewing | None = None,
    kept: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """Return the application.

    Args:
        board: What is known of the run.
        metrics_page: Makes what Prometheus scrapes.
        doors: Who is let in; everybody gets `/ready` and `/healthy`.
        viewing: Serves the WebSockets, where there are any.
        kept: What answers questions about tables.
    """

    async def metrics(_request: Request) -> Response:
        return Response(metrics_page(), media_type=METRICS_TYPE)

    async def ready(_request: Request) -> Response:
        reasons = board.reasons_not_ready()
        status = 503 if reasons else 200
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status)

    async def healthy(_request: Request) -> Response:
        if board.healthy():
            return PlainTextResponse("healthy\n")
        return PlainTextResponse("the supervisor does not tick\n", 503)

    async def state(_request: Request) -> Response:
        return JSONResponse(board.state())

    routes: list[BaseRoute] = [
        Route("/metrics", metrics),
        Route("/ready", ready),
        Route("/healthy", healthy),
        Route("/api/state", state),
        *kept,
        *_page(),
    ]
    if viewing is not None:
        routes.append(WebSocketRoute("/live", viewing.live))
        routes.append(WebSocketRoute("/api/updates", viewing.follow))
    return Guard(Starlette(routes=routes), doors)


def _page() -> Iterator[Route]:
    """Yield a route for every file of the page."""
    for file in files("shipper.live").joinpath("page").iterdir():
        stem, dot, suffix = file.name.rpartition(".")
        kind = SUFFIXES.get(f"{dot}{suffix}") if stem else None
        if kind is not None:
            answer = _content(file.read_bytes(), kind)
            yield Route("/" if file.name == START else f"/{file.name}", answer)


def _content(content: bytes, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that answers with a file of the page."""

    async def answer(_request: Request) -> Response:
        return Response(content, media_type=media_type)

    return answer
