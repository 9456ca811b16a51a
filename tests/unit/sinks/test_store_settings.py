"""What may be configured about the store."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shipper.core.checks import Outcome
from shipper.core.errors import ConfigError
from shipper.sinks.store.building import build_store, store_checks
from shipper.store.settings import StoreSettings

LOG = logging.getLogger("store settings under test")


def written(**keys: Any) -> StoreSettings:
    return StoreSettings.model_validate(keys)


def test_without_a_word_it_is_a_file_in_the_state_directory(tmp_path: Path) -> None:
    assert written().address(tmp_path).database == str(tmp_path / "store.db")
    assert written().shown(tmp_path) == f"sqlite:///{tmp_path}/store.db"


def test_the_address_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STORE_URL", "postgresql://me:s3cret@db.example:5432/fastmon")
    settings = written(url={"env": "STORE_URL"})

    assert settings.address(tmp_path).password == "s3cret"  # noqa: S105
    assert settings.shown(tmp_path) == "postgresql://db.example:5432/fastmon"


def test_an_address_that_cannot_be_looked_up_yet_is_left_to_the_check(tmp_path: Path) -> None:
    settings = written(url={"env": "NO_SUCH_VARIABLE"})
    (check,) = store_checks(settings, tmp_path, {"tf_metadata": True})
    found = check.attempt(1.0)

    assert settings.shown(tmp_path) == "unknown"
    with pytest.raises(ConfigError):
        settings.address(tmp_path)
    assert (found.outcome, "NO_SUCH_VARIABLE" in found.text) == (Outcome.FAILED, True)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("oracle://x", "oracle"),
        ("no url", "SQLAlchemy URL"),
        ("sqlite://", "path of a file"),
        ("postgresql+asyncpg://x/y", "asyncpg"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        written(url=url)


def test_no_password_is_shown() -> None:
    settings = written(url="postgresql://me:s3cret@db.example/fastmon")

    assert "s3cret" not in f"{settings!r} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    "keys",
    [
        {"md5_retries": -1},
        {"md5_retry_seconds": 0},
        {"connect_timeout_seconds": 0},
        {"statement_timeout_seconds": True},
        {"max_batch_records": 0},
        {"max_batch_bytes": 0},
        {"pool_size": 5},
    ],
    ids=str,
)
def test_values_that_make_no_sense_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        written(**keys)


def test_where_nobody_keeps_anything_nothing_is_checked(tmp_path: Path) -> None:
    assert store_checks(written(), tmp_path, {}) == ()


@pytest.mark.parametrize(
    ("of_section", "of_entries", "required"),
    [(True, [True, False], True), (True, [False], False), (False, [True], False)],
)
def test_a_check_is_required_when_section_and_some_entry_are(
    of_section: bool, of_entries: list[bool], required: bool, tmp_path: Path
) -> None:
    names = ("tf_metadata", "pysmurf_files_v1")
    (check,) = store_checks(
        written(required=of_section), tmp_path, dict(zip(names, of_entries, strict=False))
    )

    assert check.required is required
    assert pickle.loads(pickle.dumps(check)).name == "check_store_connection"  # noqa: S301


def test_a_sink_is_built_without_connecting(tmp_path: Path) -> None:
    sink = build_store(written(max_batch_records=7), tmp_path, "tf_metadata", LOG)
    sink.close()

    assert (sink.name, sink.max_batch_records, list(tmp_path.iterdir())) == ("store", 7, [])


def test_settings_are_known_without_loading_anything_heavy() -> None:
    program = (
        "import sys; from shipper.store.settings import StoreSettings\n"
        "StoreSettings.model_validate({})\n"
        "print([name for name in ('sqlalchemy', 'alembic', 'psycopg') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (ran.stdout, ran.stderr) == ("[]\n", "")
