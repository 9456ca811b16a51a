"""What a database tells about a table's keys, through SQLAlchemy's reflection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from shipper.sources.sql.session import Turn
from shipper.store.address import with_driver


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one table; names are in small letters.

    Attributes:
        nullable: Columns that may be NULL.
        indexes: The columns of every index, in its order.
        unique: Sets of columns that are different in every row.
    """

    nullable: frozenset[str]
    indexes: Sequence[tuple[str, ...]]
    unique: Sequence[frozenset[str]]


def keys_of(turn: Turn, url: URL, table: str, schema: str | None) -> Keys | None:
    """Return the keys of a table; `None` for a view, or where the database does not tell."""
    # Never disposed of: the connection is the turn's. SQLAlchemy ends its transaction, so let it be the last question.
    reflecting = sa.create_engine(
        with_driver(url), creator=lambda: turn.connection, poolclass=StaticPool
    )
    try:
        inspector = sa.inspect(reflecting)
        if table not in inspector.get_table_names(schema):
            return None
        return _keys(inspector, table, schema)
    except SQLAlchemyError:
        # Nothing depends on it but remarks, and whatever reads the table has succeeded.
        return None


def _keys(inspector: sa.Inspector, table: str, schema: str | None) -> Keys:
    primary = _names(inspector.get_pk_constraint(table, schema)["constrained_columns"])
    indexes = inspector.get_indexes(table, schema)
    rules = inspector.get_unique_constraints(table, schema)
    unique = [
        primary,
        *(_names(index["column_names"]) for index in indexes if index["unique"]),
        *(_names(rule["column_names"]) for rule in rules),
    ]
    columns = inspector.get_columns(table, schema)
    return Keys(
        nullable=frozenset(each["name"].casefold() for each in columns if each["nullable"]),
        indexes=[primary, *(_names(index["column_names"]) for index in indexes)],
        unique=[frozenset(names) for names in unique if names],
    )


def _names(columns: Sequence[str | None]) -> tuple[str, ...]:
    # An expression in an index has no name.
    return tuple((name or "").casefold() for name in columns)
