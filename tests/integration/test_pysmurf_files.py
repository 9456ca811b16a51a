"""Files that pysmurf publishers announce, in SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import make_url

from shipper.core.record import Row
from shipper.sources.udp.port import LocalPort
from shipper.sources.udp.source import UdpSource
from shipper.store.database import Database
from shipper.store.errors import RowsRefused, StoreUnavailable
from shipper.store.files.remote import place
from shipper.store.files.table_set import PysmurfFiles
from shipper.store.files.tables import METADATA, files, remote_files
from shipper.store.files.writing import FileRow
from shipper.store.table_set import Arrival
from shipper.store.versions import downgrade, upgrade
from tests.contract.source_contract import until
from tests.support.databases import Database as Place
from tests.support.databases import Servers
from tests.support.pysmurf_publisher import VERSION, PysmurfPublisher
from tests.unit.store.files.rows import file

KINDS = ("sqlite", "postgresql", "mariadb")
NOW = 1589517269.9
NOW_SHOWN = "2020-05-15 04:34:29"
MD5 = bytes([0, 255, *range(14)])

# The columns of 2021 in their order, as MariaDB of those days made them of `timestamp TIMESTAMP`.
TABLE_OF_2021 = """
    CREATE TABLE pysmurf_files_v1 (
        id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
        path VARCHAR(260) NOT NULL,
        action VARCHAR(32),
        timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
        action_timestamp INT,
        format VARCHAR(32),
        plot TINYINT(1),
        site VARCHAR(32),
        pub_id VARCHAR(32),
        script_id VARCHAR(32),
        instance_id VARCHAR(32),
        copied TINYINT(1),
        failed_copy_attempts INT,
        md5sum BINARY(16) NOT NULL,
        pysmurf_version VARCHAR(64),
        socs_version VARCHAR(64)
    )
"""
ROW_OF_2021 = """
    INSERT INTO pysmurf_files_v1
        (path, timestamp, format, plot, site, pub_id, instance_id, copied, failed_copy_attempts, md5sum, socs_version)
    VALUES ('/data/old.txt', '2020-05-15 04:34:29', 'txt', 0, 'observatory', 'crate1slot2', 'pysmurf-monitor', 0, 0,
        UNHEX('00FF000102030405060708090A0B0C0D'), '0.1.3')
"""
COLUMNS = [
    *("id", "path", "action", "timestamp", "action_timestamp", "format", "plot", "site", "pub_id"),
    *("script_id", "instance_id", "copied", "failed_copy_attempts", "md5sum", "pysmurf_version"),
    "socs_version",
]


def empty_place(kind: str, servers: Servers, folder: Path) -> Place:
    if kind == "sqlite":
        return Place(kind, f"sqlite:///{folder / 'store.db'}")
    server = servers(kind)
    return Place(kind, server.url(server.empty_database()), server)


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Place:
    return empty_place(request.param, servers, tmp_path)


@pytest.fixture
def place_(empty: Place) -> Place:
    """A database with the newest tables."""
    upgrade(make_url(empty.url), "files")
    return empty


@pytest.fixture
def mariadb(servers: Servers, tmp_path: Path) -> Place:
    return empty_place("mariadb", servers, tmp_path)


@pytest.fixture
def of_2021(mariadb: Place) -> Place:
    """A database that the monitor of 2021 has written to."""
    mariadb.execute(TABLE_OF_2021, ROW_OF_2021)
    return mariadb


def row_of(**changes: Any) -> FileRow:
    known = file(**changes)
    return FileRow(known, MD5, place(known), "observatory", "pysmurf-monitor")


def write(place: Place, *rows: FileRow) -> None:
    """Write rows in one transaction, as the sink does."""
    database = Database(make_url(place.url))
    try:
        with database.writing() as connection:
            PysmurfFiles().write(connection, rows)
    finally:
        database.close()


def stored(place: Place) -> list[Mapping[str, Any]]:
    with place.engine.connect() as connection:
        found = connection.execute(sa.select(files).order_by(files.c.id)).mappings()
        return [{**row, "md5sum": bytes(row["md5sum"])} for row in found]


def stored_remote(place: Place) -> list[tuple[Any, ...]]:
    with place.engine.connect() as connection:
        found = connection.execute(sa.select(remote_files).order_by(remote_files.c.file_id))
        return [tuple(row) for row in found]


# Tables


def test_the_table_has_the_columns_of_2021_in_their_order(place_: Place) -> None:
    columns = sa.inspect(place_.engine).get_columns("pysmurf_files_v1")

    assert [column["name"] for column in columns] == COLUMNS
    assert [column["name"] for column in columns if not column["nullable"]] == [
        *("id", "path", "md5sum")
    ]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_the_migrations_make_the_tables_that_are_written_to(
    kind: str, servers: Servers, tmp_path: Path
) -> None:
    place = empty_place(kind, servers, tmp_path)
    upgrade(make_url(place.url), "files")
    with place.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, METADATA)

    assert [each for each in differences if each[0] != "remove_table"] == []


def test_the_migrations_go_back_and_forth_and_keep_the_rows(place_: Place) -> None:
    write(place_, row_of(path="/data/x/20200515/" + "y" * 300))
    before = stored(place_)
    for target in ("files_0001", "base"):
        downgrade(make_url(place_.url), "files", target)
        upgrade(make_url(place_.url), "files")

    assert stored(place_) == before


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param("DROP INDEX ix_pysmurf_files_v1_md5sum ON pysmurf_files_v1", id="index"),
        pytest.param("DROP TABLE pysmurf_remote_v1", id="table"),
    ],
)
def test_a_migration_that_ended_half_way_is_finished(mariadb: Place, lost: str) -> None:
    upgrade(make_url(mariadb.url), "files")
    mariadb.execute(lost, "DROP TABLE shipper_files_version")
    upgrade(make_url(mariadb.url), "files")
    inspector = sa.inspect(mariadb.engine)

    assert inspector.has_table("pysmurf_remote_v1")
    assert [each["column_names"] for each in inspector.get_indexes("pysmurf_files_v1")] == [
        ["md5sum", "timestamp"]
    ]


def test_a_table_of_the_name_that_is_another_one_is_left_alone(empty: Place) -> None:
    empty.execute("CREATE TABLE pysmurf_files_v1 (id INTEGER, path VARCHAR(10))")

    with pytest.raises(StoreUnavailable, match="has no column action"):
        upgrade(make_url(empty.url), "files")
    assert not sa.inspect(empty.engine).has_table("pysmurf_remote_v1")


# A database of 2021


def test_the_rows_of_2021_stay_as_they_are(of_2021: Place) -> None:
    before = of_2021.answer("SELECT * FROM pysmurf_files_v1")
    upgrade(make_url(of_2021.url), "files")

    assert of_2021.answer("SELECT * FROM pysmurf_files_v1") == before


def test_new_rows_follow_those_of_2021(of_2021: Place) -> None:
    upgrade(make_url(of_2021.url), "files")
    write(of_2021, row_of())

    assert [(row["id"], row["path"]) for row in stored(of_2021)] == [
        (1, "/data/old.txt"),
        (2, file().path),
    ]


def test_a_file_that_was_stored_in_2021_is_not_stored_again(of_2021: Place) -> None:
    upgrade(make_url(of_2021.url), "files")
    write(of_2021, row_of(path="/data/old.txt"))

    assert len(stored(of_2021)) == 1


def test_a_table_of_2021_that_holds_a_file_twice_is_taken_over(of_2021: Place) -> None:
    of_2021.execute(ROW_OF_2021)
    upgrade(make_url(of_2021.url), "files")

    assert len(stored(of_2021)) == 2


def test_the_time_of_a_row_stays_when_the_archiver_changes_it(of_2021: Place) -> None:
    upgrade(make_url(of_2021.url), "files")
    of_2021.execute("UPDATE pysmurf_files_v1 SET path = '/archive/old.txt', copied = 1")

    assert of_2021.answer("SELECT CAST(timestamp AS CHAR) FROM pysmurf_files_v1") == [(NOW_SHOWN,)]


def test_the_archiver_of_2021_finds_what_is_to_be_copied(of_2021: Place) -> None:
    upgrade(make_url(of_2021.url), "files")
    write(of_2021, row_of())
    found = of_2021.answer(
        "SELECT id FROM pysmurf_files_v1 WHERE copied = 0 AND failed_copy_attempts < 5"
        " AND instance_id IN ('pysmurf-monitor')"
    )

    assert found == [(1,), (2,)]


def test_a_table_without_the_column_that_was_never_described_gets_it(of_2021: Place) -> None:
    of_2021.execute("ALTER TABLE pysmurf_files_v1 DROP COLUMN script_id")
    upgrade(make_url(of_2021.url), "files")
    write(of_2021, row_of())

    assert [row["script_id"] for row in stored(of_2021)] == [None, "undeclared"]


# Rows


def test_a_row_holds_everything_that_is_known(place_: Place) -> None:
    write(place_, row_of())
    (row,) = stored(place_)
    version = row["socs_version"]

    assert list(row.values()) == [
        *(1, file().path, "tracking_setup", datetime.fromisoformat(NOW_SHOWN), 1589517264),
        *("txt", 0, "observatory", "crate1slot2", "undeclared", "pysmurf-monitor", 0, 0, MD5),
        *("v4.1.0", version),
    ]
    assert version.startswith("shipper ")


def test_what_nobody_said_is_null(place_: Place) -> None:
    write(
        place_,
        row_of(action=None, action_unix_seconds=None, format=None, plot=None, pysmurf_version=None),
    )
    (row,) = stored(place_)

    assert [key for key, value in row.items() if value is None] == [
        *("action", "action_timestamp", "format", "plot", "pysmurf_version")
    ]


def test_beside_a_row_stands_where_the_file_belongs(place_: Place) -> None:
    stream = row_of(path="/data/16400/crate1slot2/1_000.g3", archive_name="timestreams")
    nowhere = replace(row_of(path="/data/elsewhere"), remote=None)
    write(place_, row_of(), nowhere, stream)

    assert stored_remote(place_) == [
        (
            *(1, "smurf"),
            *("15895/crate1slot2/1589517264_tracking_setup/outputs/1589517264_resp.txt", 1),
        ),
        (3, "timestreams", "16400/crate1slot2/1_000.g3", 1),
    ]


def test_a_row_that_is_there_is_not_written_again(place_: Place) -> None:
    write(place_, row_of(), row_of())
    write(place_, row_of(), row_of(path="/data/other"))
    write(place_, row_of(path="/data/other"))

    assert [row["path"] for row in stored(place_)] == [file().path, "/data/other"]
    assert len(stored_remote(place_)) == 2


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"path": file().path.upper()}, id="path in capitals"),
        pytest.param({"path": file().path + " "}, id="blank behind the path"),
        pytest.param({"unix_seconds": 1589517270}, id="a second later"),
        pytest.param({"pub_id": "crate1slot3"}, id="another publisher"),
    ],
)
def test_a_row_that_differs_is_another_row(place_: Place, changes: dict[str, Any]) -> None:
    write(place_, row_of())
    write(place_, row_of(**changes))

    assert len(stored(place_)) == 2


def test_a_file_whose_content_changed_is_another_row(place_: Place) -> None:
    write(place_, row_of())
    write(place_, replace(row_of(), md5=bytes(16)))

    assert [row["md5sum"] for row in stored(place_)] == [MD5, bytes(16)]


def test_many_rows_are_looked_up_and_written(place_: Place) -> None:
    rows = [
        replace(row_of(path=f"/data/{number}"), md5=number.to_bytes(16)) for number in range(1203)
    ]
    write(place_, *rows[::2])
    write(place_, *rows)

    assert {row["path"] for row in stored(place_)} == {row.file.path for row in rows}
    assert len(stored(place_)) == len(rows)


def test_names_may_be_as_long_as_those_of_files(place_: Place) -> None:
    name = "ż" * 255
    longest = "/" + "☃" * 4095
    row = row_of(action=name, format=name, pub_id=name, script_id=name)
    write(place_, replace(row, file=replace(row.file, path=longest), remote=None))
    (found,) = stored(place_)

    assert found["path"] == longest
    assert {found[key] for key in ("action", "format", "pub_id", "script_id")} == {name}


def test_a_row_that_does_not_fit_takes_the_whole_transaction_back(mariadb: Place) -> None:
    upgrade(make_url(mariadb.url), "files")
    row = row_of(path="/" + "x" * 5000)
    with pytest.raises(RowsRefused):
        write(mariadb, row_of(), replace(row, remote=None))

    assert stored(mariadb) == []


# The whole way


@pytest.fixture
def listening(port: LocalPort) -> Iterator[UdpSource]:
    source = UdpSource(port, "pysmurf", gather_seconds=0.05)
    source.open()
    yield source
    source.close()


@pytest.fixture
def port() -> LocalPort:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return LocalPort("127.0.0.1", int(probe.getsockname()[1]), 1 << 20)


def heard(source: UdpSource, count: int) -> list[Row]:
    rows: list[Row] = []

    def enough() -> bool:
        rows.extend(source.read(1.0).rows)
        return len(rows) >= count

    until(enough)
    return rows


def keep(place: Place, rows: Sequence[Row]) -> Mapping[str, str]:
    """Store what is wanted of these rows, and return the reasons of what was refused, by path."""
    rules = PysmurfFiles(md5_retries=1, sleep=lambda _seconds: None)
    wanted = [row for row in rows if rules.wants(row)]
    arrivals = [Arrival(index, row, b"", 0) for index, row in enumerate(wanted)]
    refused: dict[str, str] = {}
    for turn in rules.ready(arrivals):
        write(place, *turn.rows)
        refused |= {str(wanted[each.index]["payload"]): each.reason for each in turn.rejections}
    return refused


def test_announced_files_become_rows(
    place_: Place, port: LocalPort, listening: UdpSource, tmp_path: Path
) -> None:
    for name in ("a.txt", "b.npy", "c.g3"):
        (tmp_path / name).write_text(f"content of {name}")
    with PysmurfPublisher(port.number, now=lambda: NOW) as publisher:
        publisher.session_log("Starting data stream")
        with publisher.action("setup"), publisher.action("inner"):
            publisher.register_file(str(tmp_path / "a.txt"), "txt", plot=True)
        publisher.register_file_as_a_server(str(tmp_path / "b"), "npy")
        publisher.g3_file(str(tmp_path / "c.g3"))
        publisher.register_file(str(tmp_path / "missing"), "txt")
    refused = keep(place_, heard(listening, 7))
    rows = stored(place_)

    assert list(refused.values()) == ["file_missing"]
    assert [Path(row["path"]).name for row in rows] == ["a.txt", "b.npy", "c.g3"]
    assert [row["md5sum"] for row in rows] == [
        hashlib.md5(f"content of {name}".encode(), usedforsecurity=False).digest()
        for name in ("a.txt", "b.npy", "c.g3")
    ]
    assert [(row["action"], row["action_timestamp"]) for row in rows] == [
        *(("setup", int(NOW)), (None, None), (None, None))
    ]
    assert [(row["format"], row["plot"]) for row in rows] == [("txt", 1), ("npy", 0), ("g3", 0)]
    assert [row["pysmurf_version"] for row in rows] == [VERSION, "dummy", None]
    assert {row["timestamp"] for row in rows} == {datetime.fromisoformat(NOW_SHOWN)}


def test_all_ten_types_are_rows_and_lost_ones_are_counted(
    port: LocalPort, listening: UdpSource
) -> None:
    with PysmurfPublisher(port.number, publisher="STREAMER:crate1slot2") as publisher:
        publisher.log("text")
        publisher.publish([1, {"two": 2}])
        publisher.session_data(active_channels=[0, 1, 2])
        publisher.session_log("Starting data stream")
        publisher.metadata("AMCc.Foo[3]", [1.5, 2.5], "ndarray")
        publisher.g3_file("/data/a.g3")
        publisher.register_file("/data/a.txt")
        publisher.publish("x" * 70_000, "general")
    rows = heard(listening, 10)

    assert [row["type"] for row in rows] == [
        *("start", "log", "general", "session_data", "session_log", "metadata", "g3_file"),
        *("data_file", "backend_error", "stop"),
    ]
    assert {row["stream_id"] for row in rows} == {"crate1slot2"}
    assert rows[5]["field"] == "AMCcFoo3"


def test_bursts_of_registers_of_many_streams_arrive_whole(
    port: LocalPort, listening: UdpSource
) -> None:
    publishers = [
        PysmurfPublisher(port.number, publisher=f"STREAMER:crate1slot{slot}") for slot in range(8)
    ]
    for number in range(200):
        for publisher in publishers:
            publisher.metadata(f"AMCc.Foo[{number}]", number)
    for publisher in publishers:
        publisher.close()
    rows = heard(listening, 8 * 202)

    assert len({(row["stream_id"], row.get("field")) for row in rows}) == 8 * 201
    assert listening.read(0).lost == {}
