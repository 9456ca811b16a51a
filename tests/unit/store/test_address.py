"""Where a database is, as operators write it and as it is shown."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from shipper.config.secret import Secret
from shipper.core.errors import ConfigError
from shipper.store.address import instance, read_url, shown, with_driver


def secret(url: str) -> Secret:
    return Secret("literal", url)


@pytest.mark.parametrize(
    ("url", "objection"),
    [
        ("nonsense", "must be a SQLAlchemy URL"),
        ("postgresql://u:s3cret@h:port/d", "must be a SQLAlchemy URL"),
        ("postgres://u:s3cret@h/d", 'did you mean "postgresql"'),
        ("oracle://u:s3cret@h/d", '"oracle" is not a database that is known'),
        ("postgresql+psycopg2://u:s3cret@h/d", "write postgresql:// alone"),
        ("mariadb+mysqldb://u:s3cret@h/d", "write mariadb:// alone"),
        ("sqlite://", "the path of a file"),
        ("sqlite:///:memory:", "the path of a file"),
        ("sqlite:///file:app.db", "the path of a file"),
        ("sqlite:///app.db?mode=rw", "the path of a file"),
    ],
)
def test_a_url_that_is_none_is_refused_without_being_quoted(url: str, objection: str) -> None:
    with pytest.raises(ConfigError, match=objection) as raised:
        read_url(secret(url))

    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///a.db", "sqlite+pysqlite"),
        ("sqlite+pysqlite:////a.db", "sqlite+pysqlite"),
        ("postgresql://h/d", "postgresql+psycopg"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg"),
        ("mariadb://h/d", "mysql+pymysql"),
        ("mysql+pymysql://h/d", "mysql+pymysql"),
    ],
)
def test_every_engine_gets_the_driver_that_we_have(url: str, driver: str) -> None:
    assert with_driver(read_url(secret(url))).drivername == driver


def test_a_line_feed_at_the_end_of_a_secret_s_file_does_not_matter() -> None:
    assert read_url(secret(" postgresql://h/d\n")).database == "d"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("sqlite:///app.db", "sqlite:///app.db"),
        ("sqlite:////var/app.db", "sqlite:////var/app.db"),
        ("mariadb+pymysql://u:p%40@h/d", "mariadb+pymysql://h/d"),
        ("postgresql://shipper:s3cret@db:5433/app?sslpassword=s3cret", "postgresql://db:5433/app"),
        ("postgresql://h", "postgresql://h"),
    ],
)
def test_a_url_is_shown_without_user_password_and_options(url: str, text: str) -> None:
    assert shown(make_url(url)) == text
    assert instance(secret(url)) == text


@pytest.mark.parametrize(
    "unreadable", [Secret("env", "NOT_SET_ANYWHERE"), secret("nonsense")], ids=["absent", "no url"]
)
def test_the_instance_of_a_url_that_cannot_be_read_is_unknown(unreadable: Secret) -> None:
    assert instance(unreadable) == "unknown"
