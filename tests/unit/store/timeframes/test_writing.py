"""Batches of Time Frames leave the tables as if they had come one after the other."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection, make_url

from shipper.store import versions
from shipper.store.database import Database
from shipper.store.errors import RowsRefused
from shipper.store.timeframes import queries
from shipper.store.timeframes.table_set import TimeFrames
from shipper.store.timeframes.tables import runs, time_frames
from tests.unit.store.timeframes.messages import RECEIVED_NS, arrival, message

RULES = TimeFrames(log=logging.getLogger("writing under test"))

Rows = Sequence[Sequence[Any]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = make_url(f"sqlite:///{tmp_path / 'store.db'}")
    versions.upgrade(url, "tf")
    opened = Database(url)
    yield opened
    opened.close()


def write(database: Database, *messages: dict[str, Any]) -> None:
    """Write messages in one batch; each is received a second after the one before."""
    (readied,) = RULES.ready(
        [
            arrival(each, index, RECEIVED_NS + each.get("second", index) * 10**9)
            for index, each in enumerate(messages)
        ]
    )
    with database.writing() as connection:
        RULES.write(connection, readied.rows)


def everything(database: Database) -> tuple[Rows, Rows]:
    """Return all rows; ids without their gaps."""
    with database.reading() as connection:
        found = connection.execute(sa.select(time_frames).order_by(time_frames.c.id)).all()
        of_runs = connection.execute(sa.select(runs).order_by(runs.c.run_number)).all()
    return [tuple(row)[1:] for row in found], [tuple(row) for row in of_runs]


def totals(database: Database) -> dict[int, tuple[int, int]]:
    with database.reading() as connection:
        return {
            line.run_number: (line.total_tfs, line.total_size_bytes)
            for line in queries.overview(connection, 100)
        }


@contextmanager
def statements(connection: Connection) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement.partition(" ")[0])

    sa.event.listen(connection, "before_cursor_execute", note)
    yield seen
    sa.event.remove(connection, "before_cursor_execute", note)


def test_of_several_records_of_a_file_the_last_wins_and_the_first_tells_when_it_was_received(
    database: Database,
) -> None:
    write(
        database,
        message(status="registered", run_number=1, file_size_bytes=1),
        message(status="processing", run_number=2, file_size_bytes=10),
        message(status="done", run_number=2, file_size_bytes=100),
    )
    (row,), _ = everything(database)

    assert totals(database) == {1: (0, 0), 2: (1, 100)}
    assert row[6] == "done"
    assert row[8].timestamp() == pytest.approx(RECEIVED_NS / 1e9, abs=1e-5)


def test_a_run_begins_when_its_first_file_is_received_and_keeps_that(database: Database) -> None:
    write(database, message(second=5))
    write(database, message(file_id="earlier", second=0))
    with database.reading() as connection:
        (line,) = queries.overview(connection)

    assert line.start_time.timestamp() == pytest.approx(RECEIVED_NS / 1e9 + 5, abs=1e-5)


def test_what_is_not_told_again_becomes_null(database: Database) -> None:
    write(database, message())
    write(database, {"file_id": "tf-000123", "run_number": 12345})

    assert totals(database) == {12345: (1, 0)}


def test_a_thousand_records_take_a_handful_of_statements(database: Database) -> None:
    (readied,) = RULES.ready(
        [arrival(message(file_id=f"{at}", run_number=at % 5), at) for at in range(1000)]
    )
    with database.writing() as connection, statements(connection) as seen:
        RULES.write(connection, readied.rows)

    assert seen == ["SELECT", "SELECT", "INSERT", "UPDATE", "INSERT"]


def test_records_that_were_written_before_cause_no_writing(database: Database) -> None:
    (readied,) = RULES.ready([arrival(message(file_id=f"{at}"), at) for at in range(10)])
    with database.writing() as connection:
        RULES.write(connection, readied.rows)
    with database.writing() as connection, statements(connection) as seen:
        RULES.write(connection, readied.rows)

    assert seen == ["SELECT", "SELECT"]


def test_a_run_whose_row_somebody_deleted_is_made_again(database: Database) -> None:
    write(database, message())
    with database.writing() as connection:
        connection.execute(runs.delete())
    write(database, message(file_id="next", file_size_bytes=3))

    assert totals(database) == {12345: (1, 3)}


def test_sizes_beyond_64_bits_are_refused_together(database: Database) -> None:
    with pytest.raises(RowsRefused):
        write(
            database,
            message(file_id="a", file_size_bytes=2**63 - 1),
            message(file_id="b", file_size_bytes=2**63 - 1),
        )
    assert totals(database) == {}


def test_sizes_beyond_64_bits_one_after_the_other_are_refused(database: Database) -> None:
    write(database, message(file_id="a", file_size_bytes=2**63 - 1))

    with pytest.raises(RowsRefused):
        write(database, message(file_id="b", file_size_bytes=2**63 - 1))
    assert totals(database) == {12345: (1, 2**63 - 1)}


MESSAGES = st.builds(
    message,
    file_id=st.sampled_from("abcd"),
    run_number=st.sampled_from([0, 1, 2]),
    file_size_bytes=st.sampled_from([None, 0, 5, 2**40]),
    status=st.sampled_from(["registered", "done"]),
    second=st.integers(0, 1000),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(st.lists(MESSAGES, min_size=1, max_size=6), max_size=5))
def test_batches_have_the_effect_of_records_one_after_the_other(
    database: Database, batches: list[list[dict[str, Any]]]
) -> None:
    outcomes = []
    for parts in (batches, [[each] for batch in batches for each in batch]):
        with database.writing() as connection:
            connection.execute(time_frames.delete())
            connection.execute(runs.delete())
        for part in parts:
            write(database, *part)
        outcomes.append(everything(database))

    assert outcomes[0] == outcomes[1]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(st.lists(MESSAGES, min_size=1, max_size=6), min_size=1, max_size=5))
def test_totals_are_always_what_a_count_would_find(
    database: Database, batches: list[list[dict[str, Any]]]
) -> None:
    for batch in batches:
        write(database, *batch)
    with database.reading() as connection:
        counted = {
            kept.run_number: (kept.tfs, kept.size_bytes)
            for kept in queries.kept_since(connection, 0)
        }

    assert {number: total for number, total in totals(database).items() if total[0]} == counted
