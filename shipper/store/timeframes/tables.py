"""The tables `runs` and `tf_metadata`, as the newest migration leaves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect

from shipper.store.timeframes.limits import FILE_ID_CHARACTERS

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


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


METADATA = sa.MetaData()

runs = sa.Table(
    "runs",
    METADATA,
    sa.Column("run_number", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("start_time", Moment, nullable=False),
    sa.Column("end_time", Moment),
    sa.Column("total_tfs", NUMBER, nullable=False),
    sa.Column("run_conditions", LONG_TEXT),
    sa.Column("total_size_bytes", sa.BigInteger, nullable=False, server_default="0"),
)

time_frames = sa.Table(
    "tf_metadata",
    METADATA,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column(
        "file_id",
        sa.Text().with_variant(sa.String(FILE_ID_CHARACTERS), "mysql", "mariadb"),
        nullable=False,
        unique=True,
    ),
    sa.Column("run_number", NUMBER, nullable=False),
    sa.Column("tf_number", NUMBER),
    sa.Column("file_url", LONG_TEXT),
    sa.Column("file_size_bytes", NUMBER),
    sa.Column("checksum", LONG_TEXT),
    sa.Column("status", LONG_TEXT),
    sa.Column("created_at", Moment, index=True),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("metadata_json", LONG_TEXT),
    sa.Index("tf_metadata_run_number_created_at", "run_number", "created_at"),
)
