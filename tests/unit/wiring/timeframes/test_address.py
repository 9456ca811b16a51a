"""The flags of the Time Frame client say where its database is."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from shipper.config.secret import Secret
from shipper.core.errors import ConfigError
from shipper.wiring.timeframes.address import DatabaseFlags, as_secret, sqlite_path


def test_without_flags_it_is_a_file_where_the_client_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    url = DatabaseFlags().url()

    assert sqlite_path(url) == tmp_path / "fastmon_client.db"


@pytest.mark.parametrize("name", ["a b.db", "prozent%20.db", "a?b.db", "ä.db"])
def test_a_file_may_have_any_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    url = DatabaseFlags(name=name).url()

    assert sqlite_path(make_url(as_secret(url).reveal())) == tmp_path / name


@pytest.mark.parametrize(
    ("engine", "port"), [("postgresql", 5432), ("mysql", 3306), ("PostgreSQL", 5432)]
)
def test_an_empty_port_is_the_engine_s_usual_one(engine: str, port: int) -> None:
    url = DatabaseFlags(engine=engine, port="").url()

    assert (url.host, url.port, url.database) == ("localhost", port, "fastmon_client.db")


def test_everything_that_is_said_of_a_server_is_in_the_address() -> None:
    flags = DatabaseFlags(
        "mysql", "fastmon", "db.example", "3307", "shift", Secret("literal", "p@ss:w/rd")
    )

    assert make_url(as_secret(flags.url()).reveal()) == flags.url()
    assert flags.url().render_as_string() == "mysql://shift:***@db.example:3307/fastmon"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (DatabaseFlags(engine="oracle"), "--db-engine: oracle is not one of sqlite, postgresql, mysql"),
        (DatabaseFlags(engine="mysql", port="many"), "--db-port: must be a port"),
        (DatabaseFlags(engine="mysql", port="70000"), "--db-port: must be a port"),
        (DatabaseFlags(engine="mysql", port="0"), "--db-port: must be a port"),
        (DatabaseFlags(engine="mysql", port="٣"), "--db-port: must be a port"),
        (DatabaseFlags(name=":memory:"), "--db-name: sqlite wants the path of a file"),
        (DatabaseFlags(host="db.example"), "--db-host is of a server, and no --db-engine is given"),
        (DatabaseFlags(name="n", user="u"), "--db-user is of a server, and no --db-engine is given"),
    ],
    ids=["engine", "port that is no number", "port too high", "port 0", "foreign digits", "memory", "host", "user"],
)  # fmt: skip
def test_what_cannot_be_used_is_said_with_its_flag(flags: DatabaseFlags, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        flags.url()


def test_who_says_sqlite_may_say_what_old_command_lines_said_beside_it() -> None:
    flags = DatabaseFlags(engine="sqlite", name="x.db", host="localhost", port="5432", user="u")

    assert flags.url().drivername == "sqlite"


def test_who_says_nothing_is_known() -> None:
    assert not DatabaseFlags().said_something()
    assert DatabaseFlags(user="").said_something()


def test_who_says_the_usual_host_says_nothing_of_a_server() -> None:
    assert DatabaseFlags(name="x.db", host="localhost").url().drivername == "sqlite"
