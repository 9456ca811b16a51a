"""What the startup checks find in a file; with servers they are tried in tests/integration/test_sql_source.py."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shipper.config.secret import Secret
from shipper.core.checks import Finding, Outcome
from shipper.sources.sql import SqlSettings
from shipper.sources.sql.checks import MOST_NULLS_COUNTED, try_database

SECONDS = 30.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT)")
        connection.commit()
    return path


def insert(path: Path, *times: str | None) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany("INSERT INTO events (at) VALUES (?)", [(at,) for at in times])
        connection.commit()


def entry_check(path: Path, **written: Any) -> Finding:
    what = {} if "query" in written else {"table": "events"}
    entry = SqlSettings.model_validate({"url": f"sqlite:///{path}", **what, **written})
    _, check = SqlSettings.checks(None, {"events": entry})
    return check.attempt(SECONDS)


def test_a_database_that_lets_us_in_is_named_with_its_version(path: Path) -> None:
    found = try_database(Secret("literal", f"sqlite:///{path}"), SECONDS)

    assert found.outcome is Outcome.PASSED
    assert found.text == f"SQLite {sqlite3.sqlite_version} at sqlite:///{path} lets us in"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        (Secret("literal", "sqlite:////no/such/folder/app.db"), "check the path"),
        (Secret("env", "NOT_SET_ANYWHERE"), "set it, or correct `url`"),
        (Secret("file", "/no/such/file"), "write it, or correct `url`"),
    ],
    ids=["path", "environment", "secret"],
)
def test_a_database_that_cannot_be_used_is_found_out_with_a_hint(url: Secret, hint: str) -> None:
    found = try_database(url, SECONDS)

    assert found.outcome is Outcome.FAILED
    assert found.hint.startswith(hint)


@pytest.mark.parametrize("count", [0, 1, 25_000], ids=["empty", "one", "more than a page"])
def test_without_a_cursor_the_first_page_is_looked_at(path: Path, count: int) -> None:
    insert(path, *(["2026"] * count))
    found = entry_check(path)

    assert found == Finding(Outcome.PASSED, "events answers; every poll reads the whole result")


def test_a_query_is_called_one(path: Path) -> None:
    found = entry_check(path, query="SELECT * FROM events", cursor=["id"])

    assert found.text == "the query has 2 columns and is read by id"


def test_a_field_that_is_no_column_is_noted(path: Path) -> None:
    insert(path, "2026")
    found = entry_check(path, label_fields=["att"])

    assert found.outcome is Outcome.NOTED
    assert found.text == 'no column is called "att"; did you mean "at"?'


def test_many_rows_without_a_place_are_not_all_counted(path: Path) -> None:
    insert(path, *([None] * (MOST_NULLS_COUNTED + 5)))
    found = entry_check(path, cursor=["at", "id"])

    assert f"more than {MOST_NULLS_COUNTED} rows have NULL in at, id" in found.text


def test_a_url_that_cannot_be_read_fails_the_entry_too() -> None:
    entry = SqlSettings.model_validate({"url": {"env": "NOT_SET_ANYWHERE"}, "table": "events"})
    _, check = SqlSettings.checks(None, {"events": entry})

    assert check.attempt(SECONDS).outcome is Outcome.FAILED
