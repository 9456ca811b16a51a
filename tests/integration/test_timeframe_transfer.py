"""What is taken out of one database comes back into any other, on every engine and in every form."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from rich.console import Console
from sqlalchemy.engine import URL, make_url

from shipper.core.errors import ConfigError
from shipper.store.database import Database
from shipper.store.files.tables import files
from shipper.store.timeframes.tables import runs, time_frames
from shipper.store.timeframes.time_frame import TimeFrame
from shipper.store.timeframes.writing import write_time_frames
from shipper.store.versions import upgrade
from shipper.wiring.timeframes.status import status
from shipper.wiring.timeframes.tables import TABLES, before_drop, drop, make
from shipper.wiring.timeframes.transfer import Wanted, bring_back, take_out
from tests.support.databases import Servers
from tests.support.time_frames import CREATED_AT, RECEIVED_AT, keep, kept, sqlite_url, time_frame

ENGINES = ("sqlite", "postgresql", "mariadb")
FORMS = ("csv", "json", "parquet")
QUIET = Console(file=io.StringIO())


TELLING = (
    time_frame("big", 2**63 - 1, id=2**40, file_size_bytes=2**62, tf_number=-(2**63)),
    time_frame("Größe 😀", 0, tf_number=None, file_size_bytes=None, created_at=None),
    time_frame("empty", -5, file_url="", checksum="", status="", metadata_json=""),
    time_frame("nothing", -5, file_url=None, checksum=None, status=None, metadata_json=None),
    time_frame("lines", 3, metadata_json='{"a": "x\\n"}\r\n, "b\t\\', status='say "hi", then\ngo'),
    time_frame("old", 3, created_at=datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    time_frame("case"),
    time_frame("CASE"),
    time_frame("blank "),
    time_frame("blank"),
)


@pytest.fixture(params=ENGINES)
def there(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> URL:
    """An empty database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path, "there.db")
    server = servers(request.param)
    return make_url(server.url(server.empty_database()))


@pytest.fixture
def elsewhere(tmp_path: Path) -> URL:
    """A database in a file."""
    return sqlite_url(tmp_path, "elsewhere.db")


def moved(source: URL, target: URL, folder: Path, form: str, *subjects: str) -> None:
    for subject in subjects:
        path = str(folder / f"{subject}.{form}")
        take_out(source, Wanted(subject, form, path, force=True), QUIET)
        bring_back(target, Wanted(subject, form, path), QUIET)


def arrive(url: URL, *file_ids: str) -> None:
    """Keep new Time Frames as a running client does."""
    arriving = [
        TimeFrame(file_id, 3, 1, None, 1, None, None, CREATED_AT, RECEIVED_AT, file_id)
        for file_id in file_ids
    ]
    with closing(Database(url)) as database, database.writing() as connection:
        write_time_frames(connection, arriving)


def numbers(url: URL) -> dict[str, int]:
    return {row[1]: row[0] for row in kept(url, time_frames)}


@pytest.mark.parametrize("form", FORMS)
def test_everything_goes_there_and_comes_back(
    there: URL, elsewhere: URL, tmp_path: Path, form: str
) -> None:
    keep(elsewhere, *TELLING)
    moved(elsewhere, there, tmp_path, form, "runs", "tf")
    back = sqlite_url(tmp_path, "back.db")
    moved(there, back, tmp_path, form, "tf", "runs")

    for table in (time_frames, runs):
        assert kept(there, table) == kept(elsewhere, table)
        assert kept(back, table) == kept(elsewhere, table)


def test_what_comes_again_changes_nothing(there: URL, elsewhere: URL, tmp_path: Path) -> None:
    keep(elsewhere, *TELLING)
    moved(elsewhere, there, tmp_path, "json", "tf", "runs")
    before = kept(there, time_frames), kept(there, runs)
    moved(elsewhere, there, tmp_path, "csv", "runs", "tf")

    assert (kept(there, time_frames), kept(there, runs)) == before


def test_new_time_frames_are_numbered_behind_those_that_came(
    there: URL, elsewhere: URL, tmp_path: Path
) -> None:
    keep(elsewhere, time_frame("a", 3, id=100))
    moved(elsewhere, there, tmp_path, "json", "tf")
    arrive(there, "new")

    assert numbers(there)["new"] > 100
    assert kept(there, runs)[0][3] == 2


def test_two_databases_become_one(there: URL, elsewhere: URL, tmp_path: Path) -> None:
    upgrade(there, "tf")
    arrive(there, "a", "b")
    keep(elsewhere, *(time_frame(name, 3, id=number) for number, name in enumerate("bcd", start=1)))
    moved(elsewhere, there, tmp_path, "json", "tf")
    arrive(there, "new")

    assert set(numbers(there)) == {"a", "b", "c", "d", "new"}
    assert len(set(numbers(there).values())) == 5
    assert kept(there, runs)[0][3] == 5


def test_a_row_that_the_database_refuses_leaves_everything_as_it_was(
    there: URL, tmp_path: Path
) -> None:
    keep(there, time_frame("before"))
    path = tmp_path / "tf.csv"
    lines = [f"tf-{number},1,2025-01-01T00:00:00Z" for number in range(1500)]
    path.write_text("file_id,run_number,received_at\n" + "\n".join(lines) + "\nx,y,z\n")

    with pytest.raises(ConfigError, match=r"line 1502: run_number"):
        bring_back(there, Wanted("tf", "csv", str(path)), QUIET)
    assert list(numbers(there)) == ["before"]


def test_a_text_that_does_not_fit_is_told_with_its_place(servers: Servers, tmp_path: Path) -> None:
    server = servers("mariadb")
    url = make_url(server.url(server.empty_database()))
    path = tmp_path / "tf.csv"
    path.write_text(f"file_id,run_number,received_at\n{'x' * 300},1,2025-01-01\n")

    with pytest.raises(
        ConfigError, match=r"a row between 2 and 2 is refused by the database: .*file_id"
    ):
        bring_back(url, Wanted("tf", "csv", str(path)), QUIET)


@pytest.mark.parametrize("form", FORMS)
def test_files_travel_with_their_checksums(
    there: URL, elsewhere: URL, tmp_path: Path, form: str
) -> None:
    upgrade(elsewhere, "files")
    row: dict[str, Any] = {
        "id": 77,
        "path": "/data/é.g3",
        "md5sum": bytes(range(240, 256)),
        "timestamp": datetime(2020, 5, 4, 12, 0, 1),  # noqa: DTZ001 - as the column has it
        "copied": 1,
        "pub_id": "",
    }
    with closing(Database(elsewhere)) as database, database.writing() as connection:
        connection.execute(files.insert(), row)
    moved(elsewhere, there, tmp_path, form, "files")
    moved(elsewhere, there, tmp_path, form, "files")

    assert kept(there, files) == kept(elsewhere, files)


def test_tables_are_made_and_dropped(there: URL) -> None:
    make(there, TABLES["tf"])
    keep(there, time_frame("a"))
    question = before_drop(there, TABLES["tf"])
    drop(there, TABLES["tf"])

    assert "tf_metadata with 1 row" in question
    assert status(there, None) == ["No runs found"]


def test_status_asks_one_question(there: URL) -> None:
    keep(there, time_frame("a", 5))
    asked: list[str] = []

    def remember(*event: Any) -> None:
        asked.append(event[2])

    sa.event.listen(sa.Engine, "before_cursor_execute", remember)
    try:
        status(there, None)
        status(there, 5)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", remember)

    assert len(questions(asked)) == 2


def questions(asked: Sequence[str]) -> list[str]:
    return [statement for statement in asked if "FROM runs" in statement]
