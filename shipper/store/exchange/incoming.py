"""Brings rows back into a table, within one transaction of the caller; to bring the same rows again changes nothing.

A row that is there by its key is made like the one that comes, and keeps its number. A row whose number another one has
gets a new number, so that what two clients have kept can be brought together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from shipper.core.errors import ConfigError
from shipper.store.errors import RowsRefused
from shipper.store.exchange.columns import Value, Values
from shipper.store.exchange.states import reckon_states
from shipper.store.exchange.subjects import Subject
from shipper.store.exchange.totals import reckon
from shipper.store.verdict import verdict

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

PART_ROWS = 1000

Fields = dict[str, Value]


@dataclass(slots=True)
class Arrived:
    """What became of the rows that came.

    Attributes:
        added: How many are new.
        overwritten: How many were there.
        renumbered: How many of the new ones have another number than they came with.
        runs: The runs whose totals may have changed.
    """

    added: int = 0
    overwritten: int = 0
    renumbered: int = 0
    runs: set[int] = field(default_factory=set)


def bring_in(
    connection: Connection, subject: Subject, rows: Iterable[tuple[int, Values]], where: str
) -> Iterator[Arrived]:
    """Write rows, and yield what has become of them after every part; at the end totals and states are right.

    Args:
        connection: In a transaction; nobody else writes meanwhile.
        subject: The table.
        rows: Each with its place in the file, which is told when the database refuses it.
        where: What the file is called.

    Raises:
        ConfigError: The database refuses a row.
    """
    names = [column.name for column in subject.columns]
    arrived = Arrived()
    rest = iter(rows)
    while part := list(islice(rest, PART_ROWS)):
        fields = [dict(zip(names, values, strict=True)) for _, values in part]
        try:
            _write(connection, subject, fields, arrived)
        except DBAPIError as error:
            refusal = verdict(error, connection.engine.url)
            if not isinstance(refusal, RowsRefused):
                raise
            place = f"{where}: a row between {part[0][0]} and {part[-1][0]}"
            raise ConfigError(f"{place} is refused by the database: {refusal}") from error
        yield arrived
    _let_numbers_go_on(connection, subject)
    reckon(connection, arrived.runs)
    if subject.branch == "jobs":
        reckon_states(connection, where)


def _write(
    connection: Connection, subject: Subject, rows: Sequence[Fields], arrived: Arrived
) -> None:
    # Where one thing stands in a file twice, the last says what it is.
    newest = {row[subject.key]: _writable(row, subject) for row in rows}
    there = _there(connection, subject, list(newest))
    if "run_number" in subject.table.c:
        arrived.runs |= {number for number in there.values() if number is not None}
        arrived.runs |= {int(str(row["run_number"])) for row in rows}
    _overwrite(connection, subject, [row for key, row in newest.items() if key in there])
    new = [row for key, row in newest.items() if key not in there]
    arrived.renumbered += _add(connection, subject, new)
    arrived.overwritten += len(there)
    arrived.added += len(new)


def _writable(row: Fields, subject: Subject) -> Fields:
    """Return a row as it is written: what is derived is reckoned afterwards."""
    return {**row, **dict.fromkeys(subject.derived, 0)}


def _there(
    connection: Connection, subject: Subject, keys: Sequence[Value]
) -> Mapping[Value, int | None]:
    """Return the keys that are there, each with the run that its row belongs to."""
    columns = subject.table.c
    run = columns.run_number if "run_number" in columns else sa.null()
    key = columns[subject.key]
    found = connection.execute(sa.select(key, run).where(key.in_(keys)))
    return {row[0]: row[1] for row in found}


def _overwrite(connection: Connection, subject: Subject, rows: Sequence[Fields]) -> None:
    if not rows:
        return
    kept = {subject.key, subject.order, *subject.derived}
    values: dict[str, sa.BindParameter[Value]] = {
        name: sa.bindparam(f"new_{name}") for name in rows[0] if name not in kept
    }
    statement = subject.table.update().values(values)
    connection.execute(
        statement.where(subject.table.c[subject.key] == sa.bindparam("that")),
        [
            {"that": row[subject.key], **{f"new_{name}": row[name] for name in values}}
            for row in rows
        ],
    )


def _add(connection: Connection, subject: Subject, rows: Sequence[Fields]) -> int:
    """Insert rows, and return how many could not have the number that they came with."""
    order = subject.order
    if subject.key == order:
        if rows:
            connection.execute(subject.table.insert(), rows)
        return 0
    taken = _taken(connection, subject, [row[order] for row in rows])
    numbered: dict[Value, Fields] = {}
    unnumbered: list[Fields] = []
    renumbered = 0
    for row in rows:
        number = row[order]
        if number is None or number in taken or number in numbered:
            unnumbered.append({name: value for name, value in row.items() if name != order})
            renumbered += number is not None
        else:
            numbered[number] = row
    if numbered:
        connection.execute(subject.table.insert(), list(numbered.values()))
    if unnumbered:
        _let_numbers_go_on(connection, subject)
        connection.execute(subject.table.insert(), unnumbered)
    return renumbered


def _taken(
    connection: Connection, subject: Subject, numbers: Collection[Value]
) -> Collection[Value]:
    order = subject.table.c[subject.order]
    return set(connection.scalars(sa.select(order).where(order.in_(numbers))))


def _let_numbers_go_on(connection: Connection, subject: Subject) -> None:
    """Let PostgreSQL number new rows behind those that came with a number; the others do so by themselves."""
    order = subject.table.c[subject.order]
    if connection.dialect.name != "postgresql":
        return
    sequence = connection.scalar(
        sa.select(sa.func.pg_get_serial_sequence(subject.table.name, order.name))
    )
    if sequence is not None:
        highest = sa.select(sa.func.max(order)).scalar_subquery()
        connection.execute(sa.select(sa.func.setval(sequence, highest)))
