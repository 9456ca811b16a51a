"""Where a ZeroMQ socket is."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from shipper.core.errors import SourceUnavailable
from shipper.sources.zeromq.wire import Endpoint


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let three names be known, and numeric addresses."""
    addresses = {
        "both": ["::1", "127.0.0.1"],
        "new": ["2001:db8::1"],
        "old": ["192.0.2.1"],
        "::1": ["::1"],
    }

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if host not in addresses:
            raise socket.gaierror
        return [(None, None, 0, "", (address, port)) for address in addresses[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tcp://127.0.0.1:7894", "127.0.0.1", 7894),
        ("tcp://[::1]:1", "::1", 1),
        ("tcp://*:65535", "*", 65535),
        ("tcp://daq-1.example:5556", "daq-1.example", 5556),
    ],
)
def test_an_endpoint_is_read_and_written_the_same(text: str, host: str, port: int) -> None:
    place = Endpoint.parse(text)

    assert place == Endpoint(host, port)
    assert f"tcp://{place}" == text


@pytest.mark.parametrize(
    ("host", "only"), [("both", False), ("old", False), ("new", True), ("::1", True)]
)
@pytest.mark.usefixtures("known")
def test_ipv6_is_taken_only_where_there_is_nothing_else(host: str, *, only: bool) -> None:
    assert Endpoint(host, 1).is_only_ipv6() is only


@pytest.mark.parametrize(
    ("host", "address"),
    [("*", "0.0.0.0"), ("both", "[::1]"), ("old", "192.0.2.1")],  # noqa: S104 - none is bound
)
@pytest.mark.usefixtures("known")
def test_what_is_bound_is_an_address(host: str, address: str) -> None:
    assert str(Endpoint(host, 7894).found_here()) == f"{address}:7894"


@pytest.mark.usefixtures("known")
def test_a_host_that_is_not_known_is_unavailable() -> None:
    with pytest.raises(SourceUnavailable, match="nobody is not a host that can be found"):
        Endpoint("nobody", 1).found_here()
