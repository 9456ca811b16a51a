"""Writes thousands of rows with one statement, past what SQLAlchemy does with each of their values.

SQLAlchemy 2.1 takes 20 us to look at the ten values of a row, which is longer than SQLite takes to store them. psycopg
3.3 sends row by row, or takes 100 us for a row in arrays; a document of JSON costs neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def upsert(
    connection: Connection,
    columns: Sequence[sa.Column[Any]],
    rows: Sequence[Sequence[object]],
    *,
    key: str,
    overwritten: Sequence[str],
) -> None:
    """Insert rows, or overwrite some columns of those that are there.

    Args:
        connection: In a transaction.
        columns: What the values of a row are, in their order; all of one table.
        rows: The values of every row.
        key: The unique column by which a row is found.
        overwritten: The columns that get a new value in a row that is there.
    """
    table = columns[0].table
    match connection.dialect.name:
        case "postgresql":
            _upsert_document(connection, table, columns, rows, key, overwritten)
        case "sqlite":
            lite = sqlite.insert(table)
            changed = _of(lite.excluded, overwritten)
            statement = lite.on_conflict_do_update(index_elements=[key], set_=changed)
            _execute_many(connection, statement, columns, rows)
        case _:
            maria = mysql.insert(table)
            changed = _of(maria.inserted, overwritten)
            _execute_many(connection, maria.on_duplicate_key_update(changed), columns, rows)


def _upsert_document(
    connection: Connection,
    table: Any,  # noqa: ANN401 - a column does not say that its table is one
    columns: Sequence[sa.Column[Any]],
    rows: Sequence[Sequence[object]],
    key: str,
    overwritten: Sequence[str],
) -> None:
    names = [str(column.name) for column in columns]
    document = sa.cast(sa.bindparam("rows", type_=sa.Text()), postgresql.JSON)
    typed = (sa.column(column.name, column.type) for column in columns)
    given = sa.func.json_to_recordset(document).table_valued(*typed)
    insert = postgresql.insert(table).from_select(
        names, sa.select(given.render_derived(with_types=True))
    )
    statement = insert.on_conflict_do_update(
        index_elements=[key], set_=_of(insert.excluded, overwritten)
    )
    named = [dict(zip(names, row, strict=True)) for row in rows]
    connection.execute(statement, {"rows": orjson.dumps(named).decode()})


def _execute_many(
    connection: Connection,
    statement: sa.Insert,
    columns: Sequence[sa.Column[Any]],
    rows: Sequence[Sequence[object]],
) -> None:
    dialect = connection.dialect
    names = [column.name for column in columns]
    compiled: Any = statement.compile(dialect=dialect, column_keys=names)
    values = dict(zip(names, zip(*rows, strict=True), strict=True))
    for column in columns:
        change = column.type.dialect_impl(dialect).bind_processor(dialect)
        if change is not None:
            values[column.name] = tuple(map(change, values[column.name]))
    order = compiled.positiontup or names
    parameters: Any = list(zip(*(values[name] for name in order), strict=True))
    if compiled.positiontup is None:
        parameters = [dict(zip(names, row, strict=True)) for row in parameters]
    connection.exec_driver_sql(str(compiled), parameters)


def _of(columns: Any, names: Sequence[str]) -> dict[str, Any]:  # noqa: ANN401 - a collection of SQLAlchemy's
    return {name: columns[name] for name in names}
