"""The startup check of the store, for files; servers are in the integration tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from shipper.core.checks import Finding, Outcome
from shipper.sinks.store.check import check_store_connection
from shipper.store import versions


def finding(path: Path) -> Finding:
    return check_store_connection(
        lambda: URL.create("sqlite", database=str(path)), ["tf_metadata"], timeout_seconds=1
    )


def test_a_file_that_is_not_there_will_be_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "store.db"

    assert finding(path) == Finding(Outcome.PASSED, f"{path} will be made")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_a_place_that_is_no_folder_fails(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    found = finding(tmp_path / "a" / "store.db")

    assert found.outcome is Outcome.FAILED
    assert f"{tmp_path / 'a'} is not writable" in found.text


@pytest.mark.parametrize("unwritable", ["store.db", "."])
def test_a_file_or_folder_that_is_not_writable_fails(
    unwritable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    versions.upgrade(URL.create("sqlite", database=str(path)), "tf")
    # root may write wherever it likes
    monkeypatch.setattr(os, "access", lambda each, _mode: each != tmp_path / unwritable)
    found = finding(path)

    assert found.outcome is Outcome.FAILED
    assert found.hint == "name the primary in store.url, or make the file and its folder writable"
