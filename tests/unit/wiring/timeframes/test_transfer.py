"""What is taken out of a database comes back as it was, into whatever is there."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy.engine import URL

from shipper.core.errors import ConfigError, StartupError
from shipper.store.exchange import outgoing
from shipper.store.exchange.incoming import Arrived
from shipper.store.timeframes.tables import runs, time_frames
from shipper.wiring.timeframes.doors import NotFound
from shipper.wiring.timeframes.transfer import Wanted, bring_back, summary, take_out
from tests.support.time_frames import RECEIVED_AT, keep, kept, sqlite_url, time_frame

QUIET = Console(file=io.StringIO())
FORMS = ("csv", "json", "parquet")


@pytest.fixture
def here(tmp_path: Path) -> URL:
    return sqlite_url(tmp_path, "here.db")


@pytest.fixture
def there(tmp_path: Path) -> URL:
    return sqlite_url(tmp_path, "there.db")


def taken_out(url: URL, folder: Path, form: str = "json", subject: str = "tf", **more: Any) -> str:
    path = folder / f"{subject}.{form}"
    take_out(url, Wanted(subject, form, str(path), **more), QUIET)
    return str(path)


def brought_back(url: URL, path: str, form: str = "json", subject: str = "tf") -> Arrived:
    return bring_back(url, Wanted(subject, form, path), QUIET)


def lines(*rows: Mapping[str, Any]) -> str:
    return "".join(json.dumps(row, default=lambda time: time.isoformat()) + "\n" for row in rows)


@pytest.mark.parametrize("form", FORMS)
def test_everything_comes_back_into_empty_tables(
    tmp_path: Path, here: URL, there: URL, form: str
) -> None:
    keep(
        here,
        time_frame("big", 2**63 - 1, id=2**40, file_size_bytes=2**60),
        time_frame("Größe", 0, tf_number=None, file_url="", checksum=None, created_at=None),
        time_frame("quoted", -5, metadata_json='{"a": "\\n", "b": "x,\r\ny"}', status='a "b"'),
    )
    for subject in ("tf", "runs"):
        brought_back(there, taken_out(here, tmp_path, form, subject), form, subject)

    assert kept(there, time_frames) == kept(here, time_frames)
    assert kept(there, runs) == kept(here, runs)


@pytest.mark.parametrize("order", [("tf", "runs"), ("runs", "tf")], ids=" first, then ".join)
def test_totals_are_right_whatever_comes_first(
    tmp_path: Path, here: URL, there: URL, order: tuple[str, str]
) -> None:
    keep(here, time_frame("a"), time_frame("b"), time_frame("c", 2))
    for subject in order:
        brought_back(there, taken_out(here, tmp_path, subject=subject), subject=subject)

    assert kept(there, runs) == kept(here, runs)


def test_what_comes_twice_changes_nothing(tmp_path: Path, here: URL, there: URL) -> None:
    keep(here, time_frame("a"), time_frame("b", 2))
    path = taken_out(here, tmp_path)
    first = brought_back(there, path)
    before = kept(there, time_frames), kept(there, runs)
    second = brought_back(there, path)

    assert (kept(there, time_frames), kept(there, runs)) == before
    assert ((first.added, first.overwritten), (second.added, second.overwritten)) == (
        (2, 0),
        (0, 2),
    )


def test_a_file_that_is_known_is_made_like_the_one_that_comes_and_both_runs_are_right(
    tmp_path: Path, here: URL, there: URL
) -> None:
    keep(here, time_frame("a", 2, id=50, status="done"))
    keep(there, time_frame("a", 1, id=7), time_frame("b", 1, id=8))
    brought_back(there, taken_out(here, tmp_path))

    assert [(row[0], row[1], row[2], row[7]) for row in kept(there, time_frames)] == [
        (7, "a", 2, "done"), (8, "b", 1, "registered")
    ]  # fmt: skip
    assert [(row[0], row[3], row[5]) for row in kept(there, runs)] == [(1, 1, 2**20), (2, 1, 2**20)]


def test_what_two_clients_kept_can_be_brought_together(
    tmp_path: Path, here: URL, there: URL
) -> None:
    keep(here, time_frame("a", id=1), time_frame("b", id=2))
    keep(there, time_frame("c", id=1), time_frame("d", id=3))
    arrived = brought_back(there, taken_out(here, tmp_path))

    assert [row[:2] for row in kept(there, time_frames)] == [(1, "c"), (2, "b"), (3, "d"), (4, "a")]
    assert "1 got a new id" in summary(arrived, there)


def test_a_run_without_a_row_begins_when_its_first_file_was_received(
    tmp_path: Path, here: URL, there: URL
) -> None:
    keep(
        here,
        time_frame("a", received_at=datetime(2025, 8, 1, tzinfo=UTC)),
        time_frame("b"),
    )
    brought_back(there, taken_out(here, tmp_path))

    assert kept(there, runs)[0][:2] == (1, RECEIVED_AT)


def test_only_one_run_can_be_taken_out(tmp_path: Path, here: URL) -> None:
    keep(here, time_frame("a", 0), time_frame("b", 1), time_frame("c", 0))
    path = Path(taken_out(here, tmp_path, run=0))

    assert [json.loads(line)["file_id"] for line in path.read_text().splitlines()] == ["a", "c"]


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_a_file_as_well(tmp_path: Path, here: URL, there: URL, form: str) -> None:
    keep(here)
    arrived = brought_back(there, taken_out(here, tmp_path, form), form)

    assert (arrived.added, kept(there, time_frames)) == (0, [])


def test_a_table_is_read_in_parts(
    tmp_path: Path, here: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing.parts, "__kwdefaults__", {"run": None, "part_rows": 2})
    keep(here, *(time_frame(f"tf-{number}", id=number * number) for number in range(1, 6)))
    path = Path(taken_out(here, tmp_path))

    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == [1, 4, 9, 16, 25]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_rows_can_go_through_a_pipe(
    here: URL, there: URL, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(here, time_frame("a"))
    pipe = io.BytesIO()
    stdout = io.TextIOWrapper(pipe)
    monkeypatch.setattr(sys, "stdout", stdout)
    take_out(here, Wanted("tf", form, "-"), QUIET)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pipe.getvalue())))
    brought_back(there, "-", form)

    assert kept(there, time_frames) == kept(here, time_frames)


def test_a_wrong_line_is_named_and_nothing_is_half_done(tmp_path: Path, there: URL) -> None:
    path = tmp_path / "tf.json"
    keep(there, time_frame("before"))
    rows = [time_frame(f"tf-{number}") for number in range(3000)]
    path.write_text(lines(*rows, {**rows[0], "run_number": "x"}))

    with pytest.raises(ConfigError, match=r"tf\.json: line 3001: run_number: must be a whole"):
        brought_back(there, str(path))
    assert [row[1] for row in kept(there, time_frames)] == ["before"]


def test_the_same_file_twice_in_one_import_is_there_once(tmp_path: Path, there: URL) -> None:
    path = tmp_path / "tf.json"
    path.write_text(lines(time_frame("a", 1), time_frame("a", 2)))
    brought_back(there, str(path))

    assert [row[1:3] for row in kept(there, time_frames)] == [("a", 2)]
    assert [(row[0], row[3]) for row in kept(there, runs)] == [(2, 1)]


def test_rows_without_an_id_get_one(tmp_path: Path, there: URL) -> None:
    path = tmp_path / "tf.json"
    path.write_text(lines(time_frame("a"), time_frame("b")))
    arrived = brought_back(there, str(path))

    assert [row[:2] for row in kept(there, time_frames)] == [(1, "a"), (2, "b")]
    assert arrived.renumbered == 0


def test_nothing_is_written_for_a_database_that_is_not_there(tmp_path: Path, here: URL) -> None:
    with pytest.raises(NotFound):
        taken_out(here, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_tables_cannot_be_taken_out(tmp_path: Path, here: URL) -> None:
    (tmp_path / "here.db").touch()

    with pytest.raises(StartupError, match="has no tables of Time Frames"):
        taken_out(here, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["here.db"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, there: URL) -> None:
    with pytest.raises(ConfigError, match=r"--input: .*none cannot be read: No such file"):
        brought_back(there, str(tmp_path / "none"))


def test_files_that_pysmurf_announced_travel_as_well(tmp_path: Path, here: URL, there: URL) -> None:
    path = tmp_path / "files.csv"
    path.write_text(
        "id,path,md5sum,timestamp,copied\r\n9,/data/a.g3,00112233445566778899aabbccddeeff,2020-05-04T00:00:00Z,0\r\n"
    )
    brought_back(here, str(path), "csv", "files")
    arrived = brought_back(there, taken_out(here, tmp_path, subject="files"), subject="files")

    assert arrived.added == 1
    assert '"md5sum":"00112233445566778899aabbccddeeff"' in (tmp_path / "files.json").read_text()
    assert '"timestamp":"2020-05-04T00:00:00Z"' in (tmp_path / "files.json").read_text()
