"""Puts the application together: routes, answers to what goes wrong, and the guard before them."""

from __future__ import annotations

from collections.abc import Sequence
from logging import Logger
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from shipper import __version__
from shipper.core.errors import ConfigError
from shipper.sources.jobs import event_routes, task_routes
from shipper.sources.jobs.back import Back
from shipper.sources.jobs.docs_page import HEADERS, docs_page
from shipper.sources.jobs.guard import Guard, Limits
from shipper.sources.jobs.ledger import LedgerBusy
from shipper.sources.jobs.replies import (
    RETRY_AFTER_SECONDS,
    faulty,
    invalid,
    not_created,
    refused,
    written,
)
from shipper.store.errors import RowsRefused, StoreError
from shipper.store.jobs.refusal import JobsRefusal

DESCRIPTION = "Batch jobs register tasks here, and post what happens to them."


def jobs_app(back: Back, limits: Limits, cors_origins: Sequence[str], log: Logger) -> ASGIApp:
    """Return the application that is served."""
    guarded: ASGIApp = Guard(bare_app(back, log), limits, back.clock)
    if not cors_origins:
        return guarded
    return CORSMiddleware(
        guarded,
        allow_origins=cors_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type"],
    )


def bare_app(back: Back, log: Logger) -> FastAPI:
    """Return the application without its guard."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.back = back
    for router in (task_routes.router, event_routes.router):
        app.include_router(router)
    document = _document(app)
    page = docs_page(document)

    async def root(_request: Request) -> Response:
        return PlainTextResponse("Here be dragons.")

    async def openapi(_request: Request) -> Response:
        return written(document)

    async def docs(_request: Request) -> Response:
        return HTMLResponse(page, headers=HEADERS)

    for path, endpoint in (("/", root), ("/openapi.json", openapi), ("/docs", docs)):
        app.add_route(path, endpoint, include_in_schema=False)
    _answer_faults(app, log)
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, in which wrong requests get the answers that they get here."""
    document = get_openapi(
        title="Jobs", version=__version__, description=DESCRIPTION, routes=app.routes
    )
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _answer_faults(app: FastAPI, log: Logger) -> None:
    """Give every error that can leave a route the answer that is meant for it."""

    async def refusal(request: Request, error: JobsRefusal) -> Response:
        return refused(error, request.method)

    async def unreadable(request: Request, error: RequestValidationError) -> Response:
        return invalid(error, request.method)

    async def of_http(request: Request, error: HTTPException) -> Response:
        answer = faulty(error.status_code, str(error.detail), **not_created(request.method))
        answer.headers.update(error.headers or {})
        return answer

    async def never(request: Request, _error: RowsRefused) -> Response:
        return faulty(400, "The database does not take this.", **not_created(request.method))

    async def later(request: Request, _error: Exception) -> Response:
        text = "The database cannot be used now; nothing is known to be changed."
        more = not_created(request.method)
        return faulty(503, text, **more, Retry_After=str(RETRY_AFTER_SECONDS))

    async def ours(request: Request, error: Exception) -> Response:
        log.error(
            "A request failed because of a fault of ours.", {"event": "fault"}, exc_info=error
        )
        return faulty(
            500, "A fault of the server; its log says more.", **not_created(request.method)
        )

    handlers: dict[type[Exception], Any] = {
        JobsRefusal: refusal,
        RequestValidationError: unreadable,
        HTTPException: of_http,
        RowsRefused: never,
        StoreError: later,
        ConfigError: later,
        LedgerBusy: later,
        Exception: ours,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
