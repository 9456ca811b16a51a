from __future__ import annotations

import base64
from pathlib import Path

import pytest

from shipper.config.secret import Secret
from shipper.core.errors import ConfigError
from shipper.sinks.loki.access import Login, TlsFiles


def test_nobody_sends_no_headers() -> None:
    assert Login().headers() == {}


def test_a_tenant_is_sent() -> None:
    assert Login(tenant="ops").headers() == {"X-Scope-OrgID": "ops"}


def test_a_name_and_a_password_are_basic_authentication() -> None:
    header = Login(username="jo", password=Secret("literal", "gehäim:x")).headers()["Authorization"]

    assert base64.b64decode(header.removeprefix("Basic ")).decode() == "jo:gehäim:x"


def test_a_token_is_a_bearer() -> None:
    assert Login(token=Secret("literal", "abc")).headers() == {"Authorization": "Bearer abc"}


@pytest.mark.parametrize("token", ["gehäim", "a\x00b", "a\nb"])
def test_a_token_that_fits_no_header_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Login(token=Secret("literal", token)).headers()

    assert token not in str(caught.value)


def test_a_secret_is_read_every_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    login = Login(token=Secret("file", str(file)))
    first = login.headers()
    file.write_text("two\n")

    assert first["Authorization"] == "Bearer one"
    assert login.headers()["Authorization"] == "Bearer two"


def test_a_file_that_is_no_certificate_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("not a certificate")

    with pytest.raises(OSError, match=r".+"):
        TlsFiles(ca=file).context()
