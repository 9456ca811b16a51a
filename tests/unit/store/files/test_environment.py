"""The database that `MYSQL_USER` and its companions name."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy.engine import make_url

from shipper.config.secret import Secret
from shipper.core.errors import ConfigError
from shipper.store.address import read_url
from shipper.store.files.environment import url_from_mysql_environment

LOGIN = {"MYSQL_USER": "development", "MYSQL_PASSWORD": "secret"}


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        pytest.param(LOGIN, "mysql://development:secret@localhost/files", id="login alone"),
        pytest.param(
            LOGIN | {"MYSQL_HOST": "db.example", "MYSQL_DATABASE": "smurf"},
            "mysql://development:secret@db.example/smurf",
            id="everything",
        ),
        pytest.param(
            LOGIN | {"MYSQL_HOST": "", "MYSQL_DATABASE": ""},
            "mysql://development:secret@localhost/files",
            id="empty ones",
        ),
        pytest.param(
            LOGIN | {"MYSQL_PASSWORD": ""}, "mysql://development:@localhost/files", id="no password"
        ),
        pytest.param({}, None, id="nothing"),
        pytest.param({"MYSQL_HOST": "db", "MYSQL_DATABASE": "smurf"}, None, id="no login"),
        pytest.param({"MYSQL_USER": "", "MYSQL_PASSWORD": ""}, None, id="empty login"),
    ],
)
def test_a_login_is_a_url(environ: Mapping[str, str], url: str | None) -> None:
    assert url_from_mysql_environment(environ) == url


@pytest.mark.parametrize("password", ["p@ss:w/rd", "100% sure?", "żółć", "[x]"])
def test_a_password_of_any_characters_is_found_again(password: str) -> None:
    url = url_from_mysql_environment(LOGIN | {"MYSQL_PASSWORD": password})

    assert url is not None
    assert make_url(url).password == password


def test_the_url_can_be_used() -> None:
    url = url_from_mysql_environment(LOGIN)

    assert url is not None
    assert read_url(Secret("literal", url)).database == "files"


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        ("MYSQL_USER", "MYSQL_PASSWORD is set and MYSQL_USER is not"),
        ("MYSQL_PASSWORD", "MYSQL_USER is set and MYSQL_PASSWORD is not"),
    ],
)
def test_half_a_login_is_an_error_that_does_not_show_it(missing: str, text: str) -> None:
    environ = {name: value for name, value in LOGIN.items() if name != missing}

    with pytest.raises(ConfigError, match=text) as error:
        url_from_mysql_environment(environ)
    assert "secret" not in str(error.value)
