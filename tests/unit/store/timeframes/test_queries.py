"""Questions are answered by indexes: what SQLite plans for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url

from shipper.store import versions
from shipper.store.database import Database
from shipper.store.timeframes import queries


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    url = make_url(f"sqlite:///{tmp_path / 'store.db'}")
    versions.upgrade(url, "tf")
    database = Database(url)
    with database.reading() as connection:
        yield connection
    database.close()


@pytest.mark.parametrize(
    "question",
    [
        queries.overview,
        queries.reports,
        lambda connection: queries.run(connection, 7),
        queries.newest_id,
        lambda connection: queries.kept_since(connection, 7),
    ],
    ids=["overview", "reports", "run", "newest id", "kept since"],
)
def test_no_question_reads_a_whole_table(
    connection: Connection, question: Callable[[Connection], object]
) -> None:
    asked: list[tuple[str, object]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    sa.event.listen(connection, "before_cursor_execute", note)
    question(connection)
    sa.event.remove(connection, "before_cursor_execute", note)
    ((statement, parameters),) = asked
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
    steps = [row[3] for row in plan]

    assert [step for step in steps if "SCAN tf_metadata" in step and "USING" not in step] == []
    assert [step for step in steps if "SCAN tf_metadata USING COVERING INDEX" in step] == []


def test_an_empty_database_has_empty_answers(connection: Connection) -> None:
    assert queries.overview(connection) == []
    assert queries.run(connection, 0) is None
    assert queries.newest_id(connection) == 0
    assert queries.kept_since(connection, 0) == []
    assert queries.reports(connection) == []
    assert queries.by_status(connection, 0) == {}
    assert queries.rate(connection, 0) is None
