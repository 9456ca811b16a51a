"""What `status` says of the runs in a database."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from shipper.core.errors import StartupError
from shipper.wiring.timeframes.address import DatabaseFlags
from shipper.wiring.timeframes.doors import NotFound
from shipper.wiring.timeframes.status import status
from tests.support.services import free_port
from tests.support.time_frames import CREATED_AT, keep, sqlite_url, time_frame


def test_the_ten_newest_runs_are_shown_each_in_a_line(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    keep(url, *(time_frame(f"tf-{number}", number) for number in range(12)))
    heading, *lines = status(url, None)

    assert heading.split() == ["Run", "Start", "time", "Total", "TFs", "Total", "size"]
    assert [int(line.split()[0]) for line in lines] == list(range(11, 1, -1))
    assert lines[0].split() == ["11", "2025-07-31T12:00:01Z", "1", "1.0", "MiB"]


def test_one_run_is_shown_with_more_about_it(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    later = CREATED_AT + timedelta(hours=1)
    keep(url, time_frame("a", 5), time_frame("b", 5, created_at=later), time_frame("c", 6))

    assert [line.split() for line in status(url, 5)] == [
        ["Run", "5"],
        ["Start", "time:", "2025-07-31T12:00:01Z"],
        ["Total", "TFs:", "2"],
        ["First", "TF:", "2025-07-31T12:00:00.250000Z"],
        ["Last", "TF:", "2025-07-31T13:00:00.250000Z"],
        ["Total", "size:", "2097152", "bytes"],
    ]


def test_a_run_whose_time_frames_have_no_time_has_neither_first_nor_last(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    keep(url, time_frame("a", 5, created_at=None))

    assert [line.split() for line in status(url, 5)][3:5] == [
        ["First", "TF:", "-"],
        ["Last", "TF:", "-"],
    ]


def test_run_0_is_a_run(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    keep(url, time_frame("a", 0), time_frame("b", 1))

    assert status(url, 0)[0] == "Run 0"


def test_a_run_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    keep(url, time_frame("a"))

    assert status(url, 99) == ["Run 99 not found"]


def test_an_empty_database_has_no_runs(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    keep(url)

    assert status(url, None) == ["No runs found"]


def test_a_database_without_tables_has_no_runs_either(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    sqlite3.connect(tmp_path / "fastmon_client.db").close()

    assert status(url, None) == ["No runs found"]
    assert status(url, 5) == ["Run 5 not found"]


def test_a_file_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"fastmon_client\.db not found"):
        status(sqlite_url(tmp_path), None)
    assert list(tmp_path.iterdir()) == []


def test_tables_of_the_former_client_want_to_be_brought_up_to_date(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "fastmon_client.db") as connection:
        connection.execute("CREATE TABLE runs (run_number INTEGER PRIMARY KEY, start_time TEXT)")
    connection.close()

    with pytest.raises(
        StartupError,
        match=r"init-db \(for others than Time Frames: --tables\) brings them up to date",
    ):
        status(sqlite_url(tmp_path), None)


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "fastmon_client.db").write_text("nothing of the kind" * 100)

    with pytest.raises(
        StartupError, match=r"fastmon_client\.db cannot be used: file is not a database"
    ):
        status(sqlite_url(tmp_path), None)


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_a_server_that_does_not_answer_is_a_fault_of_the_surroundings(engine: str) -> None:
    url = DatabaseFlags(engine=engine, host="127.0.0.1", port=str(free_port()), user="u").url()

    with pytest.raises(StartupError, match=f"{engine}.*cannot be used"):
        status(url, None)
