"""What an operator may write about a SQL database."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shipper.config.loading import load
from shipper.config.reference import example_text
from shipper.config.secret import Secret
from shipper.core.errors import ConfigError
from shipper.sources import discover
from shipper.sources.sql import SqlSettings
from shipper.wiring.vocabulary import families, vocabulary

URL = "postgresql://shipper:s3cret@db:5433/app?sslmode=require"
ROOT = Path(__file__).resolve().parents[3]


def entry(**written: Any) -> SqlSettings:
    what = {} if {"table", "query"} & set(written) else {"table": "events"}
    return SqlSettings.model_validate({"url": URL, **what, **written})


def test_the_kind_is_discovered() -> None:
    assert discover()["sql"] is SqlSettings


def test_its_keys_are_known_without_sqlalchemy() -> None:
    script = (
        "import sys, shipper.sources.sql as s; s.SqlSettings.model_json_schema(); "
        "sys.exit('sqlalchemy' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=ROOT).returncode == 0


def test_the_defaults_are_those_that_are_promised() -> None:
    plain = entry()
    found = (plain.cursor, plain.start, plain.page_rows, plain.lag_seconds, plain.timezone)

    assert found == ([], "beginning", 10_000, 0, "UTC")
    assert plain.waits_when_full


def test_a_url_never_shows_its_password() -> None:
    assert "s3cret" not in repr(entry())
    assert "s3cret" not in entry().model_dump_json()


def test_the_instance_is_the_url_without_user_password_and_options() -> None:
    assert entry().instance(None) == "postgresql://db:5433/app"


def test_a_url_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_URL", URL)

    assert entry(url={"env": "APP_URL"}).instance(None) == "postgresql://db:5433/app"


def test_a_url_that_cannot_be_read_yet_is_left_to_the_check() -> None:
    later = entry(url={"env": "NOT_SET_ANYWHERE"})

    assert list(later.objections(None)) == []
    assert later.instance(None) == "unknown"


def test_a_url_that_is_none_is_an_objection_to_its_key() -> None:
    (found,) = entry(url="postgresql://u:s3cret@h:port/d").objections(None)

    assert found.startswith("url: must be a SQLAlchemy URL")
    assert "s3cret" not in found


@pytest.mark.parametrize("url", ["sqlite:///a.db", "sqlite+pysqlite:///a.db", "mysql://h/d", URL])
def test_urls_of_databases_that_are_known(url: str) -> None:
    assert list(entry(url=url).objections(None)) == []


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ({"table": "a", "query": "SELECT 1"}, "exactly one of table and query"),
        ({"table": None, "query": None}, "exactly one of table and query"),
        ({"query": " ; "}, "query: it is empty"),
        ({"query": ""}, "at least 1 character"),
        ({"cursor": ["a", "a"]}, "cursor: a column is there twice"),
        ({"cursor": [""]}, "at least 1 character"),
        ({"cursor": "id"}, "valid list"),
        ({"lag_seconds": 5}, "lag_seconds: needs a cursor"),
        ({"start": "now"}, "start: now needs a cursor"),
        ({"start": "end"}, "'beginning' or 'now'"),
        ({"page_rows": 0}, "greater than or equal to 1"),
        ({"lag_seconds": -1, "cursor": ["id"]}, "greater than or equal to 0"),
        ({"timezone": "Europe/Nowhere"}, '"Europe/Nowhere" is not a time zone'),
        ({"timezone": "Europe"}, '"Europe" is not a time zone'),
        ({"timezone": ""}, "is not a time zone"),
        ({"url": ""}, "never the secret itself"),
        ({"url": 5}, "never the secret itself"),
    ],
)
def test_what_cannot_be_meant_is_refused(written: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        entry(**written)


def test_a_fault_is_told_with_its_entry(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps({"metrics": {"e": {"type": "sql", "url": URL}}}))

    with pytest.raises(ConfigError, match=r"metrics\.e.*exactly one of table and query"):
        load(path, vocabulary())


def test_the_example_of_the_command_line_can_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(example_text(vocabulary(), "sql"))

    assert isinstance(load(path, vocabulary()).metrics["events"], SqlSettings)


def test_the_example_file_can_be_loaded() -> None:
    families(load(ROOT / "config_files" / "sql_example.json", vocabulary()))


def test_a_poll_ends_before_its_worker_would_be_killed() -> None:
    assert entry(timeout_seconds=30).reading("m").patience_seconds == 29
    assert entry(timeout_seconds=1).reading("m").patience_seconds == 0.9


@pytest.mark.parametrize(
    ("written", "column"),
    [
        ({}, None),
        ({"lag_seconds": 1}, "at"),
        ({"lag_seconds": 1, "time_field": "made"}, "made"),
        ({"time_field": "made"}, None),
    ],
)
def test_the_age_of_a_row_is_told_by(written: dict[str, Any], column: str | None) -> None:
    assert entry(cursor=["at", "id"], **written).reading("m").age_column == column


def test_a_reading_names_every_field_that_is_wanted() -> None:
    gauges = [{"name": "jobs", "value": "n", "labels": ["state", "host"]}]
    written = entry(label_fields=["state"], metadata_fields=["id"], time_field="at", metrics=gauges)

    assert written.reading("m").fields == ("at", "state", "id", "n", "host")


def test_checks_are_one_for_every_database_and_one_for_every_entry() -> None:
    entries = {"a": entry(), "b": entry(required=False), "c": entry(url="sqlite:///x.db")}
    checks = SqlSettings.checks(None, entries)

    assert [(check.name, check.required) for check in checks] == [
        ("check_sql_connection postgresql://db:5433/app", True),
        ("check_sql_connection sqlite:///x.db", True),
        ("check_sql_a", True),
        ("check_sql_b", False),
        ("check_sql_c", True),
    ]
    assert pickle.loads(pickle.dumps(checks))  # noqa: S301 - our own


def test_with_one_database_the_check_is_called_by_its_name_alone() -> None:
    assert SqlSettings.checks(None, {"a": entry()})[0].name == "check_sql_connection"


def test_building_connects_to_nothing() -> None:
    source = entry(url=Secret("literal", "postgresql://no-such-host.invalid/d")).build(
        "m", None, Path()
    )
    source.close()
