"""The two shapes of the store's answers: Go's plain text for refusals, Loki's JSON for queries."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from shipper.demo.log_store.refusal import Refused


def text_response(status: int, text: str) -> Response:
    """Return a text as Go's http.Error writes it, with a final newline."""
    response = Response(f"{text}\n", status_code=status, media_type="text/plain; charset=utf-8")
    response.headers["x-content-type-options"] = "nosniff"
    return response


def refusal_response(refusal: Refused) -> Response:
    """Return a refusal; one that closes tells the client not to send more on the connection."""
    response = text_response(refusal.status, refusal.text)
    if refusal.closes:
        response.headers["connection"] = "close"
    return response


def json_response(document: object) -> Response:
    """Return a JSON document with status 200."""
    return Response(orjson.dumps(document), media_type="application/json; charset=UTF-8")
