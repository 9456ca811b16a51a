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
        ({"too_old": "keep"}, "restamp"),
        ({"spool_max_bytes": 0}, "greater than or equal to 1"),
        ({"dead_letter_max_bytes": 0}, "greater than or equal to 1"),
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


def test_what_waits_and_what_is_refused_has_limits() -> None:
    found = settings()

    assert (found.queue_max_bytes, found.spool_max_bytes) == (64 * 1024**2, 1024**3)
    assert (found.too_old, found.dead_letter_max_bytes) == ("dead_letter", 64 * 1024**2)


@pytest.mark.parametrize(
    ("url", "names"),
    [
        (
            "http://x",
            ["check_loki_connection", "check_loki_clock", "check_loki_limits"],
        ),
        (
            "https://x",
            ["check_loki_connection", "check_loki_clock", "check_loki_limits", "check_loki_tls"],
        ),
    ],
)
def test_certificates_are_only_checked_where_there_are_some(url: str, names: list[str]) -> None:
    assert [check.name for check in settings(url=url).checks()] == names


def test_a_rehearsal_sends_the_same_but_tells_nobody_who_we_are() -> None:
    real = settings(url="https://x", token=SECRET, tenant="ops", ca="ca.pem", encoding="json")
    rehearsed = real.rehearsal("http://stand-in")

    assert (rehearsed.url, rehearsed.encoding) == ("http://stand-in", "json")
    assert (rehearsed.token, rehearsed.tenant, rehearsed.ca) == (None, None, None)
