"""Routes whose bodies are read by orjson, which also refuses what is nested without end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from json import JSONDecodeError
from typing import Any

import orjson
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response


class OrjsonRequest(Request):
    """A request with a body of JSON."""

    async def json(self) -> Any:  # noqa: ANN401 - any JSON
        """Return what the body says.

        Raises:
            JSONDecodeError: It is no JSON.
        """
        try:
            return orjson.loads(await self.body())
        except orjson.JSONDecodeError as error:
            # What it shows of the body is for nobody.
            raise JSONDecodeError(error.msg, "", 0) from None


class OrjsonRoute(APIRoute):
    """A route whose requests are such."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            return await handle(OrjsonRequest(request.scope, request.receive))

        return answer
