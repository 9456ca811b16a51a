"""What differs between databases, as far as that can be seen without a server."""

from __future__ import annotations

import sys
from zoneinfo import ZoneInfo

import pymysql
import pytest
from sqlalchemy.engine import make_url

from shipper.core.errors import SourceRefused
from shipper.sources.sql.engines import Streamed, engine_for
from shipper.sources.sql.engines.mariadb import MariaDb

UTC = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///app.db", "Sqlite"),
        ("postgresql://h/d", "Postgres"),
        ("mariadb://h/d", "MariaDb"),
        ("mysql+pymysql://h/d", "MariaDb"),
    ],
)
def test_every_url_has_its_engine(url: str, name: str) -> None:
    assert type(engine_for(make_url(url), UTC)).__name__ == name


def test_an_engine_without_its_driver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shipper.sources.sql.engines.postgres", None)

    with pytest.raises(SourceRefused, match="the driver for postgresql cannot be imported"):
        engine_for(make_url("postgresql://h/d"), UTC)


@pytest.mark.parametrize(
    ("most_rows", "asked"), [(700, [250, 250, 200]), (250, [250]), (1, [1]), (0, [])]
)
def test_no_more_rows_are_fetched_than_are_wanted(most_rows: int, asked: list[int]) -> None:
    counts: list[int] = []

    def fetch(count: int) -> list[tuple[object, ...]]:
        counts.append(count)
        return [(1,)] * count

    chunks = list(Streamed((), fetch).chunks(most_rows))

    assert counts == asked
    assert [len(chunk) for chunk in chunks] == asked


def test_a_login_that_wants_another_package_is_a_connection_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def connect(*_words: object, **_options: object) -> None:
        raise RuntimeError("'cryptography' package is required for caching_sha2_password")

    monkeypatch.setattr(pymysql, "connect", connect)
    engine = MariaDb(UTC)
    with pytest.raises(pymysql.OperationalError) as raised:
        engine.connect(make_url("mysql+pymysql://h/d"), 1.0, forgiving=False)

    assert engine.is_lost(raised.value)
    assert "'cryptography' package is required" in engine.told(raised.value)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (pymysql.OperationalError(1045, "Access denied"), "Access denied (error 1045)"),
        (ConnectionResetError("reset"), "reset"),
        (pymysql.InterfaceError(0, ""), " (error 0)"),
    ],
    ids=["server", "socket", "driver"],
)
def test_what_went_wrong_is_told_with_its_number(error: Exception, text: str) -> None:
    assert MariaDb(UTC).told(error) == text


@pytest.mark.parametrize(
    ("error", "lost", "late"),
    [
        (pymysql.OperationalError(2013, "Lost connection"), True, False),
        (pymysql.OperationalError(4031, "idle"), True, False),
        (pymysql.OperationalError(1969, "max_statement_time"), False, True),
        (pymysql.ProgrammingError(1146, "no table"), False, False),
        (pymysql.InterfaceError("closed"), True, False),
        (ConnectionResetError(104, "reset"), True, False),
        (ValueError(), False, False),
    ],
    ids=["client", "idle", "stopped", "table", "interface", "socket", "nothing"],
)
def test_errors_of_mariadb_are_told_apart(error: Exception, lost: bool, late: bool) -> None:
    engine = MariaDb(UTC)

    assert (engine.is_lost(error), engine.is_timeout(error)) == (lost, late)
    assert not engine.is_unreadable(error)
