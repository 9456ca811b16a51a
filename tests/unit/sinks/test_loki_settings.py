from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shipper.sinks.loki.settings import LokiSettings

SECRET = {"env": "LOKI_SECRET"}


def settings(**written: Any) -> LokiSettings:
    return LokiSettings.model_validate(written)


def test_nothing_has_to_be_written() -> None:
    found = settings()

    assert found.url == "http://localhost:3100"
    assert (found.encoding, found.max_batch_bytes) == ("protobuf", 1024 * 1024)
    assert (found.connect_timeout_seconds, found.read_timeout_seconds) == (5, 15)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://loki:3100/", "http://loki:3100"),
        ("https://gate.example/logs/", "https://gate.example/logs"),
        ("http://loki:3100/loki/api/v1/push", "http://loki:3100"),
        ("https://gate.example/logs/loki/api/v1/push/", "https://gate.example/logs"),
        ("HTTP://LOKI:3100", "http://loki:3100"),
        (" http://loki ", "http://loki"),
        ("http://[::1]:3100", "http://[::1]:3100"),
    ],
)
def test_an_address_is_understood(written: str, meant: str) -> None:
    assert settings(url=written).url == meant


@pytest.mark.parametrize(
    "url",
    [
        "",
        "loki:3100",
        "localhost",
        "ftp://loki",
        "http://",
        "http://loki:port",
        "http://loki:70000",
        "http://u:p@loki",
        "http://loki/?a=b",
        "http://loki/#a",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        settings(url=url)


def test_a_password_in_the_address_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        settings(url="http://u:hunter2@loki")

    assert all("hunter2" not in error["msg"] for error in caught.value.errors())


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ({"token": SECRET, "username": "u", "password": SECRET}, "exclude each other"),
        ({"username": "u"}, "username needs password"),
        ({"password": SECRET}, "password needs username"),
        ({"username": "a:b", "password": SECRET}, "no colon"),
        ({"url": "https://x", "key": "k.pem"}, "key needs cert"),
        ({"url": "http://x", "ca": "ca.pem"}, "need a url with https"),
        ({"url": "http://x", "cert": "c.pem"}, "need a url with https"),
        ({"tenant": ".."}, "neither"),
        ({"tenant": "a|b"}, "match pattern"),
        ({"tenant": "a" * 151}, "match pattern"),
        ({"tenant": "a\n"}, "match pattern"),
        ({"max_batch_bytes": 4_000_001}, "4000000"),
        ({"encoding": "xml"}, "protobuf"),
        ({"connect_timeout_seconds": 0}, "greater than 0"),
        ({"urll": "http://x"}, "Extra"),
    ],
)
def test_what_does_not_fit_together_is_refused(written: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        settings(**written)


def test_paths_are_written_as_text() -> None:
    found = settings(url="https://x", ca="ca.pem", cert="c.pem", key="k.pem")

    assert (found.ca, found.cert, found.key) == (Path("ca.pem"), Path("c.pem"), Path("k.pem"))


def test_the_sink_knows_how_much_it_takes() -> None:
    assert settings(max_batch_bytes=1000).build().max_batch_bytes == 1000


def test_there_is_one_check() -> None:
    assert [check.name for check in settings().checks()] == ["check_loki_connection"]
