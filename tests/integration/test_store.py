"""The store against SQLite files and against servers of PostgreSQL and MariaDB that the tests start."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import make_url

from shipper.config.secret import Secret
from shipper.core.checks import Finding, Outcome
from shipper.core.errors import BatchToSplit, Blame, SinkUnavailable
from shipper.core.record import Stream
from shipper.sinks.store.building import build_store, store_checks
from shipper.sinks.store.sink import StoreSink
from shipper.store import versions
from shipper.store.database import Database
from shipper.store.errors import StoreUnavailable
from shipper.store.moment import Moment
from shipper.store.settings import StoreSettings
from shipper.store.timeframes import queries
from shipper.store.timeframes.tables import METADATA
from tests.contract.sink_contract import SinkContract
from tests.support.databases import PASSWORD, Servers
from tests.support.databases import Database as Place
from tests.unit.store.timeframes.messages import RECEIVED, RECEIVED_NS, message, without

KINDS = ("sqlite", "postgresql", "mariadb")
SERVER_KINDS = ("postgresql", "mariadb")
LOG = logging.getLogger("store under test")
SOON_SECONDS = 30.0

TABLES = ("tf_metadata", "runs", "shipper_tf_version")


def empty_place(kind: str, servers: Servers, folder: Path) -> Place:
    if kind == "sqlite":
        return Place(kind, f"sqlite:///{folder / 'kept' / 'store.db'}")
    server = servers(kind)
    return Place(kind, server.url(server.empty_database()), server)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Place:
    """A database without tables."""
    return empty_place(request.param, servers, tmp_path)


@pytest.fixture(params=SERVER_KINDS)
def served(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Place:
    """A database without tables, on a server."""
    return empty_place(request.param, servers, tmp_path)


Kept = Callable[[str, Path], Place]


@pytest.fixture(scope="module")
def kept(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Databases with the newest tables and no rows; the tables are made once, because that takes a second."""
    made: dict[str, Place] = {}

    def kept_place(kind: str, folder: Path) -> Place:
        if kind not in made and kind == "sqlite":
            made[kind] = empty_place(kind, servers, tmp_path_factory.mktemp("store"))
            upgrade(made[kind])
        elif kind not in made:
            server = servers(kind)
            made[kind] = Place(kind, server.url(server.new_database()), server)
        if kind == "sqlite":
            copied = empty_place(kind, servers, folder)
            shutil.copytree(folder_of(made[kind]), folder_of(copied))
            return copied
        servers(kind)
        upgrade(made[kind])
        made[kind].execute("DELETE FROM tf_metadata", "DELETE FROM runs")
        return made[kind]

    return kept_place


def path_of(place: Place) -> Path:
    return Path(str(place.engine.url.database))


def folder_of(place: Place) -> Path:
    return path_of(place).parent


@pytest.fixture(params=KINDS)
def ready(request: pytest.FixtureRequest, kept: Kept, tmp_path: Path) -> Place:
    """A database with the newest tables and no rows."""
    return kept(request.param, tmp_path)


@pytest.fixture(params=SERVER_KINDS)
def ready_served(request: pytest.FixtureRequest, kept: Kept, tmp_path: Path) -> Place:
    """The same, on a server."""
    return kept(request.param, tmp_path)


@pytest.fixture
def sqlite(servers: Servers, tmp_path: Path) -> Place:
    return empty_place("sqlite", servers, tmp_path)


Opened = Callable[..., StoreSink]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Make sinks, closed at the end of the test."""
    sinks: list[StoreSink] = []

    def opened_sink(place: Place, **written: Any) -> StoreSink:
        sinks.append(build_store(settings_for(place.url, **written), tmp_path, "tf_metadata", LOG))
        return sinks[-1]

    yield opened_sink
    for sink in sinks:
        sink.close()


def settings_for(url: str, **written: Any) -> StoreSettings:
    return StoreSettings.model_validate(
        {"url": Secret("literal", url), "statement_timeout_seconds": 5, **written}
    )


def stream(*rows: Mapping[str, Any], received_ns: int = RECEIVED_NS) -> Stream:
    lines = [orjson.dumps(row) for row in rows]
    return Stream({"store": "tf_metadata"}, [received_ns] * len(lines), lines)


def upgrade(place: Place) -> None:
    versions.upgrade(make_url(place.url), "tf")


def downgrade(place: Place, target: str) -> None:
    versions.downgrade(make_url(place.url), "tf", target)


def version_of(place: Place) -> str | None:
    database = Database(make_url(place.url), read_only=True)
    try:
        with database.reading() as connection:
            return versions.version(connection, "tf")
    finally:
        database.close()


@contextmanager
def looking_into(place: Place) -> Iterator[sa.Connection]:
    database = Database(make_url(place.url), read_only=True)
    try:
        with database.reading() as connection:
            yield connection
    finally:
        database.close()


def totals(place: Place) -> dict[int, tuple[int, int]]:
    rows = place.answer("SELECT run_number, total_tfs, total_size_bytes FROM runs")
    return {number: (tfs, int(size)) for number, tfs, size in rows}


def counted(place: Place) -> dict[int, tuple[int, int]]:
    rows = place.answer(
        "SELECT run_number, COUNT(*), COALESCE(SUM(file_size_bytes), 0) FROM tf_metadata GROUP BY run_number"
    )
    return {number: (tfs, int(size)) for number, tfs, size in rows}


class StoreRig:
    """A database in the hands of the contract: its lines are messages, and the status of each is what was asked for."""

    def __init__(self, place: Place, opened: Opened) -> None:
        self._place = place
        self._opened = opened
        self._asked: dict[str, bytes] = {}

    def sink(self) -> StoreSink:
        return self._opened(self._place, connect_timeout_seconds=2)

    def stream(self, lines: Sequence[bytes]) -> Stream:
        made = stream(*(message(file_id=line.decode(), status=line.decode()) for line in lines))
        self._asked |= {line.decode(): asked for line, asked in zip(made.lines, lines, strict=True)}
        return made

    def stream_with_a_bad_one(self) -> tuple[Stream, int]:
        return stream(message(file_id="a"), without("run_number"), message(file_id="b")), 1

    def arrived(self) -> list[bytes]:
        rows = self._place.answer("SELECT metadata_json FROM tf_metadata ORDER BY id")
        return [self._asked.get(line, line.encode()) for (line,) in rows]

    def go_down(self) -> None:
        if self._place.kind != "sqlite":
            self._place.server.stop()
            return
        if self._path.parent.exists():
            shutil.move(self._path.parent, self._away)
        self._path.parent.touch()

    def come_back(self) -> None:
        if self._place.kind != "sqlite":
            self._place.server.start()
            return
        self._path.parent.unlink()
        shutil.move(self._away, self._path.parent)

    @property
    def _path(self) -> Path:
        return path_of(self._place)

    @property
    def _away(self) -> Path:
        return self._path.parent.with_suffix(".away")


@pytest.fixture
def rig(ready: Place, opened: Opened) -> StoreRig:
    return StoreRig(ready, opened)


class TestStoreSink(SinkContract):
    """The store keeps the promises of every sink."""


def test_the_tables_are_what_the_code_believes(place: Place) -> None:
    upgrade(place)

    with looking_into(place) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": _are_different})
        differences = [
            each for each in compare_metadata(context, METADATA) if "shipper_tf" not in str(each)
        ]
    assert differences == []


def _are_different(
    context: MigrationContext,
    _there: object,
    _believed: object,
    _there_type: object,
    believed: object,
) -> bool | None:
    """Leave it to Alembic, but for times in SQLite, which are text in a column that says DATETIME."""
    is_moment_of_sqlite = isinstance(believed, Moment) and context.dialect.name == "sqlite"
    return False if is_moment_of_sqlite else None


def test_migrating_down_and_up_again_keeps_every_row(place: Place, opened: Opened) -> None:
    opened(place).write(
        stream(*(message(file_id=f"tf {at}", run_number=at % 3) for at in range(9)))
    )
    everything = place.answer("SELECT * FROM tf_metadata ORDER BY id")
    runs = place.answer("SELECT run_number, start_time, total_tfs FROM runs ORDER BY run_number")
    seen = []
    for target in ("tf_0001", "base", "tf_0001", "tf_0002"):
        versions.downgrade(make_url(place.url), "tf", target)
        seen.append(version_of(place))
        assert place.answer("SELECT * FROM tf_metadata ORDER BY id") == everything
        assert (
            place.answer("SELECT run_number, start_time, total_tfs FROM runs ORDER BY run_number")
            == runs
        )

    assert seen == ["tf_0001", None, "tf_0001", "tf_0002"]
    assert totals(place) == counted(place)


@pytest.mark.parametrize("target", ["tf_0001", "base"])
def test_a_database_of_every_earlier_version_is_brought_up_to_date_by_the_first_write(
    target: str, place: Place, opened: Opened
) -> None:
    opened(place).write(stream(message(file_id="before", file_size_bytes=2**40)))
    downgrade(place, target)
    opened(place).write(stream(message(file_id="after", file_size_bytes=2**41)))

    assert version_of(place) == versions.head("tf")
    assert totals(place) == {12345: (2, 2**40 + 2**41)} == counted(place)


# As the Time Frame client's Django made them, with one of the other tables that it made beside them.
CLIENTS_TABLES = {
    "sqlite": (
        """CREATE TABLE "django_content_type" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
            "app_label" varchar(100) NOT NULL, "model" varchar(100) NOT NULL)""",
        """CREATE TABLE "runs" ("run_number" integer NOT NULL PRIMARY KEY, "start_time" datetime NOT NULL,
            "end_time" datetime NULL, "total_tfs" integer NOT NULL, "run_conditions" text NULL)""",
        """CREATE TABLE "tf_metadata" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
            "file_id" text NOT NULL UNIQUE, "run_number" integer NOT NULL, "tf_number" integer NULL,
            "file_url" text NULL, "file_size_bytes" integer NULL, "checksum" text NULL, "status" text NULL,
            "created_at" datetime NULL, "received_at" datetime NOT NULL, "metadata_json" text NULL)""",
        'CREATE INDEX "tf_metadata_run_number_29f1ba62" ON "tf_metadata" ("run_number")',
        'CREATE INDEX "tf_metadata_created_at_8e5d2b0c" ON "tf_metadata" ("created_at")',
    ),
    "postgresql": (
        "CREATE TABLE django_content_type (id integer PRIMARY KEY, app_label varchar(100) NOT NULL)",
        """CREATE TABLE runs (run_number integer NOT NULL PRIMARY KEY, start_time timestamptz NOT NULL,
            end_time timestamptz NULL, total_tfs integer NOT NULL, run_conditions text NULL)""",
        """CREATE TABLE tf_metadata (id serial NOT NULL PRIMARY KEY,
            file_id text NOT NULL UNIQUE, run_number integer NOT NULL, tf_number integer NULL, file_url text NULL,
            file_size_bytes integer NULL, checksum text NULL, status text NULL, created_at timestamptz NULL,
            received_at timestamptz NOT NULL, metadata_json text NULL)""",
        "CREATE INDEX tf_metadata_file_id_4c1a_like ON tf_metadata (file_id text_pattern_ops)",
        "CREATE INDEX tf_metadata_run_number_29f1ba62 ON tf_metadata (run_number)",
        "CREATE INDEX tf_metadata_created_at_8e5d2b0c ON tf_metadata (created_at)",
    ),
    # MariaDB refused the other table, because a unique text has no length.
    "mariadb": (
        "CREATE TABLE django_content_type (id integer PRIMARY KEY, app_label varchar(100) NOT NULL)",
        """CREATE TABLE runs (run_number integer NOT NULL PRIMARY KEY, start_time datetime(6) NOT NULL,
            end_time datetime(6) NULL, total_tfs integer NOT NULL, run_conditions longtext NULL)""",
    ),
}

CLIENTS_ROWS = (
    # The totals of run 7 are stale: a file left it. Run 0 has no row.
    "INSERT INTO runs (run_number, start_time, total_tfs) VALUES (7, '2025-07-31 12:00:00', 5)",
    "INSERT INTO runs (run_number, start_time, total_tfs) VALUES (8, '2025-07-31 13:00:00.5', 1)",
    """INSERT INTO tf_metadata (file_id, run_number, file_size_bytes, created_at, received_at, metadata_json)
        VALUES ('a', 7, 100, '2025-07-31 12:00:00', '2025-07-31 12:00:01', '{"file_id": "a", "run_number": 7}')""",
    """INSERT INTO tf_metadata (file_id, run_number, file_size_bytes, created_at, received_at)
        VALUES ('b', 8, NULL, '2025-07-31 12:00:00.25', '2025-07-31 12:00:02')""",
    """INSERT INTO tf_metadata (file_id, run_number, file_size_bytes, received_at)
        VALUES ('c', 0, 7, '2025-07-31 12:00:03')""",
)


@pytest.fixture
def clients(place: Place, tmp_path: Path) -> Place:
    """A database of the Time Frame client, with rows where it could have any."""
    (tmp_path / "kept").mkdir()
    rows = CLIENTS_ROWS[:2] if place.kind == "mariadb" else CLIENTS_ROWS
    place.execute(*CLIENTS_TABLES[place.kind], *rows)
    return place


def test_a_database_of_the_client_is_taken_over_with_all_rows(
    clients: Place, opened: Opened
) -> None:
    opened(clients).write(stream(message(file_id="new", run_number=8, file_size_bytes=2**40)))

    expected = {0: (1, 7), 7: (1, 100), 8: (2, 2**40)}
    if clients.kind == "mariadb":
        expected = {7: (0, 0), 8: (1, 2**40)}
    assert totals(clients) == expected
    with looking_into(clients) as connection:
        report = queries.run(connection, 7)
        kept = sa.inspect(connection).get_table_names()
    assert report is not None
    assert report.start_time == datetime(2025, 7, 31, 12, tzinfo=UTC)
    assert "django_content_type" in kept


# In MariaDB the client never kept a row.
@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
def test_a_row_of_the_client_is_overwritten_in_its_place(clients: Place, opened: Opened) -> None:
    before = clients.answer("SELECT id, received_at FROM tf_metadata WHERE file_id = 'a'")
    opened(clients).write(stream(message(file_id="a", run_number=8, file_size_bytes=1)))

    assert clients.answer("SELECT id, received_at FROM tf_metadata WHERE file_id = 'a'") == before
    assert totals(clients) == {0: (1, 7), 7: (0, 0), 8: (2, 1)}


def test_another_program_s_tables_of_the_same_name_are_left_alone(
    place: Place, opened: Opened, tmp_path: Path
) -> None:
    (tmp_path / "kept").mkdir()
    place.execute("CREATE TABLE runs (number integer)")

    with pytest.raises(SinkUnavailable) as caught:
        opened(place).write(stream(message()))
    assert caught.value.reason == "other_tables"
    assert sa.inspect(place.engine).get_table_names() in (["runs"], ["runs", "shipper_tf_version"])


def test_ids_go_on_beyond_what_the_client_s_column_held(place: Place, opened: Opened) -> None:
    sink = opened(place)
    sink.write(stream(message(file_id="first")))
    place.execute("UPDATE tf_metadata SET id = 2147483648")
    if place.kind == "postgresql":
        place.execute(f"SELECT setval(pg_get_serial_sequence('tf_metadata', 'id'), {2**31})")
    if place.kind == "mariadb":
        place.execute(f"ALTER TABLE tf_metadata AUTO_INCREMENT = {2**31 + 1}")
    sink.write(stream(message(file_id="second")))

    with looking_into(place) as connection:
        assert queries.newest_id(connection) > 2**31


def test_a_newer_version_is_told_and_nothing_is_written(place: Place, opened: Opened) -> None:
    upgrade(place)
    place.execute("UPDATE shipper_tf_version SET version_num = 'tf_9999'")

    with pytest.raises(SinkUnavailable, match="newer") as caught:
        opened(place).write(stream(message()))
    assert (caught.value.reason, caught.value.blame) == ("newer_version", Blame.DESTINATION)
    with pytest.raises(StoreUnavailable, match="install a newer Shipper"):
        upgrade(place)


def test_a_migration_behind_the_back_is_noticed(place: Place, opened: Opened) -> None:
    sink = opened(place)
    sink.write(stream(message(file_id="a")))
    downgrade(place, "tf_0001")
    with pytest.raises(SinkUnavailable) as caught:
        sink.write(stream(message(file_id="b")))
    sink.write(stream(message(file_id="b")))

    assert caught.value.reason == "other_tables"
    assert totals(place) == {12345: (2, 2 * 15728640)}


def test_processes_that_migrate_at_once_do_not_disturb_each_other(place: Place) -> None:
    workers = [
        get_context("fork").Process(target=versions.upgrade, args=(make_url(place.url), "tf"))
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(SOON_SECONDS)

    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert version_of(place) == versions.head("tf")


def test_the_same_file_again_is_overwritten_in_its_place(ready: Place, opened: Opened) -> None:
    sink = opened(ready)
    sink.write(stream(message(file_id="a", status="registered")))
    before = ready.answer("SELECT id, received_at FROM tf_metadata")
    newest = message(file_id="a", status="done", file_size_bytes=5, tf_number=None)
    sink.write(stream(newest, received_ns=RECEIVED_NS + 10**9))

    assert ready.answer("SELECT id, received_at FROM tf_metadata") == before
    assert ready.answer("SELECT status, file_size_bytes, tf_number FROM tf_metadata") == [
        ("done", 5, None)
    ]
    assert totals(ready) == {12345: (1, 5)}


def test_a_file_that_moves_to_another_run_corrects_both_totals(
    ready: Place, opened: Opened
) -> None:
    sink = opened(ready)
    sink.write(stream(message(file_id="a", run_number=1), message(file_id="b", run_number=1)))
    sink.write(stream(message(file_id="a", run_number=0, file_size_bytes=2**40)))

    assert totals(ready) == {1: (1, 15728640), 0: (1, 2**40)} == counted(ready)


def test_the_same_batch_twice_changes_nothing(ready: Place, opened: Opened) -> None:
    batch = stream(*(message(file_id=f"tf {at}", run_number=at % 2) for at in range(10)))
    sink = opened(ready)
    sink.write(batch)
    once = (ready.answer("SELECT * FROM tf_metadata"), ready.answer("SELECT * FROM runs"))
    sink.write(batch)

    assert (
        ready.answer("SELECT * FROM tf_metadata"),
        ready.answer("SELECT * FROM runs"),
    ) == once


def test_file_ids_that_differ_only_in_case_or_blanks_are_different(
    ready: Place, opened: Opened
) -> None:
    ids = ["tf", "TF", "tf ", "tf\t", "žluť", "zlut", "😀", "tf%", "tf'", "tf\\"]
    sink = opened(ready)
    for _ in range(2):
        sink.write(stream(*(message(file_id=each) for each in ids)))

    rows = ready.answer("SELECT file_id FROM tf_metadata ORDER BY id")
    assert [file_id for (file_id,) in rows] == ids


def test_times_are_kept_in_utc_to_the_microsecond(ready: Place, opened: Opened) -> None:
    opened(ready).write(
        stream(
            message(file_id="late", created_at="2025-07-31T14:00:00.000001+02:00"),
            message(file_id="early", created_at="2025-07-31T11:59:59.999999"),
            message(file_id="never", created_at="whenever"),
        )
    )
    with looking_into(ready) as connection:
        report = queries.run(connection, 12345)

    assert report == queries.RunReport(
        run_number=12345,
        start_time=RECEIVED,
        total_tfs=3,
        total_size_bytes=3 * 15728640,
        first_tf=datetime(2025, 7, 31, 11, 59, 59, 999999, UTC),
        last_tf=datetime(2025, 7, 31, 12, 0, 0, 1, UTC),
    )


def test_the_widest_numbers_fit(ready: Place, opened: Opened) -> None:
    widest = {"run_number": -(2**63), "tf_number": 2**63 - 1, "file_size_bytes": 2**63 - 1}
    opened(ready).write(stream(message(**widest)))

    assert ready.answer("SELECT run_number, tf_number, file_size_bytes FROM tf_metadata") == [
        (-(2**63), 2**63 - 1, 2**63 - 1)
    ]


def test_sizes_that_do_not_add_up_within_64_bits_are_the_record_s_fault(
    ready: Place, opened: Opened
) -> None:
    sink = opened(ready)
    sink.write(stream(message(file_id="a", file_size_bytes=2**63 - 1)))

    with pytest.raises(BatchToSplit) as caught:
        sink.write(stream(message(file_id="b", file_size_bytes=1)))
    assert caught.value.asked
    assert totals(ready) == {12345: (1, 2**63 - 1)}


def test_the_questions_of_commands(ready: Place, opened: Opened) -> None:
    sink = opened(ready)
    sink.write(stream(*(message(file_id=f"tf {at}", run_number=at) for at in range(12))))
    with looking_into(ready) as connection:
        newest = queries.newest_id(connection)
    sink.write(stream(message(file_id="x", run_number=3), message(file_id="y", run_number=40)))
    with looking_into(ready) as connection:
        overview = queries.overview(connection)
        kept = queries.kept_since(connection, newest)
        nothing = queries.kept_since(connection, queries.newest_id(connection))
        unknown = queries.run(connection, 99)

    assert [line.run_number for line in overview] == [40, 11, 10, 9, 8, 7, 6, 5, 4, 3]
    assert overview[-1] == queries.RunLine(3, RECEIVED, 2, 2 * 15728640)
    assert kept == [queries.Kept(3, 1, 15728640), queries.Kept(40, 1, 15728640)]
    assert (nothing, unknown) == ([], None)


def test_the_questions_of_the_page(ready: Place, opened: Opened) -> None:
    sink = opened(ready)
    second = 10**9
    sink.write(stream(message(file_id="a", file_size_bytes=5)))
    sink.write(stream(message(file_id="b", status=None), received_ns=RECEIVED_NS + second))
    sink.write(stream(message(file_id="c"), received_ns=RECEIVED_NS + 600 * second))
    with looking_into(ready) as connection:
        (report,) = queries.reports(connection)
        statuses = queries.by_status(connection, 12345)
        rate = queries.rate(connection, 12345)

    assert (report.run_number, report.total_tfs) == (12345, 3)
    assert statuses == {"registered": 2, "unknown": 1}
    assert rate is not None
    assert (rate.from_seconds, rate.bucket_seconds) == (RECEIVED_NS // second, 6)
    assert (rate.counts[0], rate.counts[100], sum(rate.counts), len(rate.counts)) == (2, 1, 3, 101)
    assert sum(rate.sizes_bytes) == 5 + 2 * 15728640


def write_until_taken(sink: StoreSink, batch: Stream) -> None:
    until_seconds = time.monotonic() + SOON_SECONDS
    while True:
        try:
            sink.write(batch)
        except SinkUnavailable:
            if time.monotonic() > until_seconds:
                raise
            time.sleep(0.05)
        else:
            return


def batches(writer: int, count: int) -> Iterator[Stream]:
    """Yield batches in which files are new, come again, and move between runs."""
    for number in range(count):
        yield stream(
            *(
                message(
                    file_id=f"tf {(writer * 7 + number * 20 + at) % 300}",
                    run_number=(writer + number + at) % 4,
                    file_size_bytes=number * 1000 + at,
                )
                for at in range(50)
            )
        )


def test_two_writers_at_once_leave_exact_totals(ready: Place, opened: Opened) -> None:
    failures: list[BaseException] = []

    def write_all(sink: StoreSink, writer: int) -> None:
        try:
            for batch in batches(writer, 20):
                sink.write(batch)
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    writers = [Thread(target=write_all, args=(opened(ready), at)) for at in range(2)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(SOON_SECONDS)

    assert failures == []
    assert totals(ready) == counted(ready)


def test_a_server_that_crashes_under_load_loses_and_doubles_nothing(
    ready_served: Place, opened: Opened
) -> None:
    done = []

    def write_all(sink: StoreSink) -> None:
        for number in range(60):
            batch = [message(file_id=f"{number} {at}", run_number=number % 3) for at in range(50)]
            write_until_taken(sink, stream(*batch))
            done.append(number)

    writer = Thread(target=write_all, args=(opened(ready_served, connect_timeout_seconds=2),))
    writer.start()
    for wanted in (5, 20):
        until_seconds = time.monotonic() + SOON_SECONDS
        while len(done) < wanted and time.monotonic() < until_seconds:
            time.sleep(0.01)
        ready_served.server.crash()
        ready_served.server.start()
    writer.join(SOON_SECONDS)

    assert len(done) == 60
    assert totals(ready_served) == counted(ready_served)
    assert sum(tfs for tfs, _ in totals(ready_served).values()) == 3000


def test_a_server_that_was_restarted_while_nothing_was_written_is_no_trouble(
    ready_served: Place, opened: Opened
) -> None:
    sink = opened(ready_served)
    sink.write(stream(message(file_id="before")))
    ready_served.server.stop()
    ready_served.server.start()

    assert sink.write(stream(message(file_id="after"))) == []


def test_a_server_that_neither_answers_nor_hangs_up_is_given_up(
    ready_served: Place, opened: Opened
) -> None:
    sink = opened(ready_served, statement_timeout_seconds=1, connect_timeout_seconds=2)
    sink.write(stream(message(file_id="before")))
    with ready_served.server.frozen(), pytest.raises(SinkUnavailable):
        sink.write(stream(message(file_id="meanwhile")))
    write_until_taken(sink, stream(message(file_id="meanwhile")))

    assert totals(ready_served) == {12345: (2, 2 * 15728640)}


def test_a_lock_of_somebody_else_is_waited_for_and_then_told(ready: Place, opened: Opened) -> None:
    sink = opened(ready, statement_timeout_seconds=1)
    sink.write(stream(message(file_id="a")))
    locking = "SELECT * FROM shipper_tf_version FOR UPDATE"
    if ready.kind == "sqlite":
        locking = "UPDATE shipper_tf_version SET version_num = version_num"
    with ready.engine.connect() as other:
        other.exec_driver_sql(locking)
        with pytest.raises(SinkUnavailable) as caught:
            sink.write(stream(message(file_id="b")))
    sink.write(stream(message(file_id="b")))

    assert caught.value.reason in {"locked", "timeout"}
    assert totals(ready) == {12345: (2, 2 * 15728640)}


def test_a_database_that_was_thrown_away_gets_its_tables_again(
    place: Place, opened: Opened
) -> None:
    sink = opened(place)
    sink.write(stream(message(file_id="old")))
    if place.kind == "sqlite":
        shutil.rmtree(folder_of(place))
    else:
        place.execute(*(f"DROP TABLE {table}" for table in TABLES))
    write_until_taken(sink, stream(message(file_id="new")))

    assert totals(place) == {12345: (1, 15728640)}


def test_no_password_is_told(ready_served: Place, opened: Opened) -> None:
    secret = "wrong & secret"  # noqa: S105 - it is wrong
    place = Place(
        ready_served.kind,
        ready_served.url.replace(PASSWORD.replace(" ", "%20"), "wrong%20%26%20secret"),
    )

    with pytest.raises(SinkUnavailable) as caught:
        opened(place).write(stream(message()))
    assert caught.value.reason in {"login", "no_rights"}
    assert secret not in str(caught.value)


def finding(place: Place, state_dir: Path, **written: Any) -> Finding:
    (check,) = store_checks(settings_for(place.url, **written), state_dir, {"tf_metadata": True})
    return check.attempt(8.0)


def test_the_check_passes_before_and_after_the_tables_are_made_and_changes_nothing(
    place: Place, tmp_path: Path
) -> None:
    before = finding(place, tmp_path)
    is_made = (
        path_of(place).exists()
        if place.kind == "sqlite"
        else bool(sa.inspect(place.engine).get_table_names())
    )
    upgrade(place)
    after = finding(place, tmp_path)

    assert (before.outcome, is_made, after.outcome) == (Outcome.PASSED, False, Outcome.PASSED)
    assert "will be made" in before.text
    assert "tf_metadata is at version tf_0002" in after.text


def test_the_check_tells_that_an_older_version_will_be_upgraded(
    place: Place, tmp_path: Path
) -> None:
    upgrade(place)
    downgrade(place, "tf_0001")

    assert "will be upgraded" in finding(place, tmp_path).text
    assert version_of(place) == "tf_0001"


def test_the_check_fails_at_a_newer_version(place: Place, tmp_path: Path) -> None:
    upgrade(place)
    place.execute("UPDATE shipper_tf_version SET version_num = 'tf_9999'")
    found = finding(place, tmp_path)

    assert (found.outcome, found.hint) == (
        Outcome.FAILED,
        "install a newer Shipper, or restore a backup",
    )


def test_the_check_fails_where_nobody_listens(ready_served: Place, tmp_path: Path) -> None:
    nobody = Place(
        ready_served.kind, str(make_url(ready_served.url).set(port=1).render_as_string(False))
    )
    found = finding(nobody, tmp_path)

    assert found.outcome is Outcome.FAILED
    assert "does a server listen there?" in found.hint


GRANTS = {
    "postgresql": (
        "GRANT USAGE ON SCHEMA public TO writer",
        "GRANT SELECT, INSERT, UPDATE ON runs, tf_metadata, shipper_tf_version TO writer",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO writer",
    ),
    "mariadb": tuple(
        f"GRANT SELECT, INSERT, UPDATE ON {table} TO writer@'127.0.0.1'"
        for table in ("runs", "tf_metadata", "shipper_tf_version")
    ),
}


OWNER_GRANTS = {
    "postgresql": "GRANT USAGE, CREATE ON SCHEMA public TO writer",
    "mariadb": "GRANT CREATE, ALTER, INDEX, DROP, SELECT, INSERT, UPDATE, DELETE ON shared.* TO writer@'127.0.0.1'",
}


@pytest.fixture
def writer(served: Place) -> Iterator[Place]:
    """A database with tables, seen by a user who may do nothing yet."""
    upgrade(served)
    name = "writer" if served.kind == "postgresql" else "writer@'127.0.0.1'"
    database = str(make_url(served.url).database)
    made = {
        "postgresql": f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'",
        "mariadb": f"CREATE USER {name} IDENTIFIED BY '{PASSWORD}'",
    }
    dropped = {
        "postgresql": (f"DROP OWNED BY {name}", f"DROP ROLE {name}"),
        "mariadb": (f"DROP USER {name}",),
    }
    served.server.execute(made[served.kind], database=database)
    url = make_url(served.url).set(username="writer").render_as_string(hide_password=False)
    yield Place(served.kind, url, served.server)
    served.server.execute(*dropped[served.kind], database=database)


def test_an_owner_with_the_rights_of_the_page_can_migrate(
    writer: Place, opened: Opened, tmp_path: Path
) -> None:
    database = str(make_url(writer.url).database)
    administrator = Place(writer.kind, writer.url.replace("writer", "shipper"), writer.server)
    administrator.execute(*(f"DROP TABLE {table}" for table in TABLES))
    before = finding(writer, tmp_path)
    writer.server.execute(OWNER_GRANTS[writer.kind], database=database)
    after = finding(writer, tmp_path)
    opened(writer).write(stream(message()))
    downgrade(writer, "tf_0001")
    upgrade(writer)

    assert (before.outcome, after.outcome) == (Outcome.FAILED, Outcome.PASSED)
    assert totals(writer) == {12345: (1, 15728640)}


def test_a_user_with_few_rights_can_write_once_the_tables_are_there(
    writer: Place, opened: Opened, tmp_path: Path
) -> None:
    database = str(make_url(writer.url).database)
    writer.server.execute(*GRANTS[writer.kind], database=database)

    assert finding(writer, tmp_path).outcome is Outcome.PASSED
    assert list(opened(writer).write(stream(message(), message(status="done")))) == []


def test_a_user_without_rights_is_found_out_by_the_check_and_at_writing(
    writer: Place, opened: Opened, tmp_path: Path
) -> None:
    database = str(make_url(writer.url).database)
    writer.server.execute(*GRANTS[writer.kind], database=database)
    owner = "writer" if writer.kind == "postgresql" else "writer@'127.0.0.1'"
    writer.server.execute(f"REVOKE UPDATE ON runs FROM {owner}", database=database)
    found = finding(writer, tmp_path)
    with pytest.raises(SinkUnavailable) as caught:
        opened(writer).write(stream(message()))

    assert found.outcome is Outcome.FAILED
    assert "GRANT" in found.hint
    assert caught.value.reason == "no_rights"


def test_a_file_of_another_kind_is_told(sqlite: Place, opened: Opened, tmp_path: Path) -> None:
    path = path_of(sqlite)
    path.parent.mkdir()
    path.write_text("no database, however long it is looked at")
    found = finding(sqlite, tmp_path)
    with pytest.raises(SinkUnavailable) as caught:
        opened(sqlite).write(stream(message()))

    assert (found.outcome, caught.value.reason) == (Outcome.FAILED, "not_a_database")
    assert "another kind of file" in found.hint


def test_records_are_refused_with_their_places(ready: Place, opened: Opened) -> None:
    batch = stream(without("file_id"), message(), message(run_number="x"))
    lines = [*batch.lines, b"[]", b"no json"]
    whole = Stream(batch.labels, [RECEIVED_NS] * 5, lines)

    assert [(each.index, each.reason) for each in opened(ready).write(whole)] == [
        (0, "no_file_id"),
        (2, "wrong_type"),
        (3, "not_an_object"),
        (4, "not_json"),
    ]
    assert totals(ready) == {12345: (1, 15728640)}
