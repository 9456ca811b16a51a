"""Who may look: rules without a server."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from shipper.live.doors import COOKIE, Doors, cookie_value

WORD = "hünter2"


def asked(kind: str = "http", query: str = "", **headers: str) -> HTTPConnection:
    scope: dict[str, Any] = {
        "type": kind,
        "path": "/",
        "query_string": quote(query, safe="=&").encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    return HTTPConnection(scope)


@pytest.mark.parametrize(
    ("connection", "let_in"),
    [
        (asked(), False),
        (asked(authorization=f"Bearer {WORD}"), True),
        (asked(authorization=f"bearer {WORD}"), False),
        (asked(authorization=WORD), False),
        (asked(query=f"token={WORD}"), False),
        (asked("websocket", f"token={WORD}"), True),
        (asked("websocket", "token=hunter2"), False),
        (asked(cookie=f"a=b; {COOKIE}={cookie_value(WORD)}"), True),
        (asked("websocket", cookie=f"{COOKIE}={cookie_value(WORD)}"), True),
        (asked(cookie=f"{COOKIE}={WORD}"), False),
        (asked(cookie=f"{COOKIE}={cookie_value('another')}"), False),
        (asked(cookie="\x00=;;;=\xff"), False),
        (asked(cookie=f"{COOKIE}="), False),
    ],
)
def test_only_who_knows_the_token_is_let_in(connection: HTTPConnection, let_in: bool) -> None:
    assert Doors(WORD).let_in(connection) is let_in


def test_without_a_token_everybody_is_let_in() -> None:
    assert Doors().let_in(asked())


def test_the_cookie_does_not_give_the_token_away() -> None:
    assert WORD not in cookie_value(WORD)
    assert cookie_value(WORD) != cookie_value("another")


@pytest.mark.parametrize(
    ("host", "known"),
    [
        (None, True),
        ("localhost", True),
        ("LOCALHOST:9108", True),
        ("localhost.", True),
        ("127.0.0.1:9108", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("[::1]:9108", True),
        ("shipper.example", True),
        ("shipper.example:443", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1", False),
        ("", False),
        ("[::2]:1", False),
    ],
)
def test_on_a_loopback_address_only_our_own_names_are_known(host: str | None, known: bool) -> None:
    assert Doors(origins=["https://shipper.example"], loopback=True).knows_name(host) is known


def test_where_others_reach_us_any_name_may_be_ours() -> None:
    assert Doors(WORD).knows_name("monitor.example:9108")


@pytest.mark.parametrize(
    ("origin", "host", "known"),
    [
        (None, "a:1", True),
        ("http://a:1", "a:1", True),
        ("https://A:1", "a:1", True),
        ("http://a", "a", True),
        ("http://a:1", "a:2", False),
        ("http://b:1", "a:1", False),
        ("http://user@a:1", "a:1", False),
        ("null", "a:1", False),
        ("null", "", False),
        ("", "", False),
        ("file://", "", False),
        ("https://shipper.example", "127.0.0.1:9108", True),
        ("http://shipper.example", "127.0.0.1:9108", False),
    ],
)
def test_pages_of_other_origins_are_not_known(origin: str | None, host: str, known: bool) -> None:
    headers = {"host": host} if origin is None else {"host": host, "origin": origin}

    assert Doors(origins=["https://shipper.example"]).knows_origin(Headers(headers)) is known
