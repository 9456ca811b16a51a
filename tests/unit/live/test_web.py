"""The web process's answers, without a server."""

from __future__ import annotations

import pytest
from starlette.types import ASGIApp

from shipper.live.board import SUPERVISOR, Board
from shipper.live.doors import Doors
from shipper.live.web import web_app
from tests.support.asgi import ask
from tests.support.clock import FakeClock

PATHS = ("/", "/page.js", "/page.css", "/metrics", "/api/state")
WORD = "hünter2"
KNOWN = {"m": {"type": "sqream", "instance": "db:5000", "every_seconds": 2, "required": True}}


def app_in(phase: str | None = "running", token: str | None = None) -> ASGIApp:
    board = Board("1.2.3", KNOWN, FakeClock())
    if phase is not None:
        workers = {"m": {"phase": phase, "reason": ""}}
        board.take({"origin": SUPERVISOR, "pid": 0, "state": {"workers": workers}, "tally": {}})
    return web_app(board, lambda: b"up 1\n", Doors(token))


def test_the_metrics_are_served_as_prometheus_wants_them() -> None:
    response = ask(app_in(), "/metrics")

    assert (response.status, response.body) == (200, b"up 1\n")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_the_metrics_are_made_for_every_request() -> None:
    pages = iter([b"1", b"2"])
    app = web_app(Board("", {}, FakeClock()), lambda: next(pages), Doors())

    assert [ask(app, "/metrics").body for _ in range(2)] == [b"1", b"2"]


def test_it_is_ready_when_the_workers_run() -> None:
    response = ask(app_in(), "/ready")

    assert (response.status, response.json()) == (200, {"ready": True, "reasons": []})


def test_it_is_not_ready_with_reasons_as_json() -> None:
    response = ask(app_in("starting"), "/ready")

    assert (response.status, response.json()) == (503, {"ready": False, "reasons": ["m: starting"]})


@pytest.mark.parametrize(("phase", "status"), [("failed", 200), (None, 503)])
def test_it_is_healthy_while_the_supervisor_ticks(phase: str | None, status: int) -> None:
    assert ask(app_in(phase), "/healthy").status == status


def test_the_state_is_what_the_page_shows() -> None:
    response = ask(app_in(), "/api/state")

    assert response.json()["version"] == "1.2.3"
    assert [row["metric"] for row in response.json()["metrics"]] == ["m"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")],
)
def test_the_page_is_served_with_its_parts(path: str, kind: str) -> None:
    response = ask(app_in(), path)

    assert response.status == 200
    assert response.headers["content-type"] == f"{kind}; charset=utf-8"
    assert response.body


def test_the_page_loads_nothing_from_elsewhere() -> None:
    response = ask(app_in(), "/")

    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert b"http://" not in response.body
    assert b"https://" not in response.body


def test_the_page_may_be_asked_for_without_its_body() -> None:
    response = ask(app_in(), "/", method="HEAD")

    assert response.status == 200


def test_what_is_not_there_is_404() -> None:
    assert ask(app_in(), "/nothing").status == 404


def test_nothing_can_be_posted() -> None:
    assert ask(app_in(), "/metrics", method="POST").status == 405


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "//ready", "/ready/", "/healthy/../metrics"])
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"",
        "hünter2".encode(),
        b"Bearer",
        b"Bearer ",
        "Bearer hünter".encode(),
        "Basic hünter2".encode(),
        b"Bearer \xff",
    ],
)
def test_with_a_token_nothing_is_answered_without_it(
    path: str, authorization: bytes | None
) -> None:
    response = ask(app_in(token=WORD), path, authorization=authorization)

    assert response.status == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert WORD.encode() not in response.body


@pytest.mark.parametrize("path", PATHS)
def test_the_right_token_opens_every_path(path: str) -> None:
    app = app_in(token=WORD)

    assert ask(app, path, authorization=f"Bearer {WORD}".encode()).status == 200


@pytest.mark.parametrize("path", ["/ready", "/healthy"])
def test_probes_need_no_token(path: str) -> None:
    assert ask(app_in(token=WORD), path).status == 200
