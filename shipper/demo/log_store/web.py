"""The HTTP face of the store: which path leads where, and the small pages about its health."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from shipper.demo.log_store.asked import asked_of
from shipper.demo.log_store.counters import Counters
from shipper.demo.log_store.push_api import PushApi
from shipper.demo.log_store.query_api import (
    QueryApi,
    QueryEndpoint,
    empty_list,
    empty_matrix,
    empty_vector,
)
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.responses import json_response, refusal_response, text_response
from shipper.demo.log_store.tail import Tail
from shipper.demo.log_store.tenants import tenant_of

Endpoint = Callable[[Request], Awaitable[Response]]

_INDEX = """\
Shipper's log store: for trying out and for tests, not a replacement for Loki.

It answers as Loki 3.6 does with its default limits and understands a small part of LogQL.

  POST /loki/api/v1/push           GET /loki/api/v1/query_range   GET /loki/api/v1/query
  GET  /loki/api/v1/labels         GET /loki/api/v1/label/NAME/values
  GET  /loki/api/v1/series         WS  /loki/api/v1/tail          GET /ready   GET /metrics
  GET  /config
"""
_BUILD = {
    "version": "3.6.15",
    "revision": "log-store",
    "branch": "shipper-log-store",
    "buildUser": "",
    "buildDate": "",
    "goVersion": "",
}
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"


class Pages:
    """Index, readiness, build, configuration and metrics."""

    def __init__(self, counters: Counters, *, is_ready: Callable[[], bool], config: str) -> None:
        self._is_ready = is_ready
        self._config = config
        self._registry = CollectorRegistry()
        self._registry.register(counters)

    async def index(self, _request: Request) -> Response:
        """Say what this server is, and what it is not."""
        return text_response(200, _INDEX.rstrip())

    async def ready(self, _request: Request) -> Response:
        """Answer 503 until the store counts as ready; pushes are taken before that."""
        if self._is_ready():
            return text_response(200, "ready")
        return text_response(503, "Ingester not ready: waiting for 15s after being ready")

    async def build(self, _request: Request) -> Response:
        """Name the Loki whose answers these are."""
        return json_response(_BUILD)

    async def config(self, _request: Request) -> Response:
        """Return the limits in force, as YAML."""
        return Response(self._config, media_type="text/plain; charset=utf-8")

    async def metrics(self, _request: Request) -> Response:
        """Return the counters in Prometheus's text format."""
        headers = {"content-type": _METRICS_TYPE}
        return Response(generate_latest(self._registry), headers=headers)


def build_app(
    *,
    pages: Pages,
    pushes: PushApi,
    queries: QueryApi,
    tail: Tail,
    auth_enabled: bool,
    clock: Callable[[], int],
) -> Starlette:
    """Return the application."""

    def answering(choose: Callable[[Request], QueryEndpoint]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            tenant = tenant_of(request.headers, auth_enabled=auth_enabled)
            asked = await asked_of(request, now_ns=clock())
            return await run_in_threadpool(choose(request), tenant, asked)

        return endpoint

    def query_route(path: str, endpoint: QueryEndpoint) -> Route:
        chosen = answering(lambda _request: endpoint)
        return Route(f"/loki/api/v1/{path}", chosen, methods=["GET", "POST"])

    values = answering(lambda request: queries.label_values(request.path_params["name"]))
    routes: list[BaseRoute] = [
        Route("/", pages.index),
        Route("/ready", pages.ready),
        Route("/metrics", pages.metrics),
        Route("/config", pages.config),
        Route("/loki/api/v1/status/buildinfo", pages.build),
        Route("/loki/api/v1/push", pushes.push, methods=["POST"]),
        Route("/api/prom/push", pushes.push, methods=["POST"]),
        query_route("query_range", queries.query_range),
        query_route("query", queries.query),
        query_route("labels", queries.labels),
        query_route("label", queries.labels),
        Route("/loki/api/v1/label/{name}/values", values, methods=["GET", "POST"]),
        query_route("series", queries.series),
        query_route("index/stats", queries.index_stats),
        query_route("index/volume", empty_vector),
        query_route("index/volume_range", empty_matrix),
        query_route("patterns", empty_list),
        WebSocketRoute("/loki/api/v1/tail", tail.view),
    ]
    refusals: dict[Any, Any] = {Refused: _refused, 404: _not_found, 405: _not_found}
    return Starlette(routes=routes, exception_handlers=refusals)


async def _refused(_request: Request, refusal: Refused) -> Response:
    return refusal_response(refusal)


async def _not_found(_request: Request, _error: Exception) -> Response:
    return text_response(404, "404 page not found")
