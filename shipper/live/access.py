"""Stands before every answer: refuses who may not look, lets browsers log in, and tells them how to treat us."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shipper.live.doors import COOKIE, Doors, cookie_value, same

OPEN_PATHS = ("/ready", "/healthy")
LOGIN_PATH = "/login"

SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # With no-referrer browsers say "Origin: null" when the form is sent (Fetch, "append a request Origin header").
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
}

LOGIN_BYTES = 8192
LOGIN_SECONDS = 10.0
"""How large a form may be, and how long it may take to come."""

WRONG_TOKEN_SECONDS = 1.0
LOGINS_AT_ONCE = 5
"""A wrong token is answered late, and only so many are looked at meanwhile: five guesses a second."""

FORM = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Shipper</title></head>
<body><h1>Shipper</h1><p>{said}</p>
<form method="post" action="/login">
<label>Token <input type="password" name="token" autocomplete="current-password" autofocus required></label>
<button>Show</button>
</form></body></html>
"""


class Guard:
    """Lets through what may be answered, and adds what browsers should know to every answer."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app = app
        self._doors = doors
        self._looked_at = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a refusal, or hand the request on."""

        async def send_safely(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app: ASGIApp = self._refusal(HTTPConnection(scope)) or self._app
        await app(scope, receive, send_safely)

    def _refusal(self, connection: HTTPConnection) -> ASGIApp | None:
        """Return what answers instead of the application, if anything does."""
        path, headers = connection.scope["path"], connection.headers
        is_http = connection.scope["type"] == "http"
        if is_http and path in OPEN_PATHS:
            return None
        if not self._doors.knows_name(headers.get("Host")):
            return _refused(connection, 403, "that host name is not ours; http.origins may list it")
        if (not is_http or path == LOGIN_PATH) and not self._doors.knows_origin(headers):
            return _refused(
                connection, 403, "pages of that origin may not; http.origins may list it"
            )
        if is_http and path == LOGIN_PATH and self._doors.token is not None:
            return self._login
        if self._doors.let_in(connection):
            return None
        return _unknown(connection)

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer = await self._answer_to(request)
        await answer(scope, receive, send)

    async def _answer_to(self, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            return HTMLResponse(FORM.format(said="What is shown here wants a token."))
        if request.method != "POST":
            return PlainTextResponse("only GET and POST\n", 405, {"Allow": "GET, POST"})
        if self._looked_at >= LOGINS_AT_ONCE:
            return PlainTextResponse(
                "too many tries at once; again in a second\n", 429, {"Retry-After": "1"}
            )
        self._looked_at += 1
        try:
            return await self._entered(request)
        finally:
            self._looked_at -= 1

    async def _entered(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                form = await _form(request)
        except (TimeoutError, ClientDisconnect):
            return PlainTextResponse("the form did not come\n", 408, {"Connection": "close"})
        except ValueError as error:
            return PlainTextResponse(f"{error}\n", 413, {"Connection": "close"})
        token = self._doors.token or ""
        if not same(form.get("token", "").encode("utf-8", "surrogatepass"), token.encode()):
            await asyncio.sleep(WRONG_TOKEN_SECONDS)
            return HTMLResponse(FORM.format(said="That is not the token."), 401)
        answer = Response(status_code=303, headers={"Location": "/"})
        answer.set_cookie(
            COOKIE,
            cookie_value(token),
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer


async def _form(request: Request) -> dict[str, str]:
    """Read a small form.

    Raises:
        ValueError: It is too large.
        ClientDisconnect: It did not come.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LOGIN_BYTES:
            raise ValueError(f"a form of more than {LOGIN_BYTES} bytes is not taken")
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return {name: values[0] for name, values in fields.items()}


def _unknown(connection: HTTPConnection) -> ASGIApp:
    """Return what says that a token is wanted: a form for browsers, a line for programs."""
    wanted = {"WWW-Authenticate": "Bearer"}
    if connection.scope["type"] == "http" and "text/html" in connection.headers.get("Accept", ""):
        return HTMLResponse(FORM.format(said="What is shown here wants a token."), 401, wanted)
    return _refused(connection, 401, "a bearer token is wanted", wanted)


def _refused(
    connection: HTTPConnection, status: int, why: str, headers: dict[str, str] | None = None
) -> ASGIApp:
    if connection.scope["type"] == "http":
        return PlainTextResponse(f"{why}\n", status, headers)
    return JSONResponse({"error": why}, status, headers)
