"""Addresses of a Shipper that is watched."""

from __future__ import annotations

import pytest

from shipper.core.errors import ConfigError
from shipper.live.terminal.link import Link, read_address


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("http://h:9108", "http://h:9108"),
        ("http://h:9108/", "http://h:9108"),
        ("https://h/a/prefix/", "https://h/a/prefix"),
        ("http://[::1]:9108", "http://[::1]:9108"),
    ],
)
def test_an_address_may_have_a_prefix(written: str, address: str) -> None:
    assert read_address(written) == address


@pytest.mark.parametrize(
    "written",
    ["", "h:9108", "ftp://h", "http://", "http://h:x", "http://h:99999", "http://h:0", "http://[::1",
     "http://u:p@h", "http://h?token=x", "http://h#a", "http://h/\x1b[2J", "http://h/a b"],
)  # fmt: skip
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(ConfigError, match="--url") as refused:
        read_address(written)

    assert str(refused.value).isprintable()


def test_websockets_have_the_same_place() -> None:
    link = Link("https://h/prefix")

    assert link.websocket("/live", metric="a", match="ü &") == (
        "wss://h/prefix/live?metric=a&match=%C3%BC%20%26"
    )


def test_a_token_is_sent_and_never_shown() -> None:
    link = Link("http://h", "sesame")

    assert link.headers == {"Authorization": "Bearer sesame"}
    assert "sesame" not in repr(link)
