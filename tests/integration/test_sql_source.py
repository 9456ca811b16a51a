"""The SQL source against SQLite files and against servers of PostgreSQL and MariaDB that the tests start."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql

from shipper.core.checks import Finding, Outcome
from shipper.core.clock import Clock
from shipper.core.errors import ReadRefused, SourceRefused, SourceTimeout, SourceUnavailable
from shipper.core.json_lines import json_lines
from shipper.core.record import Batch, Cursor, Row
from shipper.pipeline.cursors import cursor_text, read_cursor
from shipper.sources.sql import SqlSettings
from shipper.sources.sql.selection import parameters
from shipper.sources.sql.source import SqlSource
from tests.contract.source_contract import Rig, SourceContract, until
from tests.support.clock import FakeClock
from tests.support.databases import PASSWORD, Database, Servers

READ_SECONDS = 10.0
MARGIN_SECONDS = 1.0
"""How much later than its deadline a call may end on a busy machine."""

MOST_PAGES = 500

KINDS = ("sqlite", "postgresql", "mariadb")
SERVER_KINDS = ("postgresql", "mariadb")

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
NOON = datetime(2026, 11, 22, 12)  # noqa: DTZ001 - as a column without a zone has it

EVENTS = sa.Table(
    "events",
    sa.MetaData(),
    sa.Column("id", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("at", MOMENT),
    sa.Column("text", sa.Text()),
    sa.Index("events_by_time", "at", "id"),
)

Opened = Callable[..., SqlSource]


def empty_database(kind: str, servers: Servers, folder: Path) -> Database:
    if kind == "sqlite":
        path = folder / "app.db"
        database = Database(kind, f"sqlite:///{path}")
        database.execute("PRAGMA user_version = 1")  # makes the file
        return database
    server = servers(kind)
    return Database(kind, server.url(server.empty_database()), server)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Database:
    return empty_database(request.param, servers, tmp_path)


@pytest.fixture(params=SERVER_KINDS)
def served(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Database:
    """A database on a server."""
    return empty_database(request.param, servers, tmp_path)


@pytest.fixture
def postgres(servers: Servers, tmp_path: Path) -> Database:
    return empty_database("postgresql", servers, tmp_path)


@pytest.fixture
def mariadb(servers: Servers, tmp_path: Path) -> Database:
    return empty_database("mariadb", servers, tmp_path)


@pytest.fixture
def sqlite(servers: Servers, tmp_path: Path) -> Database:
    return empty_database("sqlite", servers, tmp_path)


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Open sources, closed at the end of the test."""
    sources: list[SqlSource] = []

    def opened_source(
        database: Database,
        place: Cursor | None = None,
        /,
        *,
        clock: Clock | None = None,
        **written: Any,
    ) -> SqlSource:
        source = source_to(database, clock=clock, **written)
        sources.append(source)
        source.open(place)
        return source

    yield opened_source
    for source in sources:
        source.close()


def entry_to(database: Database, **written: Any) -> SqlSettings:
    what = {} if "query" in written else {"table": "events"}
    return SqlSettings.model_validate({"url": database.url, **what, **written})


def source_to(database: Database, *, clock: Clock | None = None, **written: Any) -> SqlSource:
    return SqlSource(entry_to(database, **written).reading("events"), clock=clock)


def event(number: int, at: datetime | None = NOON, text: str | None = None) -> dict[str, object]:
    return {"id": number, "at": at, "text": text}


def ids(batch: Batch) -> list[object]:
    return [row["id"] for row in batch.rows]


def read_all(source: SqlSource) -> list[Row]:
    """Read until a page is empty."""
    rows: list[Row] = []
    for _ in range(MOST_PAGES):
        page = source.read(READ_SECONDS).rows
        rows.extend(page)
        if not page:
            return rows
    raise AssertionError(f"there is no end to it: {rows[:100]}")


def line(row: Row) -> Any:
    """Return a row as a reader of its line sees it."""
    return json.loads(json_lines([row])[0])


def findings(database: Database, **written: Any) -> list[Finding]:
    entry = entry_to(database, **written)
    return [check.attempt(READ_SECONDS) for check in entry.checks(None, {"events": entry})]


@contextmanager
def measured(*, at_most_seconds: float) -> Iterator[None]:
    """Hold the block to its deadline."""
    start_seconds = time.monotonic()
    yield
    assert time.monotonic() - start_seconds < at_most_seconds + MARGIN_SECONDS


class SqlRig(Rig):
    """A table that the test inserts into."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._said = 0
        database.make(EVENTS)
        self.source = source_to(database, cursor=["id"])

    def say(self, text: str) -> None:
        self._said += 1
        self._database.insert(EVENTS, event(self._said, text=text))

    def heard(self, row: Row) -> str:
        return str(row["text"])

    def die(self) -> None:
        self._database.server.crash()

    def revive(self) -> None:
        self._database.server.start()


class FileRig(SqlRig):
    """The same in a file, which can be away."""

    def die(self) -> None:
        self._path.rename(self._away)

    def revive(self) -> None:
        self._away.rename(self._path)

    @property
    def _path(self) -> Path:
        return Path(self._database.url.removeprefix("sqlite:///"))

    @property
    def _away(self) -> Path:
        return self._path.with_suffix(".away")


class TestSqlSource(SourceContract):
    """What every source promises."""

    @pytest.fixture
    def rig(self, database: Database) -> Iterator[SqlRig]:
        rig = FileRig(database) if database.kind == "sqlite" else SqlRig(database)
        yield rig
        rig.source.close()


# Pages


@pytest.mark.parametrize("page_rows", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("what", [{}, {"query": "SELECT * FROM events"}], ids=["table", "query"])
def test_rows_of_the_same_time_come_once_and_in_order_over_pages(
    database: Database, opened: Opened, page_rows: int, what: dict[str, str]
) -> None:
    rows = [event(number, NOON + timedelta(seconds=number // 4)) for number in range(1, 21)]
    database.make(EVENTS, *reversed(rows))
    source = opened(database, cursor=["at", "id"], page_rows=page_rows, **what)

    assert [row["id"] for row in read_all(source)] == list(range(1, 21))


def test_a_page_is_never_larger_than_it_may_be(database: Database, opened: Opened) -> None:
    database.make(EVENTS, *map(event, range(1, 11)))
    source = opened(database, cursor=["at", "id"], page_rows=4)
    batches = [source.read(READ_SECONDS) for _ in range(4)]

    assert [len(batch.rows) for batch in batches] == [4, 4, 2, 0]
    assert [batch.more for batch in batches] == [True, True, False, False]


def test_rows_inserted_between_pages_come_in_their_turn(database: Database, opened: Opened) -> None:
    database.make(EVENTS, event(10), event(20), event(30))
    source = opened(database, cursor=["at", "id"], page_rows=2)
    first = ids(source.read(READ_SECONDS))
    later = NOON + timedelta(microseconds=1)
    database.insert(EVENTS, event(25), event(1, later), event(40))

    assert first == [10, 20]
    assert [row["id"] for row in read_all(source)] == [25, 30, 40, 1]


def test_three_columns_of_a_cursor(database: Database, opened: Opened) -> None:
    three = sa.Table(
        "three",
        sa.MetaData(),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("a", "b", "c")),
    )
    rows = [{"a": a, "b": b, "c": c} for a in range(3) for b in range(3) for c in range(3)]
    database.make(three, *reversed(rows))
    source = opened(database, table="three", cursor=["a", "b", "c"], page_rows=2)

    assert [dict(row) for row in read_all(source)] == rows


KEYS: list[tuple[str, Any, Sequence[object]]] = [
    ("int", NUMBER, [-(2**63), -1, 0, 2**63 - 1]),
    ("text", sa.String(40).with_variant(sa.String(40, "utf8mb4_bin"), "mysql", "mariadb"),
     ["", "a", "a b", "b'\"\\", "é", "☃"]),
    ("moment", MOMENT, [NOON, NOON + timedelta(microseconds=1), NOON + timedelta(days=9)]),
    ("moment with zone", sa.DateTime(timezone=True).with_variant(mysql.TIMESTAMP(fsp=6), "mysql", "mariadb"),
     [NOON.replace(tzinfo=UTC), (NOON + timedelta(microseconds=1)).replace(tzinfo=UTC)]),
    ("date", sa.Date(), [date(1970, 1, 1), date(2026, 2, 28), date(9999, 12, 31)]),
    ("double", sa.Double(), [-1e300, 0.1, 0.30000000000000004, 1e300]),
    ("uuid", sa.Uuid(), [UUID(int=1), UUID(int=2**64), UUID(int=2**127)]),
    ("bytes", sa.LargeBinary().with_variant(sa.VARBINARY(40), "mysql", "mariadb"), [b"", b"\x00", b"\x00\xff", b"a%s"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "values"), [pytest.param(kind, values, id=name) for name, kind, values in KEYS]
)
def test_a_cursor_of_any_type_goes_on_after_restarts(
    database: Database, opened: Opened, kind: Any, values: Sequence[object]
) -> None:
    keyed = sa.Table("keyed", sa.MetaData(), sa.Column("k", kind, nullable=False, unique=True))
    database.make(keyed, *({"k": value} for value in reversed(values)))
    everything = read_all(opened(database, table="keyed", cursor=["k"]))

    assert len(everything) == len(values)
    assert one_by_one(database, opened, "keyed", "k") == everything


def test_a_cursor_of_decimals_goes_on_after_restarts(served: Database, opened: Opened) -> None:
    served.execute(
        "CREATE TABLE decimals (k NUMERIC(20, 5) NOT NULL UNIQUE)",
        "INSERT INTO decimals VALUES (123456789012345.00001), (0.00001), (-0.5)",
    )
    rows = one_by_one(served, opened, "decimals", "k")

    assert [str(row["k"]) for row in rows] == ["-0.50000", "0.00001", "123456789012345.00001"]


def one_by_one(
    database: Database, opened: Opened, table: str, column: str, *, page_rows: int = 1
) -> list[Row]:
    """Read a table with a new source for every page, which has nothing but the cursor as it is kept."""
    place: Cursor | None = None
    rows: list[Row] = []
    for _ in range(MOST_PAGES):
        source = opened(database, place, table=table, cursor=[column], page_rows=page_rows)
        batch = source.read(READ_SECONDS)
        source.close()
        if not batch.rows or batch.cursor is None:
            return rows
        place = read_cursor(cursor_text(batch.cursor))
        rows += batch.rows
    raise AssertionError(f"there is no end to it: {rows[:100]}")


TIMES = st.one_of(
    st.none(),
    st.integers(0, 3).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    st.datetimes(datetime(1980, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(times=st.lists(TIMES, max_size=25), page_rows=st.integers(1, 30))
def test_every_row_comes_exactly_once_and_in_order_whatever_the_table_holds(
    database: Database, times: Sequence[datetime | None], page_rows: int
) -> None:
    database.refill(EVENTS, *(event(number, at) for number, at in enumerate(times, 1)))
    source = source_to(database, cursor=["at", "id"], page_rows=page_rows)
    source.open()
    read = [row["id"] for row in read_all(source)]
    source.close()
    placed = [(at, number) for number, at in enumerate(times, 1) if at is not None]

    assert read == [number for _, number in sorted(placed)]


EXPLAINED = {
    "sqlite": ("EXPLAIN QUERY PLAN ", "USING INDEX events_by_time (at>?"),
    "postgresql": ("EXPLAIN ", "Index Cond: ((at IS NOT NULL) AND (ROW(at, id) > ROW("),
    "mariadb": ("EXPLAIN ", "range"),
}


@pytest.mark.parametrize("what", [{}, {"query": "SELECT * FROM events"}], ids=["table", "query"])
def test_a_page_is_found_through_the_index(database: Database, what: dict[str, str]) -> None:
    rows = (event(number, NOON + timedelta(seconds=number // 3)) for number in range(1, 3000))
    database.make(EVENTS, *rows)
    analyze = {"mariadb": "ANALYZE TABLE events"}.get(database.kind, "ANALYZE events")
    database.execute(analyze)
    reading = entry_to(database, cursor=["at", "id"], **what).reading("events")
    statement = reading.selection.following_page(10, compares_rows=database.kind != "mariadb")
    compiled: Any = statement.compile(database.engine, compile_kwargs={"render_postcompile": True})
    before, expected = EXPLAINED[database.kind]
    with database.engine.connect() as connection:
        at = NOON + timedelta(seconds=900)
        place: Cursor = (str(at) if database.kind == "sqlite" else at, 2701)
        values = compiled.construct_params(parameters(place))
        names = compiled.positiontup
        given = values if names is None else tuple(values[name] for name in names)
        plan = connection.exec_driver_sql(before + str(compiled), given).all()

    assert expected in str(plan)


# Start


def test_a_start_from_now_leaves_out_what_is_there(database: Database, opened: Opened) -> None:
    database.make(EVENTS, event(1), event(2))
    source = opened(database, cursor=["at", "id"], start="now")
    database.insert(EVENTS, event(3))

    assert ids(source.read(READ_SECONDS)) == [3]


def test_a_start_from_now_is_remembered_before_anything_came(
    database: Database, opened: Opened
) -> None:
    database.make(EVENTS, event(1), event(2))
    first = opened(database, cursor=["at", "id"], start="now").read(READ_SECONDS)
    database.insert(EVENTS, event(3))
    second = opened(database, first.cursor, cursor=["at", "id"], start="now").read(READ_SECONDS)

    assert (ids(first), ids(second)) == ([], [3])


def test_a_start_from_now_in_an_empty_table_is_remembered_as_well(
    database: Database, opened: Opened
) -> None:
    database.make(EVENTS)
    first = opened(database, cursor=["at", "id"], start="now").read(READ_SECONDS)
    assert first.cursor is not None
    kept = read_cursor(cursor_text(first.cursor))
    database.insert(EVENTS, event(1))

    assert ids(opened(database, kept, cursor=["at", "id"], start="now").read(READ_SECONDS)) == [1]


def test_a_start_from_the_beginning_has_no_cursor_before_anything_came(
    database: Database, opened: Opened
) -> None:
    database.make(EVENTS)

    assert opened(database, cursor=["id"]).read(READ_SECONDS).cursor is None


# Late commits


@pytest.fixture
def clock() -> FakeClock:
    """Noon of the events."""
    return FakeClock(ns=int(NOON.replace(tzinfo=UTC).timestamp()) * 1_000_000_000)


def ago(seconds: float) -> datetime:
    return NOON - timedelta(seconds=seconds)


def test_a_row_that_commits_late_is_not_passed_by(
    served: Database, opened: Opened, clock: FakeClock
) -> None:
    served.make(EVENTS, event(1, ago(60)))
    source = opened(served, cursor=["at", "id"], lag_seconds=30, clock=clock)
    with served.engine.connect() as late:
        late.execute(EVENTS.insert(), event(2, ago(5)))
        served.insert(EVENTS, event(3, ago(4)))
        first = ids(source.read(READ_SECONDS))
        late.commit()
    clock.pass_seconds(26)

    assert (first, ids(source.read(READ_SECONDS))) == ([1], [2, 3])


def test_without_a_lag_it_is_passed_by(served: Database, opened: Opened) -> None:
    served.make(EVENTS, event(1, ago(60)))
    source = opened(served, cursor=["at", "id"])
    with served.engine.connect() as late:
        late.execute(EVENTS.insert(), event(2, ago(5)))
        served.insert(EVENTS, event(3, ago(4)))
        first = ids(source.read(READ_SECONDS))
        late.commit()

    assert (first, ids(source.read(READ_SECONDS))) == ([1, 3], [])


def test_the_age_is_told_by_the_time_field_where_there_is_one(
    database: Database, opened: Opened, clock: FakeClock
) -> None:
    database.make(EVENTS, event(1, ago(60)), event(2, ago(5)), event(3, ago(60)), event(4, None))
    source = opened(database, cursor=["id"], time_field="at", lag_seconds=30, clock=clock)
    first = ids(source.read(READ_SECONDS))
    clock.pass_seconds(26)

    # What is behind a row that waits, waits with it: once passed by, it would never come.
    assert (first, ids(source.read(READ_SECONDS))) == ([1], [2, 3, 4])


def test_a_start_from_now_begins_behind_what_is_old_enough(
    database: Database, opened: Opened, clock: FakeClock
) -> None:
    database.make(EVENTS, event(1, ago(60)), event(2, ago(50)), event(3, ago(5)))
    source = opened(database, cursor=["at", "id"], start="now", lag_seconds=30, clock=clock)
    clock.pass_seconds(26)

    assert ids(source.read(READ_SECONDS)) == [3]


def test_a_start_from_now_in_a_table_of_young_rows_begins_with_all_of_them(
    database: Database, opened: Opened, clock: FakeClock
) -> None:
    database.make(EVENTS, event(1, ago(6)), event(2, ago(5)))
    source = opened(database, cursor=["at", "id"], start="now", lag_seconds=30, clock=clock)
    clock.pass_seconds(26)

    assert ids(source.read(READ_SECONDS)) == [1, 2]


def test_where_a_page_of_rows_is_young_a_start_from_now_begins_behind_its_oldest(
    database: Database, opened: Opened, clock: FakeClock
) -> None:
    database.make(EVENTS, event(1, ago(7)), event(2, ago(6)), event(3, ago(5)))
    source = opened(
        *(database,), cursor=["at", "id"], start="now", lag_seconds=30, page_rows=2, clock=clock
    )
    clock.pass_seconds(26)

    assert ids(source.read(READ_SECONDS)) == [3]


def test_the_age_is_told_by_unix_time_as_well(
    database: Database, opened: Opened, clock: FakeClock
) -> None:
    now_ms = clock.ns // 1_000_000
    database.make(EVENTS, event(now_ms - 60_000), event(now_ms - 5_000))
    source = opened(database, cursor=["id"], lag_seconds=30, clock=clock)

    assert ids(source.read(READ_SECONDS)) == [now_ms - 60_000]


def test_a_column_without_a_time_cannot_tell_the_age(database: Database, opened: Opened) -> None:
    database.make(EVENTS, event(1, text="no time"))

    with pytest.raises(SourceRefused, match='lag_seconds: column "text" holds no time'):
        opened(database, cursor=["id"], time_field="text", lag_seconds=1)


# Values

SQLITE_VALUES: list[tuple[str, object]] = [
    ("NULL", None),
    ("1", 1),
    ("9223372036854775807", 2**63 - 1),
    ("0.1", 0.1),
    ("'żółć ☃ ''\"%:x'", "żółć ☃ '\"%:x"),
    ("x'00ff'", "AP8="),
    ("CAST(x'ff41' AS TEXT)", "\\xffA"),
    ("'2026-11-22 12:00:00'", "2026-11-22 12:00:00"),
]
POSTGRES_VALUES: list[tuple[str, object]] = [
    ("NULL::int", None),
    ("true", True),
    ("9223372036854775807", 2**63 - 1),
    ("18446744073709551616::numeric", "18446744073709551616"),
    ("1.10::numeric", "1.10"),
    ("'NaN'::numeric", "NaN"),
    ("0.1::float8", 0.1),
    ("'NaN'::float8", None),
    ("'żółć ☃ ''\"%:x'::text", "żółć ☃ '\"%:x"),
    ("'\\x00ff'::bytea", "AP8="),
    ('\'{"b": [1, null, {"a": 1.5}]}\'::json', {"b": [1, None, {"a": 1.5}]}),
    ("'{\"b\": [1, null]}'::jsonb", {"b": [1, None]}),
    ("'null'::jsonb", None),
    ("ARRAY[1, NULL, 3]", [1, None, 3]),
    ("ARRAY[['a', 'b'], ['c', NULL]]", [["a", "b"], ["c", None]]),
    ("ARRAY[1.10]::numeric[]", ["1.10"]),
    ("ARRAY['2026-11-22']::date[]", ["2026-11-22"]),
    ("ARRAY['1 month']::interval[]", ["1 mon"]),
    ("'2026-11-22'::date", "2026-11-22"),
    ("'2026-11-22 12:00:00.000001'::timestamp", "2026-11-22T12:00:00.000001+00:00"),
    ("'2026-11-22 12:00:00+01'::timestamptz", "2026-11-22T11:00:00+00:00"),
    ("'12:00:00.5'::time", "12:00:00.500000"),
    ("'12:00:00+01'::timetz", "12:00:00+01:00"),
    ("'24:00:00'::time", "24:00:00"),
    ("'infinity'::timestamptz", "infinity"),
    ("'-infinity'::date", "-infinity"),
    ("'0044-03-15 BC'::date", "0044-03-15 BC"),
    ("'294276-01-01'::timestamp", "294276-01-01 00:00:00"),
    ("'1 year 2 months 3 days 04:05:06'::interval", "1 year 2 mons 3 days 04:05:06"),
    ("'00000000-0000-0000-0000-00000000000a'::uuid", "00000000-0000-0000-0000-00000000000a"),
    ("'10.0.0.1'::inet", "10.0.0.1"),
    ("'10.0.0.0/8'::cidr", "10.0.0.0/8"),
    ("int4range(1, 10)", "[1, 10)"),
    ("B'101'", "101"),
    ("'<a>b</a>'::xml", "<a>b</a>"),
    ("ROW(1, 'a')::text", "(1,a)"),
]
MARIADB_VALUES: list[tuple[str, object]] = [
    ("NULL", None),
    ("CAST(18446744073709551615 AS UNSIGNED)", 2**64 - 1),
    ("1.10", "1.10"),
    ("1e-1", 0.1),
    ("'żółć ☃ ''\"%:x'", "żółć ☃ '\"%:x"),
    ("x'00ff'", "AP8="),
    ("DATE '2026-11-22'", "2026-11-22"),
    ("TIMESTAMP '2026-11-22 12:00:00.000001'", "2026-11-22T12:00:00.000001+00:00"),
    ("TIME '26:03:04.5'", "26:03:04.5"),
    ("TIME '-26:03:04'", "-26:03:04"),
    ("JSON_OBJECT('a', 1)", '{"a": 1}'),
]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        pytest.param(kind, *each, id=f"{kind}: {each[0]}")
        for kind, values in zip(
            KINDS, (SQLITE_VALUES, POSTGRES_VALUES, MARIADB_VALUES), strict=True
        )
        for each in values
    ],
)
def test_every_value_can_be_seen_in_the_line(
    servers: Servers, tmp_path: Path, opened: Opened, kind: str, value: str, expected: object
) -> None:
    database = empty_database(kind, servers, tmp_path)
    (row,) = opened(database, query=f"SELECT {value} AS v").read(READ_SECONDS).rows

    assert line(row) == {"v": expected}


def test_mariadb_columns_that_are_no_values_of_expressions(
    mariadb: Database, opened: Opened
) -> None:
    mariadb.execute(
        "SET sql_mode = ''",
        "CREATE TABLE odd (id INT PRIMARY KEY, bits BIT(10), doc JSON, zero DATETIME, y YEAR, e ENUM('a', 'b'))",
        "INSERT INTO odd VALUES (1, b'1000000001', '{\"a\": [1.5, null]}', '0000-00-00', 2026, 'b')",
    )
    (row,) = opened(mariadb, table="odd", cursor=["id"]).read(READ_SECONDS).rows
    zero = "0000-00-00 00:00:00"
    expected = {"id": 1, "bits": 513, "doc": {"a": [1.5, None]}, "zero": zero, "y": 2026, "e": "b"}

    assert line(row) == expected


def test_json_columns_of_a_sqlite_table_are_objects(sqlite: Database, opened: Opened) -> None:
    sqlite.execute("CREATE TABLE docs (id INTEGER PRIMARY KEY, doc JSON, text TEXT)")
    sqlite.execute(
        """INSERT INTO docs VALUES (1, '{"a": [1]}', '{"a": [1]}'), (2, 'no json', '')"""
    )
    rows = opened(sqlite, table="docs", cursor=["id"]).read(READ_SECONDS).rows

    assert [row["doc"] for row in rows] == [{"a": [1]}, "no json"]
    assert rows[0]["text"] == '{"a": [1]}'


def test_a_value_that_python_has_none_for_does_not_change_the_others(
    postgres: Database, opened: Opened
) -> None:
    postgres.execute(
        "CREATE TABLE ends (id int PRIMARY KEY, at timestamptz NOT NULL)",
        "INSERT INTO ends VALUES (1, '2026-11-22 12:00+00'), (2, '2026-11-22 13:00+00'), (3, 'infinity')",
    )
    source = opened(postgres, table="ends", cursor=["id"], page_rows=2)
    batches = [source.read(READ_SECONDS) for _ in range(3)]

    assert [row["at"] for batch in batches for row in batch.rows] == [
        NOON.replace(tzinfo=UTC),
        NOON.replace(hour=13, tzinfo=UTC),
        "infinity",
    ]


def test_rows_with_null_in_the_cursor_are_never_read_and_the_check_counts_them(
    database: Database, opened: Opened
) -> None:
    database.make(EVENTS, event(1, None), event(2), event(3, None))
    source = opened(database, cursor=["at", "id"], page_rows=1)
    _, found = findings(database, cursor=["at", "id"])

    assert [row["id"] for row in read_all(source)] == [2]
    assert found.outcome is Outcome.NOTED
    assert found.text == "2 rows have NULL in at, id: never read"


# Time zones


@pytest.mark.parametrize("month", [1, 7])
def test_times_without_a_zone_get_theirs_and_the_cursor_stays_as_it_was(
    served: Database, opened: Opened, month: int
) -> None:
    at = NOON.replace(month=month)
    served.make(EVENTS, event(1, at))
    batch = opened(served, cursor=["at", "id"], timezone="Europe/Prague").read(READ_SECONDS)

    assert line(batch.rows[0])["at"] == f"{at.isoformat()}+0{1 if month == 1 else 2}:00"
    assert batch.cursor == (at, 1)


def test_text_in_the_time_field_gets_its_zone_too(sqlite: Database, opened: Opened) -> None:
    sqlite.execute(
        "CREATE TABLE texts (id INTEGER PRIMARY KEY, at TEXT, other TEXT)",
        "INSERT INTO texts VALUES (1, '2026-07-01 12:00:00', '2026-07-01 12:00:00')",
    )
    source = opened(
        sqlite, table="texts", cursor=["at", "id"], time_field="at", timezone="Europe/Prague"
    )
    batch = source.read(READ_SECONDS)

    assert line(batch.rows[0]) == {
        "id": 1,
        "at": "2026-07-01T12:00:00+02:00",
        "other": "2026-07-01 12:00:00",
    }
    assert batch.cursor == ("2026-07-01 12:00:00", 1)


def test_times_with_a_zone_mean_the_same_moment_in_any(postgres: Database, opened: Opened) -> None:
    postgres.execute("ALTER ROLE shipper SET TimeZone = 'Asia/Tokyo'")
    query = (
        "SELECT '2026-11-22 12:00:00+00'::timestamptz AS at, current_setting('TimeZone') AS zone"
    )
    (row,) = opened(postgres, query=query, timezone="Europe/Prague").read(READ_SECONDS).rows

    assert line(row) == {"at": "2026-11-22T13:00:00+01:00", "zone": "Europe/Prague"}


def test_mariadb_timestamps_are_utc_whatever_the_server_s_zone_is(
    mariadb: Database, opened: Opened
) -> None:
    mariadb.execute(
        "CREATE TABLE stamps (id INT PRIMARY KEY, at TIMESTAMP(6) NULL, local DATETIME)",
        "SET time_zone = '+05:00'",
        "INSERT INTO stamps VALUES (1, '2026-07-01 17:00:00', '2026-07-01 12:00:00')",
    )
    source = opened(mariadb, table="stamps", cursor=["at", "id"], timezone="Europe/Prague")
    batch = source.read(READ_SECONDS)

    assert line(batch.rows[0]) == {
        "id": 1,
        "at": "2026-07-01T12:00:00+00:00",
        "local": "2026-07-01T12:00:00+02:00",
    }
    assert batch.cursor == (NOON.replace(month=7, day=1), 1)


# Cursors that do not fit


@pytest.mark.parametrize(
    ("cursor", "why"),
    [
        (("x", 1), 'column "id" holds numbers, not text'),
        ((1,), "1 values for 2 columns"),
        ((1, "x", 3), "3 values for 2 columns"),
        ((1, NOON), 'column "text" holds text, not times without a zone'),
    ],
    ids=["type", "short", "long", "second"],
)
def test_a_cursor_of_other_columns_is_refused_and_the_way_out_named(
    database: Database, opened: Opened, cursor: Cursor, why: str
) -> None:
    database.make(EVENTS, event(1, text="a"))

    with pytest.raises(SourceRefused, match=f"{why}.*cursor reset events"):
        opened(database, cursor, cursor=["id", "text"])


def test_a_time_without_a_zone_is_no_cursor_for_times_with_one(
    postgres: Database, opened: Opened
) -> None:
    postgres.execute("CREATE TABLE z AS SELECT 1 AS id, now() AS at")

    with pytest.raises(SourceRefused, match="times with a zone, not times without a zone"):
        opened(postgres, (NOON, 1), table="z", cursor=["at", "id"])


@pytest.mark.parametrize(
    ("kind", "type_name", "text"),
    [("postgresql", "real", "cast it to double"), ("mariadb", "FLOAT", "use DOUBLE")],
    ids=SERVER_KINDS,
)
def test_a_short_float_cannot_be_a_cursor(
    servers: Servers, tmp_path: Path, opened: Opened, kind: str, type_name: str, text: str
) -> None:
    database = empty_database(kind, servers, tmp_path)
    database.execute(f"CREATE TABLE f (x {type_name})")

    with pytest.raises(SourceRefused, match=text):
        opened(database, table="f", cursor=["x"])


def test_a_type_that_is_no_cursor_is_refused(postgres: Database, opened: Opened) -> None:
    postgres.execute("CREATE TABLE n AS SELECT '10.0.0.1'::inet AS address")

    with pytest.raises(SourceRefused, match="type IPv4Address, which cannot be a cursor"):
        opened(postgres, table="n", cursor=["address"])


def test_columns_of_sqlite_may_hold_values_of_several_types(
    sqlite: Database, opened: Opened
) -> None:
    sqlite.execute(
        "CREATE TABLE mixed (k UNIQUE)",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 150) "
        "INSERT INTO mixed SELECT x FROM n",
        "INSERT INTO mixed VALUES ('1'), ('a'), (x'61'), (1.5)",
    )
    rows = [row["k"] for row in one_by_one(sqlite, opened, "mixed", "k", page_rows=19)]

    assert rows == [1, 1.5, *range(2, 151), "1", "a", b"a"]


def test_a_number_that_the_database_cannot_hold_is_an_error_of_the_poll(
    sqlite: Database, opened: Opened
) -> None:
    sqlite.make(EVENTS, event(1))
    source = opened(sqlite, (2**70,), cursor=["id"])

    with pytest.raises(ReadRefused, match="too large"):
        source.read(READ_SECONDS)


def test_a_time_that_python_has_none_for_can_be_a_cursor(
    postgres: Database, opened: Opened
) -> None:
    postgres.execute(
        "CREATE TABLE ends (at timestamptz UNIQUE)",
        "INSERT INTO ends VALUES ('-infinity'), ('0044-03-15 00:00+00 BC'), ('2026-11-22 12:00+00'), ('infinity')",
    )
    rows = [line(row)["at"] for row in one_by_one(postgres, opened, "ends", "at")]

    assert rows == [
        "-infinity",
        "0044-03-15 00:00:00+00 BC",
        "2026-11-22T12:00:00+00:00",
        "infinity",
    ]


def test_one_time_that_python_has_none_for_does_not_keep_the_age_from_being_told(
    postgres: Database, opened: Opened, clock: FakeClock
) -> None:
    postgres.execute("CREATE TABLE ends (id int PRIMARY KEY, at timestamptz)")
    postgres.execute("INSERT INTO ends VALUES (1, 'infinity'), (2, '2026-11-22 11:00+00')")
    source = opened(
        *(postgres,), table="ends", cursor=["id"], time_field="at", lag_seconds=5, clock=clock
    )

    assert ids(source.read(READ_SECONDS)) == [1, 2]


# Servers that go away


def test_a_restart_between_two_reads_goes_unnoticed(served: Database, opened: Opened) -> None:
    served.make(EVENTS, event(1), event(2))
    source = opened(served, cursor=["at", "id"], page_rows=1)
    first = ids(source.read(READ_SECONDS))
    served.server.crash()
    served.server.start()

    assert (first, ids(source.read(READ_SECONDS))) == ([1], [2])


def test_a_crash_loses_nothing_and_repeats_nothing(served: Database, opened: Opened) -> None:
    served.make(EVENTS, *map(event, range(1, 7)))
    source = opened(served, cursor=["at", "id"], page_rows=2)
    before = source.read(READ_SECONDS)
    served.server.crash()
    with pytest.raises(SourceUnavailable):
        source.read(READ_SECONDS)
    with pytest.raises(SourceUnavailable):
        source.open(before.cursor)
    served.server.start()
    source.open(before.cursor)

    assert ids(before) == [1, 2]
    assert [row["id"] for row in read_all(source)] == [3, 4, 5, 6]


def test_a_connection_that_is_killed_is_made_again(served: Database, opened: Opened) -> None:
    served.make(EVENTS, event(1), event(2))
    source = opened(served, cursor=["at", "id"], page_rows=1)
    source.read(READ_SECONDS)
    kill_others(served)

    assert ids(source.read(READ_SECONDS)) == [2]


def kill_others(database: Database) -> None:
    if database.kind == "postgresql":
        database.answer(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shipper'"
        )
        return
    for (thread,) in database.answer(
        "SELECT id FROM information_schema.processlist WHERE user = 'shipper' AND id <> connection_id()"
    ):
        database.execute(f"KILL {thread}")


def test_a_server_that_is_frozen_is_given_up_in_time(served: Database, opened: Opened) -> None:
    served.make(EVENTS, event(1))
    source = opened(served, cursor=["at", "id"])
    source.read(READ_SECONDS)
    with (
        served.server.frozen(),
        measured(at_most_seconds=1.0),
        pytest.raises(SourceTimeout, match="did not answer within 1 s"),
    ):
        source.read(1.0)


def test_many_reads_use_one_connection_and_closing_ends_it(
    served: Database, opened: Opened
) -> None:
    served.make(EVENTS, event(1))
    source = opened(served, cursor=["at", "id"])
    counts = []
    for _ in range(20):
        source.read(READ_SECONDS)
        counts.append(connections(served))
    source.close()

    assert set(counts) == {1}
    until(lambda: connections(served) == 0)


def connections(database: Database) -> int:
    question = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shipper'",
        "mariadb": "SELECT count(*) FROM information_schema.processlist "
        "WHERE user = 'shipper' AND id <> connection_id()",
    }
    ((count,),) = database.answer(question[database.kind])
    return int(count)


# Deadlines

FOREVER = {
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
    "mariadb": "SELECT SLEEP(60) FROM (SELECT 1 UNION SELECT 2) AS two",
}


def test_a_query_that_takes_too_long_is_cancelled_on_the_server(
    database: Database, opened: Opened
) -> None:
    source = opened(database, query=FOREVER[database.kind])
    with measured(at_most_seconds=1.0), pytest.raises(SourceTimeout):
        source.read(1.0)

    if database.kind != "sqlite":
        until(lambda: connections(database) == 0)


def test_a_poll_ends_before_its_worker_would_be_killed(database: Database, opened: Opened) -> None:
    source = opened(database, query=FOREVER[database.kind], timeout_seconds=1)
    with measured(at_most_seconds=0.9), pytest.raises(SourceTimeout):
        source.read(3.0)


def test_rows_that_trickle_in_are_held_to_the_deadline_as_a_whole(
    postgres: Database, opened: Opened
) -> None:
    source = opened(postgres, query="SELECT pg_sleep(0.01) FROM generate_series(1, 10000)")

    with measured(at_most_seconds=1.0), pytest.raises(SourceTimeout):
        source.read(1.0)


def test_after_a_timeout_the_source_can_be_opened_again(database: Database, opened: Opened) -> None:
    source = opened(database, query=FOREVER[database.kind])
    for _ in range(2):
        with pytest.raises(SourceTimeout):
            source.read(0.5)
        source.open()


def test_the_server_knows_the_deadline_and_that_nothing_is_written(
    served: Database, opened: Opened
) -> None:
    query = {
        "postgresql": "SELECT current_setting('statement_timeout') AS deadline, "
        "current_setting('transaction_read_only') AS read_only",
        "mariadb": "SELECT @@max_statement_time AS deadline, @@tx_read_only AS read_only",
    }
    (row,) = opened(served, query=query[served.kind]).read(10.0).rows
    expected = {
        "postgresql": {"deadline": "8s", "read_only": "on"},
        "mariadb": {"deadline": 8.0, "read_only": 1},
    }

    assert row == expected[served.kind]


@pytest.mark.parametrize("statement", ["DELETE FROM events", "DROP TABLE events"])
def test_nothing_can_be_written(database: Database, opened: Opened, statement: str) -> None:
    database.make(EVENTS, event(1))
    source = opened(database, query=statement)
    with pytest.raises((ReadRefused, SourceUnavailable)):
        source.read(READ_SECONDS)

    assert len(database.answer("SELECT * FROM events")) == 1


# What can be asked


@pytest.mark.parametrize(
    ("count", "pieces"),
    [(5, [2, 2, 1]), (4, [2, 2, 0]), (1, [1]), (0, [0])],
    ids=["odd", "even", "less than a page", "empty"],
)
def test_without_a_cursor_every_poll_reads_the_whole_result_in_pieces(
    database: Database, opened: Opened, count: int, pieces: list[int]
) -> None:
    database.make(EVENTS, *map(event, range(count)))
    source = opened(database, page_rows=2)
    for _ in range(2):
        batches = [source.read(READ_SECONDS) for _ in pieces]

        assert [len(batch.rows) for batch in batches] == pieces
        assert [batch.more for batch in batches] == [True] * (len(pieces) - 1) + [False]
        assert {number for batch in batches for number in ids(batch)} == set(range(count))
        assert {batch.cursor for batch in batches} == {None}


def test_the_pieces_of_a_result_are_of_one_moment(served: Database, opened: Opened) -> None:
    served.make(EVENTS, *map(event, range(3000)))
    source = opened(served, query="SELECT * FROM events ORDER BY id", page_rows=1000)
    first = ids(source.read(READ_SECONDS))
    served.execute("UPDATE events SET text = 'changed'")
    rest = read_all_pieces(source)

    assert first + [row["id"] for row in rest] == list(range(3000))
    assert {row["text"] for row in rest} == {None}


def read_all_pieces(source: SqlSource) -> list[Row]:
    rows: list[Row] = []
    for _ in range(MOST_PAGES):
        batch = source.read(READ_SECONDS)
        rows.extend(batch.rows)
        if not batch.more:
            return rows
    raise AssertionError("there is no end to it")


def test_a_result_that_nobody_takes_to_its_end_is_given_up_at_the_deadline(
    database: Database, opened: Opened
) -> None:
    database.make(EVENTS, *(event(number, text="x" * 1000) for number in range(8000)))
    source = opened(database, page_rows=100, timeout_seconds=1.0)
    assert source.read(READ_SECONDS).more
    until(lambda: is_let_go_of(database))
    with pytest.raises(SourceTimeout, match="did not answer within"):
        read_all_pieces(source)
    source.open()

    assert source.read(READ_SECONDS).more


def is_let_go_of(database: Database) -> bool:
    """Whether nobody is connected to the server, or nobody reads the file."""
    if database.kind != "sqlite":
        return connections(database) == 0
    try:
        with database.engine.connect() as writer:
            writer.exec_driver_sql("PRAGMA busy_timeout = 1")
            writer.exec_driver_sql("BEGIN EXCLUSIVE")
    except sa.exc.OperationalError:
        return False
    return True


def test_a_result_that_is_left_in_the_middle_leaves_nothing_behind(
    served: Database, opened: Opened
) -> None:
    served.make(EVENTS, *(event(number, text="x" * 1000) for number in range(5000)))
    source = opened(served, page_rows=100)
    source.read(READ_SECONDS)
    source.close()
    until(lambda: connections(served) == 0)
    source.open()

    assert len(read_all_pieces(source)) == 5000


@pytest.mark.parametrize("odd", [1, 3], ids=["first piece", "second piece"])
def test_a_value_that_python_has_none_for_is_read_by_the_next_poll_at_the_latest(
    postgres: Database, opened: Opened, odd: int
) -> None:
    postgres.execute(
        "CREATE TABLE ends AS SELECT n, now() AS at FROM generate_series(1, 4) AS n",
        f"UPDATE ends SET at = 'infinity' WHERE n = {odd}",  # noqa: S608 - a number
    )
    source = opened(postgres, query="SELECT * FROM ends ORDER BY n", page_rows=2)
    if odd == 3:
        source.read(READ_SECONDS)
        with pytest.raises(ReadRefused, match="infinity"):
            source.read(READ_SECONDS)
    rows = read_all_pieces(source)

    assert [row["n"] for row in rows if row["at"] == "infinity"] == [odd]
    assert len(rows) == 4


@pytest.mark.parametrize(
    "written", [{"cursor": ["id"]}, {}], ids=["with a cursor", "without a cursor"]
)
def test_only_a_page_is_in_memory(
    database: Database, opened: Opened, written: dict[str, Any]
) -> None:
    database.make(EVENTS, *(event(number, text="x" * 1000) for number in range(1, 20_001)))
    source = opened(database, page_rows=1000, **written)
    source.read(READ_SECONDS)
    tracemalloc.start()
    try:
        source.read(READ_SECONDS)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # A page is 1 MB and the table 20 MB.
    assert peak_bytes < 5_000_000


SHOW: dict[str, tuple[str, dict[str, object]]] = {
    "sqlite": ("PRAGMA page_size", {"page_size": 4096}),
    "postgresql": ("SHOW server_encoding", {"server_encoding": "UTF8"}),
    "mariadb": ("SHOW VARIABLES LIKE 'port'", {"Variable_name": "port"}),
}


def test_without_a_cursor_any_statement_that_returns_rows_will_do(
    database: Database, opened: Opened
) -> None:
    query, expected = SHOW[database.kind]
    (row,) = opened(database, query=query).read(READ_SECONDS).rows

    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM events;",
        "SELECT * FROM events -- the newest",
        "SELECT id, text FROM events WHERE text LIKE '%:b%' ORDER BY id DESC",
        "WITH e AS (SELECT * FROM events) SELECT * FROM e",
        "\n  SELECT id, ':a' AS text, '%s %(x)s' AS p FROM events\n;\n",
    ],
    ids=["semicolon", "comment", "percent", "with", "parameters"],
)
def test_queries_are_taken_as_they_are(database: Database, opened: Opened, query: str) -> None:
    database.make(EVENTS, event(1, text="a :b c"), event(2, text="100% :b"))
    source = opened(database, query=query, cursor=["id"], page_rows=1)

    assert [row["id"] for row in read_all(source)] == [1, 2]


def test_names_that_want_quotes(database: Database, opened: Opened) -> None:
    names = ("select", "two words", "per%cent", 'quo"te', "co:lon", "Capital")
    odd = sa.Table(
        "order by",
        sa.MetaData(),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in names),
    )
    rows = [dict.fromkeys(names, number) for number in range(3)]
    with database.engine.begin() as connection:
        odd.create(connection)
        for number in range(3):
            connection.execute(odd.insert().values([number] * len(names)))
    source = opened(database, table="order by", cursor=list(names), page_rows=2)

    assert read_all(source) == rows


def test_a_table_of_another_schema(postgres: Database, opened: Opened) -> None:
    postgres.execute("CREATE SCHEMA plant", "CREATE TABLE plant.pumps AS SELECT 7 AS id")

    assert ids(opened(postgres, table="plant.pumps", cursor=["id"]).read(READ_SECONDS)) == [7]


def test_a_table_of_another_database_on_the_server(mariadb: Database, opened: Opened) -> None:
    mariadb.execute(
        "CREATE DATABASE IF NOT EXISTS `other plant`",
        "CREATE OR REPLACE TABLE `other plant`.Pumps AS SELECT 7 AS id, '[1]' AS doc",
    )

    source = opened(mariadb, table="other plant.Pumps", cursor=["ID"])
    batch = source.read(READ_SECONDS)

    assert ids(batch) == [7]
    assert batch.cursor == (7,)


def test_a_view_is_read_like_a_table(database: Database, opened: Opened) -> None:
    database.make(EVENTS, *map(event, range(5)))
    database.execute("CREATE VIEW late AS SELECT id, at FROM events WHERE id > 1")
    rows = read_all(opened(database, table="late", cursor=["at", "id"], page_rows=2))
    database.execute("DROP VIEW late")

    assert [row["id"] for row in rows] == [2, 3, 4]


def test_capitals_do_not_matter_where_they_do_not_to_the_database(
    sqlite: Database, opened: Opened
) -> None:
    sqlite.make(EVENTS, event(1))
    batch = opened(sqlite, cursor=["AT", "ID"]).read(READ_SECONDS)

    assert batch.cursor is not None
    assert batch.cursor[1] == 1


def test_columns_of_the_same_name_are_told_apart(postgres: Database, opened: Opened) -> None:
    (row,) = opened(postgres, query="SELECT 1 AS a, 2 AS a, 3 AS a").read(READ_SECONDS).rows

    assert row == {"a": 1, "a_2": 2, "a_3": 3}


# What goes wrong


def test_a_table_that_is_away_for_a_while_is_an_error_of_the_poll(
    database: Database, opened: Opened
) -> None:
    database.make(EVENTS, event(1))
    source = opened(database, cursor=["id"])
    source.read(READ_SECONDS)
    database.execute("DROP TABLE events")
    with pytest.raises(ReadRefused, match="events"):
        source.read(READ_SECONDS)
    database.make(EVENTS, event(1), event(2))

    assert ids(source.read(READ_SECONDS)) == [2]


def test_a_table_that_is_not_there_is_unavailable(database: Database) -> None:
    with pytest.raises(SourceUnavailable, match="events"):
        source_to(database, cursor=["id"]).open()


def test_a_wrong_password_is_unavailable_and_not_shown(served: Database) -> None:
    url = served.url.replace("s3cret", "wr0ng")
    source = SqlSource(entry_to(served, url=url, cursor=["id"]).reading("events"))
    with pytest.raises(SourceUnavailable) as raised:
        source.open()

    assert "wr0ng" not in str(raised.value)
    assert "shipper" in str(raised.value)


def test_a_table_that_may_not_be_read_is_unavailable_and_the_check_names_the_way_out(
    served: Database,
) -> None:
    served.make(EVENTS, event(1))
    guest = as_guest(served)
    source = source_to(guest, cursor=["id"])
    with pytest.raises(SourceUnavailable, match="denied"):
        source.open()
    connection, entry = findings(guest, cursor=["id"])

    assert connection.outcome is Outcome.PASSED
    assert entry.outcome is Outcome.FAILED
    assert entry.hint == "GRANT SELECT on it to the user"


def as_guest(database: Database) -> Database:
    """Return the same database for a user who may log in, and no more."""
    made = {
        "postgresql": (
            "DROP ROLE IF EXISTS guest",
            f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'",
            "GRANT USAGE ON SCHEMA public TO guest",
        ),
        "mariadb": (
            f"CREATE OR REPLACE USER guest@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
            "GRANT CREATE ON shared.* TO guest@'127.0.0.1'",
        ),
    }
    database.server.execute(*made[database.kind])
    return Database(database.kind, database.url.replace("//shipper:", "//guest:"))


def test_a_lock_is_waited_for_and_then_an_error_of_the_poll(
    sqlite: Database, opened: Opened
) -> None:
    sqlite.make(EVENTS, event(1))
    source = opened(sqlite, cursor=["id"])
    with sqlite.engine.connect() as writer:
        writer.exec_driver_sql("BEGIN EXCLUSIVE")
        with measured(at_most_seconds=1.0), pytest.raises(ReadRefused, match="locked"):
            source.read(1.0)

    assert ids(source.read(READ_SECONDS)) == [1]


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.write_text("not a database, " * 100)

    with pytest.raises(SourceUnavailable, match="not a database"):
        source_to(Database("sqlite", f"sqlite:///{path}"), cursor=["id"]).open()


# Startup checks


def test_the_checks_pass_and_say_what_they_found(database: Database) -> None:
    database.make(EVENTS, event(1))
    version = {"sqlite": "SQLite 3.", "postgresql": "PostgreSQL ", "mariadb": "MariaDB 1"}
    connection, entry = findings(database, cursor=["at", "id"], start="now", lag_seconds=5)

    assert connection.outcome is Outcome.PASSED
    assert connection.text.startswith(version[database.kind])
    assert "s3cret" not in connection.text
    assert entry.outcome is Outcome.PASSED
    assert entry.text == (
        "events has 3 columns and is read by at, id; the first start begins with what comes from "
        "then on; rows wait until at is 5 s ago"
    )


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({"table": "event"}, "event"),
        ({"query": "SELEC 1"}, "SELEC"),
        ({"cursor": ["att", "id"]}, 'there is no column "att"; did you mean "at"?'),
        ({"cursor": ["id"], "time_field": "when", "lag_seconds": 1}, 'no column "when"'),
    ],
    ids=["table", "query", "cursor", "time field"],
)
def test_what_cannot_be_read_is_found_out(
    database: Database, written: dict[str, Any], text: str
) -> None:
    database.make(EVENTS, event(1))
    _, entry = findings(database, **written)

    assert entry.outcome is Outcome.FAILED
    assert text in entry.text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({"cursor": ["text", "id"]}, "no index begins with text: every page sorts the whole table"),
        ({"cursor": ["at"]}, "nothing makes at unique"),
        ({"cursor": ["id"], "label_fields": ["txt"]}, 'no column is called "txt"; did you mean'),
        ({"cursor": ["id"], "omit_fields": ["txt"]}, 'no column is called "txt"; did you mean'),
    ],
    ids=["index", "unique", "field", "omitted field"],
)
def test_what_is_not_as_it_should_be_is_noted(
    database: Database, written: dict[str, Any], text: str
) -> None:
    database.make(EVENTS, event(1, text="a"))
    _, entry = findings(database, **written)

    assert entry.outcome is Outcome.NOTED
    assert text in entry.text


def test_a_view_has_no_keys_to_remark_on(database: Database) -> None:
    database.make(EVENTS, event(1))
    database.execute("CREATE VIEW v AS SELECT * FROM events")
    _, entry = findings(database, table="v", cursor=["at", "id"])
    database.execute("DROP VIEW v")

    assert entry.outcome is Outcome.PASSED


def test_a_server_that_is_away_is_found_out_with_a_hint(served: Database) -> None:
    served.server.crash()
    found = findings(served, cursor=["id"])
    served.server.start()

    assert [each.outcome for each in found] == [Outcome.FAILED] * 2
    assert "does a server listen there?" in found[0].hint


def test_a_check_keeps_within_its_deadline(served: Database) -> None:
    entry = entry_to(served, query=FOREVER[served.kind])
    _, check = entry.checks(None, {"events": entry})
    with measured(at_most_seconds=1.0):
        found = check.attempt(1.0)

    assert found.outcome is Outcome.FAILED
    assert "did not answer within" in found.text
