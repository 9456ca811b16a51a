"""What `init-db` does to a database, and what it asks before."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from shipper.store.timeframes.tables import time_frames
from shipper.wiring.timeframes.address import DatabaseFlags
from shipper.wiring.timeframes.doors import NotFound
from shipper.wiring.timeframes.tables import TABLES, before_drop, before_make, drop, make
from tests.support.time_frames import keep, kept, sqlite_url, time_frame


def tables_in(folder: Path) -> set[str]:
    engine = sa.create_engine(sqlite_url(folder))
    try:
        return set(sa.inspect(engine).get_table_names())
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    ("which", "names"),
    [("tf", {"runs", "tf_metadata"}), ("files", {"pysmurf_files_v1", "pysmurf_remote_v1"})],
)
def test_tables_are_made(tmp_path: Path, which: str, names: set[str]) -> None:
    said = make(sqlite_url(tmp_path), TABLES[which])

    assert names <= tables_in(tmp_path)
    assert all(name in said for name in names)


def test_rows_outlive_that_tables_are_made_again(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    keep(url, time_frame("a"))
    make(url, TABLES["tf"])

    assert len(kept(url, time_frames)) == 1


def test_tables_are_dropped_and_others_are_not(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    make(url, TABLES["tf"])
    make(url, TABLES["files"])
    drop(url, TABLES["tf"])

    assert tables_in(tmp_path) == {"pysmurf_files_v1", "pysmurf_remote_v1", "shipper_files_version"}


def test_tables_that_were_dropped_can_be_made_anew(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    keep(url, time_frame("a"))
    drop(url, TABLES["tf"])
    make(url, TABLES["tf"])

    assert kept(url, time_frames) == []


def test_only_a_file_that_exists_is_asked_about(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    before = before_make(url)
    make(url, TABLES["tf"])

    assert before == ""
    assert before_make(url).startswith(f"{tmp_path / 'fastmon_client.db'} exists.")
    assert before_make(DatabaseFlags(engine="postgresql").url()) == ""


def test_who_wants_to_drop_tables_is_told_what_is_in_them(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    keep(url, time_frame("a"), time_frame("b"))

    assert "runs with 1 row, tf_metadata with 2 rows" in before_drop(url, TABLES["tf"])
    assert "There is none of them" in before_drop(url, TABLES["files"])


def test_nothing_can_be_dropped_from_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        before_drop(sqlite_url(tmp_path), TABLES["tf"])
