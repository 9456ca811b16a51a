"""A column type for moments, the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect


class Moment(sa.types.TypeDecorator[datetime]):
    """A moment in UTC. Where the database knows no zones it has none there, and in SQLite it is text."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """Return the column's type."""
        match dialect.name:
            case "sqlite":
                # What SQLAlchemy does for times in SQLite takes as long as SQLite does for the row.
                return dialect.type_descriptor(sa.String())
            case "postgresql":
                return dialect.type_descriptor(sa.DateTime(timezone=True))
            case _:
                return dialect.type_descriptor(mysql.DATETIME(fsp=6))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Return what the driver gets."""
        if value is None or dialect.name == "postgresql":
            return value
        moment = value.astimezone(UTC)
        if dialect.name == "sqlite":
            return moment.isoformat(" ", "microseconds").removesuffix("+00:00")
        return moment.replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401
        """Return what we get."""
        del dialect
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
