"""Who may look, and what whoever sends rubbish can do: real sockets against the running program."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import SqreamEmulator
from shipper.live.patience import REQUEST_SECONDS
from tests.support.shipper_process import ShipperProcess, far_ends, until, write_config

TOKEN = "open-sesame-2209"  # noqa: S105 - opens a test
PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("access") / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture(scope="module")
def shipper(token_file: Path) -> Iterator[ShipperProcess]:
    folder = token_file.parent
    http = {"origins": ["https://shipper.example"]}
    config = write_config(folder, {"show_version": 0.3}, http=http)
    with SqreamEmulator() as emulator, LogStore() as store:
        flags = [*far_ends(emulator, store.url, config), "--http_token_file", str(token_file)]
        with ShipperProcess(["run", *flags], folder) as running:
            running.until_ready()
            yield running


def request(
    shipper: ShipperProcess, method: str, path: str, **more: Any
) -> urllib3.BaseHTTPResponse:
    return urllib3.request(
        method, shipper.address + path, retries=False, redirect=False, timeout=15, **more
    )


def live(shipper: ShipperProcess, path: str = "/live", **more: Any) -> Connection:
    return connect(shipper.address.replace("http", "ws") + path, **more)


def logged_in(shipper: ShipperProcess, token: str = TOKEN) -> urllib3.BaseHTTPResponse:
    return request(
        shipper,
        "POST",
        "/login",
        body=f"token={token}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


@contextmanager
def raw(shipper: ShipperProcess) -> Iterator[socket.socket]:
    host, _, port = shipper.address.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        yield connection


def seconds_until_closed(connection: socket.socket) -> float:
    began = time.monotonic()
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - began


def dribble(connection: socket.socket, content: bytes) -> None:
    for byte in content:
        connection.sendall(bytes([byte]))
        time.sleep(0.25)


def read_on(viewer: Connection) -> None:
    while True:
        viewer.recv(timeout=PATIENCE_SECONDS)


# The token


def test_a_browser_without_the_token_gets_a_form(shipper: ShipperProcess) -> None:
    answer = request(shipper, "GET", "/", headers={"Accept": "text/html,*/*"})

    assert answer.status == 401
    assert b'<form method="post" action="/login">' in answer.data


def test_a_program_without_the_token_gets_a_line(shipper: ShipperProcess) -> None:
    answer = request(shipper, "GET", "/api/state")

    assert (answer.status, answer.data) == (401, b"a bearer token is wanted\n")


def test_the_form_gives_a_cookie_that_is_as_good_as_the_token(shipper: ShipperProcess) -> None:
    answer = logged_in(shipper)
    cookie = answer.headers["Set-Cookie"]
    opened = request(shipper, "GET", "/", headers={"Cookie": cookie.partition(";")[0]})

    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert opened.status == 200


def test_a_wrong_token_gives_no_cookie_and_is_answered_late(shipper: ShipperProcess) -> None:
    began = time.monotonic()
    answer = logged_in(shipper, "open-sesame")
    took_seconds = time.monotonic() - began

    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers
    assert took_seconds >= 0.9


def test_a_form_of_another_origin_is_refused(shipper: ShipperProcess) -> None:
    headers = {"Origin": "http://evil.example"}
    answer = request(shipper, "POST", "/login", body=f"token={TOKEN}", headers=headers)

    assert answer.status == 403


@pytest.mark.parametrize("path", ["/live", "/api/updates", "/live?token=wrong", "/nothing"])
def test_a_websocket_without_the_token_is_refused(shipper: ShipperProcess, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        live(shipper, path)

    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("way", ["query", "header", "cookie"])
def test_a_websocket_with_the_token_is_let_in(shipper: ShipperProcess, way: str) -> None:
    path, headers = "/live", {}
    match way:
        case "query":
            path = f"/live?token={TOKEN}"
        case "header":
            headers = {"Authorization": f"Bearer {TOKEN}"}
        case _:
            headers = {"Cookie": logged_in(shipper).headers["Set-Cookie"].partition(";")[0]}
    with live(shipper, path, additional_headers=headers) as viewer:
        line = json.loads(viewer.recv(timeout=PATIENCE_SECONDS))

    assert line["metric"] == "show_version"


def test_the_token_in_a_query_opens_no_page(shipper: ShipperProcess) -> None:
    assert request(shipper, "GET", f"/api/state?token={TOKEN}").status == 401


@pytest.mark.parametrize(
    ("origin", "let_in"),
    [
        ("https://shipper.example", True),
        ("https://shipper.example.evil.example", False),
        ("null", False),
        ("file://", False),
    ],
)
def test_pages_of_configured_origins_are_let_in(
    shipper: ShipperProcess, origin: str, let_in: bool
) -> None:
    try:
        live(shipper, f"/live?token={TOKEN}", origin=origin).close()
        status = 101
    except InvalidStatus as refused:
        status = refused.response.status_code

    assert status == (101 if let_in else 403)


# Names


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.9", "[::1]:9108", "shipper.example"])
def test_our_own_names_are_known(shipper: ShipperProcess, host: str) -> None:
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}

    assert request(shipper, "GET", "/api/state", headers=headers).status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:9108", "10.0.0.1", ""])
def test_a_name_that_is_not_ours_is_refused(shipper: ShipperProcess, host: str) -> None:
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}

    assert request(shipper, "GET", "/api/state", headers=headers).status == 403


# What browsers are told


@pytest.mark.parametrize("path", ["/", "/ready", "/metrics", "/nothing", "/login"])
def test_every_answer_tells_browsers_to_be_careful(shipper: ShipperProcess, path: str) -> None:
    headers = request(shipper, "GET", path, headers={"Origin": "http://evil.example"}).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert [name for name in headers if name.lower().startswith("access-control")] == []


# Those who send too much, or too slowly


def test_a_connection_that_says_nothing_is_closed(shipper: ShipperProcess) -> None:
    with raw(shipper) as connection:
        waited_seconds = seconds_until_closed(connection)

    assert waited_seconds < REQUEST_SECONDS + 3


def test_a_request_that_comes_a_byte_at_a_time_is_given_up(shipper: ShipperProcess) -> None:
    began = time.monotonic()
    with raw(shipper) as connection, pytest.raises(ConnectionError):
        dribble(connection, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100)

    assert time.monotonic() - began < REQUEST_SECONDS + 5


def test_a_second_request_on_the_same_connection_has_no_more_time(shipper: ShipperProcess) -> None:
    with raw(shipper) as connection:
        connection.sendall(b"GET /healthy HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthy HT")
        waited_seconds = seconds_until_closed(connection)

    assert waited_seconds < REQUEST_SECONDS + 5


def test_headers_that_are_too_large_are_refused(shipper: ShipperProcess) -> None:
    with raw(shipper) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000)
        answer = connection.recv(1024)

    assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_form_that_is_too_large_is_refused(shipper: ShipperProcess) -> None:
    answer = request(shipper, "POST", "/login", body="token=" + "x" * 9000)

    assert answer.status == 413


def test_a_viewer_who_says_too_much_is_closed(shipper: ShipperProcess) -> None:
    with live(shipper, f"/live?token={TOKEN}") as viewer:
        viewer.send("x" * 5000)
        with pytest.raises(ConnectionClosedError) as closed:
            read_on(viewer)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_viewers_beyond_the_limit_are_told_so_and_places_become_free(
    shipper: ShipperProcess,
) -> None:
    path = f"/live?token={TOKEN}"
    viewers = [live(shipper, path) for _ in range(128)]
    with pytest.raises(InvalidStatus) as refused:
        live(shipper, path)
    for viewer in viewers:
        viewer.close()

    assert refused.value.response.status_code == 503
    assert b"as many look already" in refused.value.response.body
    until(lambda: _let_in(shipper, path))


def _let_in(shipper: ShipperProcess, path: str) -> bool:
    try:
        live(shipper, path).close()
    except InvalidStatus:
        return False
    return True


def test_a_new_token_sends_viewers_away(shipper: ShipperProcess, token_file: Path) -> None:
    with live(shipper, f"/live?token={TOKEN}") as viewer:
        _change_token(shipper, token_file, "another-word")
        with pytest.raises(ConnectionClosedError) as closed:
            read_on(viewer)
        _change_token(shipper, token_file, TOKEN)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


def _change_token(shipper: ShipperProcess, file: Path, token: str) -> None:
    file.write_text(token)
    shipper.signal(signal.SIGHUP)
    until(lambda: shipper.get("/api/state", token=token).status == 200)
