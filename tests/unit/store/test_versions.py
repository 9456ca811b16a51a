"""What is known of versions without a database, and with a small one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, make_url

from shipper.store import versions
from shipper.store.database import Database
from shipper.store.errors import StoreUnavailable
from shipper.store.sets import SETS

BRANCHES = sorted({known.branch for known in SETS.values()})


@pytest.fixture
def url(tmp_path: Path) -> URL:
    return make_url(f"sqlite:///{tmp_path / 'store.db'}")


@pytest.fixture
def database(url: URL) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(versions.MIGRATIONS))
    return ScriptDirectory.from_config(config)


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_names_of_the_files_tell_what_alembic_finds_in_them(
    branch: str, scripts: ScriptDirectory
) -> None:
    (newest,) = scripts.get_revisions(f"{branch}@head")

    assert newest is not None
    assert versions.head(branch) == newest.revision


def test_every_file_is_named_by_its_revision(scripts: ScriptDirectory) -> None:
    names = {script.revision: Path(script.path).name for script in scripts.walk_revisions()}

    assert [name for revision, name in names.items() if not name.startswith(f"{revision}_")] == []


def test_every_version_has_one_before_it_and_one_after(scripts: ScriptDirectory) -> None:
    for branch in BRANCHES:
        known = sorted(
            script.revision
            for script in scripts.walk_revisions()
            if script.revision.startswith(f"{branch}_")
        )

        assert known == [f"{branch}_{number:04}" for number in range(1, len(known) + 1)]


def test_a_new_database_has_no_version(database: Database) -> None:
    with database.reading() as connection:
        assert versions.version(connection, "tf") is None


def test_the_newest_version_is_current_and_an_older_one_is_not(
    url: URL, database: Database
) -> None:
    versions.upgrade(url, "tf")
    newest = versions.is_current(database, "tf")
    versions.downgrade(url, "tf", "tf_0001")

    assert (newest, versions.is_current(database, "tf")) == (True, False)


def test_tables_are_held_only_at_the_version_that_is_known(url: URL, database: Database) -> None:
    versions.upgrade(url, "tf")
    with database.writing() as connection:
        versions.hold(connection, "tf")
    versions.downgrade(url, "tf", "tf_0001")

    with pytest.raises(StoreUnavailable, match="tf_0001"), database.writing() as connection:
        versions.hold(connection, "tf")


def test_a_failed_migration_leaves_nothing_behind(url: URL, database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE tf_metadata (file_id text)")
    with pytest.raises(StoreUnavailable, match="another one"):
        versions.upgrade(url, "tf")

    with database.reading() as connection:
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
        assert tables.scalars().all() == ["tf_metadata"]


def test_rows_that_do_not_fit_are_told(url: URL, database: Database) -> None:
    versions.upgrade(url, "tf")
    versions.downgrade(url, "tf", "tf_0001")
    with database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE tf_metadata")
        connection.exec_driver_sql(
            "CREATE TABLE tf_metadata (id integer PRIMARY KEY, file_id text, run_number integer, tf_number integer,"
            " file_url text, file_size_bytes integer, checksum text, status text, created_at text,"
            " received_at text, metadata_json text)"
        )
        for _ in range(2):
            connection.exec_driver_sql(
                "INSERT INTO tf_metadata (file_id, run_number) VALUES ('a', 1)"
            )

    with pytest.raises(StoreUnavailable, match="do not fit version tf_0002"):
        versions.upgrade(url, "tf")


def test_migrating_leaves_the_log_and_the_working_directory_alone(url: URL, tmp_path: Path) -> None:
    program = (
        "import logging; logging.getLogger('x').setLevel(7)\n"
        "from sqlalchemy.engine import make_url\n"
        "from shipper.store import versions\n"
        f"versions.upgrade(make_url({str(url)!r}), 'tf')\n"
        "print(logging.getLogger('x').level, logging.getLogger('x').disabled, logging.root.handlers)\n"
    )
    folder = tmp_path / "empty"
    folder.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
    )

    assert (ran.stdout, ran.stderr, list(folder.iterdir())) == ("7 False []\n", "", [])


def test_alembic_is_not_loaded_where_the_version_is_right(url: URL) -> None:
    versions.upgrade(url, "tf")
    program = (
        "import sys\n"
        "from sqlalchemy.engine import make_url\n"
        "from shipper.store import versions\n"
        "from shipper.store.database import Database\n"
        f"print(versions.is_current(Database(make_url({str(url)!r})), 'tf'), 'alembic' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (ran.stdout, ran.stderr) == ("True False\n", "")


def test_migrations_touch_no_table_of_the_code(scripts: ScriptDirectory) -> None:
    """They are history: what the code believes today must not change what they did."""
    imports = re.compile(r"^from shipper\.store\.(?!errors)", re.MULTILINE)
    written = [
        Path(script.path).name
        for script in scripts.walk_revisions()
        if imports.search(Path(script.path).read_text(encoding="utf-8"))
    ]

    assert written == []
