"""The web process's answers: the page, `/metrics`, `/ready`, `/healthy` and `/api/state`."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shipper.live.board import Board

OPEN_PATHS = ("/ready", "/healthy")
PAGE = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'",
}


def web_app(board: Board, metrics_page: Callable[[], bytes], token: str | None) -> ASGIApp:
    """Return the application; with a `token` every path but `/ready` and `/healthy` wants it as a bearer token."""

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
        return JSONResponse(board.state(), headers=SAFE_HEADERS)

    app = Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/ready", ready),
            Route("/healthy", healthy),
            Route("/api/state", state),
            *(Route(path, _file(name, kind)) for path, (name, kind) in PAGE.items()),
        ]
    )
    return app if token is None else TokenWanted(app, token)


class TokenWanted:
    """Lets only requests with the right bearer token through to the application."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._wanted = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or hand the request on."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            sent = Headers(scope=scope).get("Authorization", "")
            if not hmac.compare_digest(sent.encode("latin-1"), self._wanted):
                refusal = PlainTextResponse(
                    "a bearer token is wanted\n", 401, {"WWW-Authenticate": "Bearer"}
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that answers with a file of the page."""
    content = files("shipper.live").joinpath("page", name).read_bytes()

    async def answer(_request: Request) -> Response:
        return Response(content, media_type=media_type, headers=SAFE_HEADERS)

    return answer
