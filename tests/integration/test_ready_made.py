"""The set-ups of `config_files/`, each run by the real program, against the real far ends that it is made for.

What a file takes from the environment or from flags (databases, Loki, the port of the page) comes from there; what else
has to differ is named by its place in the file. `fastmon.json` is in `test_ready_made_fastmon.py`,
`recodex.json` in `test_ready_made_recodex.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from shipper.demo.log_store import LogStore
from tests.support.databases import PASSWORD as DATABASE_PASSWORD
from tests.support.databases import Database, DatabaseServer, MariaDbServer, Servers
from tests.support.pysmurf_publisher import VERSION, PysmurfPublisher
from tests.support.ready_made import DELIVERED, Changes, Shipped, ended, given, shipping
from tests.support.services import need
from tests.support.shipper_process import until

# Anything in 127.0.0.0/8 is this machine.
MARIADB_HOST, MARIADB_PORT = f"127.77.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}", 3306


def free_udp_port() -> int:
    """Return a UDP port that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class UsualMariaDb(MariaDbServer):
    """A MariaDB on its usual port, the only one that the old monitor's variables lead to, and a host of its own."""

    def __init__(self) -> None:
        super().__init__()
        with suppress(OSError), socket.create_server((MARIADB_HOST, MARIADB_PORT)):
            self.port = MARIADB_PORT

    def url(self, database: str) -> str:
        return super().url(database).replace("127.0.0.1", MARIADB_HOST)

    def _command(self) -> Sequence[str]:
        return [
            word.replace("--bind-address=127.0.0.1", f"--bind-address={MARIADB_HOST}")
            for word in super()._command()
        ]


@pytest.fixture(scope="module")
def mariadb() -> Iterator[DatabaseServer]:
    """A MariaDB that runs."""
    need("mariadbd")
    server = UsualMariaDb()
    try:
        server.prepare()
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def postgres(servers: Servers) -> DatabaseServer:
    """A PostgreSQL that runs."""
    return servers("postgresql")


def new_database(server: DatabaseServer) -> Database:
    """Return an empty database of the test's own."""
    return Database(server.name, server.url(server.new_database()), server)


# pysmurf.json

RESPONSE, PICTURE, STREAM = b"\x93NUMPY response", b"\x89PNG picture", b"G3 stream"
LOST_DATAGRAMS = 3


@dataclass(frozen=True)
class Pysmurf(Shipped):
    """A crate's afternoon."""

    folder: Path
    instance: str
    database: Database

    def files(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the rows of the table by the names of the files."""
        with self.database.engine.connect() as connection:
            found = connection.execute(sa.text("SELECT * FROM pysmurf_files_v1")).mappings().all()
        assert len({row["path"] for row in found}) == len(found)
        return {Path(row["path"]).name: dict(row) for row in found}


def publish_an_afternoon(port: int, data: Path) -> None:
    """Send what two publishers of a crate send, of which some datagrams get lost."""
    outputs = data / "20200515" / "1589517000" / "outputs"
    plots, streams = outputs.parent / "plots", data / "timestreams" / "16400" / "crate1slot2"
    for folder in (outputs, plots, streams):
        folder.mkdir(parents=True)
    (outputs / "1589517264_resp.npy").write_bytes(RESPONSE)
    (plots / "1589517264_resp.png").write_bytes(PICTURE)
    (streams / "1640000000_000.g3").write_bytes(STREAM)
    with (
        PysmurfPublisher(port, publisher="crate1slot2", script="tune.py") as smurf,
        PysmurfPublisher(
            port, publisher="STREAMER:crate1slot2", script="PySmurf_Server"
        ) as streamer,
    ):
        smurf.session_log("Starting data stream")
        smurf.session_data(datafile="/data/x.dat", active_channels=[0, 1, 2])
        with smurf.action("tracking_setup"):
            smurf.register_file(str(outputs / "1589517264_resp"), "npy", kind="full_band_resp")
            smurf.register_file(str(plots / "1589517264_resp.png"), "png", plot=True)
        smurf.skip(LOST_DATAGRAMS)
        streamer.metadata("AMCc.FpgaTopLevel.AppTop.Foo[3]", 42)
        streamer.g3_file(str(streams / "1640000000_000.g3"))
        smurf.log("done")


@pytest.fixture(scope="module")
def pysmurf(tmp_path_factory: pytest.TempPathFactory, mariadb: DatabaseServer) -> Iterator[Pysmurf]:
    folder, port = tmp_path_factory.mktemp("pysmurf"), free_udp_port()
    database = new_database(mariadb)
    with LogStore() as loki:
        changes = Changes({"metrics.pysmurf.port": port}, {"PYSMURF_DATABASE_URL": database.url})
        with shipping("pysmurf.json", folder, loki, changes) as shipper:
            until(lambda: shipper.polls("pysmurf"))
            publish_an_afternoon(port, folder / "data")
            until(lambda: len(loki.lines()) == 11)
            until(lambda: shipper.value(DELIVERED, metric="pysmurf", sink="store") >= 3)
            left = ended(shipper, loki)
        yield Pysmurf(**vars(left), folder=folder, instance=f"0.0.0.0:{port}", database=database)


def test_every_message_of_pysmurf_is_a_line_with_the_labels_of_its_publisher(
    pysmurf: Pysmurf,
) -> None:
    labels = [line.labels for line in pysmurf.of(type="session_log")]

    assert labels == [
        {
            "job": "pysmurf",
            "service_name": "udp",
            "instance": pysmurf.instance,
            "site": "observatory",
            "pub_id": "crate1slot2",
            "stream_id": "crate1slot2",
            "type": "session_log",
        }
    ]


def test_session_data_of_pysmurf_is_kept_whole(pysmurf: Pysmurf) -> None:
    payload = {"datafile": "/data/x.dat", "active_channels": [0, 1, 2]}

    assert [row["payload"] for row in pysmurf.rows(type="session_data")] == [payload]


def test_the_script_of_pysmurf_is_structured_metadata(pysmurf: Pysmurf) -> None:
    scripts = {line.metadata["script"] for line in pysmurf.of(pub_id="crate1slot2")}

    assert scripts == {"tune.py"}


def test_a_register_of_pysmurf_has_the_stream_of_its_streamer_and_the_name_of_its_feed(
    pysmurf: Pysmurf,
) -> None:
    labels = [
        (line.labels["pub_id"], line.labels["stream_id"]) for line in pysmurf.of(type="metadata")
    ]

    assert labels == [("STREAMER:crate1slot2", "crate1slot2")]
    assert pysmurf.rows(type="metadata")[0]["field"] == "AMCcFpgaTopLevelAppTopFoo3"
    assert pysmurf.rows(type="metadata")[0]["payload"]["value"] == 42


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1589517264_resp.npy", RESPONSE),
        ("1589517264_resp.png", PICTURE),
        ("1640000000_000.g3", STREAM),
    ],
)
def test_a_file_of_pysmurf_is_a_row_with_its_checksum(
    pysmurf: Pysmurf, name: str, content: bytes
) -> None:
    stored = pysmurf.files()[name]

    assert bytes(stored["md5sum"]) == hashlib.md5(content, usedforsecurity=False).digest()


def test_a_row_of_pysmurf_says_all_that_was_announced(pysmurf: Pysmurf) -> None:
    stored = pysmurf.files()["1589517264_resp.npy"]
    wanted = {
        "action": "tracking_setup",
        "format": "npy",
        "plot": 0,
        "site": "observatory",
        "instance_id": "pysmurf-monitor",
        "pub_id": "crate1slot2",
        "script_id": "tune.py",
        "copied": 0,
        "failed_copy_attempts": 0,
        "pysmurf_version": VERSION,
    }

    assert {name: stored[name] for name in wanted} == wanted
    assert abs(stored["timestamp"] - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=5)


def test_datagrams_of_pysmurf_that_never_came_are_counted(pysmurf: Pysmurf) -> None:
    assert pysmurf.value("shipper_sequence_gaps_total", metric="pysmurf") == LOST_DATAGRAMS
    assert pysmurf.value("shipper_rows_total", metric="pysmurf") == len(pysmurf.lines)


def test_pysmurf_s_store_and_loki_are_counted_apart(pysmurf: Pysmurf) -> None:
    delivered = {
        sink: pysmurf.value(DELIVERED, metric="pysmurf", sink=sink) for sink in ("loki", "store")
    }

    assert delivered["loki"] == len(pysmurf.lines)
    assert delivered["store"] == 3


def test_the_variables_of_the_old_monitor_name_the_store(
    mariadb: DatabaseServer, tmp_path: Path
) -> None:
    if mariadb.port != MARIADB_PORT:
        pytest.skip(
            f"another program has the port {MARIADB_PORT}, which the variables cannot change"
        )
    database, port = new_database(mariadb), free_udp_port()
    announced = tmp_path / "tune.txt"
    announced.write_bytes(b"tuned")
    variables = {
        "MYSQL_HOST": MARIADB_HOST,
        "MYSQL_USER": "shipper",
        "MYSQL_PASSWORD": DATABASE_PASSWORD,
        "MYSQL_DATABASE": str(sa.make_url(database.url).database),
    }
    changes = Changes({"metrics.pysmurf.port": port}, variables, without=["store"])
    with LogStore() as loki:
        it = shipping("pysmurf.json", tmp_path, loki, changes)
        with it, PysmurfPublisher(port) as smurf:
            until(lambda: it.polls("pysmurf"))
            smurf.register_file(str(announced), "txt")
            until(lambda: it.value(DELIVERED, metric="pysmurf", sink="store"))

    assert [tuple(row) for row in database.answer("SELECT path FROM pysmurf_files_v1")] == [
        (str(announced),)
    ]


# sql_example.json

PRAGUE = ZoneInfo("Europe/Prague")


def in_prague(seconds_ago: int) -> datetime:
    """Return a time as the plant writes it: of Prague, and without saying so."""
    then = datetime.now(PRAGUE).replace(microsecond=0) - timedelta(seconds=seconds_ago)
    return then.replace(tzinfo=None)


@dataclass(frozen=True)
class Sql(Shipped):
    """Three databases that were read.

    Attributes:
        raised_at: When the alarm was raised that came while Shipper ran, a time of Prague.
        urls: Where the entries read, by their names, without user and password.
    """

    raised_at: datetime
    urls: Mapping[str, str]


DEVICES = sa.Table(
    "devices",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
)
ALARMS = sa.Table(
    "alarms",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("raised_at", sa.DateTime),
    sa.Column("level", sa.Text),
    sa.Column("device", sa.Integer),
    sa.Index("alarms_by_time", "raised_at", "id"),
)
JOBS = sa.Table(
    "jobs",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("state", sa.Text),
)
ENTRIES = sa.Table(
    "entries",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("words", sa.Text),
)


def fill_the_plant(plant: Database) -> None:
    """Make alarms, one of them old, and jobs."""
    plant.make(DEVICES, {"id": 1, "name": "pump"}, {"id": 2, "name": "valve"})
    plant.make(ALARMS, {"id": 1, "raised_at": in_prague(3600), "level": "old", "device": 1})
    states = ("waiting", "running", "running")
    plant.make(JOBS, *({"id": number, "state": state} for number, state in enumerate(states)))


@pytest.fixture(scope="module")
def sql(tmp_path_factory: pytest.TempPathFactory, postgres: DatabaseServer) -> Iterator[Sql]:
    folder = tmp_path_factory.mktemp("sql")
    logbook, secret = folder / "logbook.db", folder / "jobs_database_url"
    book = Database("sqlite", f"sqlite:///{logbook}")
    book.make(ENTRIES, {"id": 1, "words": "shift begins"}, {"id": 2, "words": "beam on"})
    plant = new_database(postgres)
    fill_the_plant(plant)
    secret.write_text(plant.url + "\n", encoding="utf-8")
    keys = {
        "metrics.logbook.url": f"sqlite:///{logbook}",
        "metrics.jobs_by_state.url.file": str(secret),
    }
    changes = Changes(keys, {"PLANT_DATABASE_URL": plant.url})
    with LogStore() as loki:
        with shipping("sql_example.json", folder, loki, changes) as shipper:
            shipper.until_ready()
            until(lambda: shipper.polls("alarms") >= 1)
            raised_at = in_prague(60)
            plant.insert(ALARMS, {"id": 2, "raised_at": raised_at, "level": "high", "device": 2})
            book.insert(ENTRIES, {"id": 3, "words": "beam off"})
            until(lambda: len(loki.lines()) >= 4)
            until(lambda: shipper.value("app_jobs", state="running"))
            left = ended(shipper, loki)
        postgres_url = f"postgresql://127.0.0.1:{postgres.port}/{sa.make_url(plant.url).database}"
        urls = {"logbook": f"sqlite:///{logbook}", "alarms": postgres_url}
        yield Sql(**vars(left), raised_at=raised_at, urls=urls)


def test_all_rows_of_a_table_are_lines_in_their_order_each_once(sql: Sql) -> None:
    assert [(row["id"], row["words"]) for row in sql.rows(job="logbook")] == [
        (1, "shift begins"),
        (2, "beam on"),
        (3, "beam off"),
    ]


def test_a_query_that_starts_now_ships_what_comes_from_then_on(sql: Sql) -> None:
    assert [row["id"] for row in sql.rows(job="alarms")] == [2]


def test_a_line_of_a_query_has_its_own_time_in_the_zone_of_the_plant(sql: Sql) -> None:
    (line,) = sql.of(job="alarms")
    then = sql.raised_at.replace(tzinfo=PRAGUE)

    assert line.time_ns == int(then.timestamp()) * 10**9
    assert json.loads(line.line)["raised_at"] == then.isoformat()


def test_the_fields_of_a_query_are_labels_and_structured_metadata_as_the_file_says(
    sql: Sql,
) -> None:
    (line,) = sql.of(job="alarms")

    assert line.labels == {
        "job": "alarms",
        "service_name": "sql",
        "instance": sql.urls["alarms"],
        "level": "high",
    }
    assert given(line) == {"device": "valve"}


def test_a_table_s_lines_have_the_labels_of_every_line(sql: Sql) -> None:
    labels = {frozenset(line.labels.items()) for line in sql.of(job="logbook")}

    assert labels == {
        frozenset(
            {"job": "logbook", "service_name": "sql", "instance": sql.urls["logbook"]}.items()
        )
    }


def test_a_state_is_a_gauge_and_no_line(sql: Sql) -> None:
    gauges = {state: sql.value("app_jobs", state=state) for state in ("waiting", "running")}

    assert gauges == {"waiting": 1, "running": 2}
    assert sql.of(job="jobs_by_state") == []
