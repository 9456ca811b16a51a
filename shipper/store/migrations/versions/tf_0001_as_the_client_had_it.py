"""The tables as the Time Frame client had them: made where they are missing, taken over where they are."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from shipper.store.errors import StoreUnavailable

revision = "tf_0001"
down_revision = None
branch_labels = ("tf",)

MOMENT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")

COLUMNS = {
    "runs": ("run_number", "start_time", "end_time", "total_tfs", "run_conditions"),
    "tf_metadata": (
        *("id", "file_id", "run_number", "tf_number", "file_url", "file_size_bytes"),
        *("checksum", "status", "created_at", "received_at", "metadata_json"),
    ),
}


def upgrade() -> None:
    """Make what is missing."""
    found = sa.inspect(op.get_bind()).get_table_names()
    for table, columns in COLUMNS.items():
        if table in found:
            _see_that_it_is_theirs(table, columns)
    if "runs" not in found:
        _make_runs()
    if "tf_metadata" not in found:
        _make_tf_metadata()


def downgrade() -> None:
    """Leave everything where it is: the tables and their rows may be the client's."""


def _see_that_it_is_theirs(table: str, wanted: Sequence[str]) -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    missing = [column for column in wanted if column not in there]
    if missing:
        raise StoreUnavailable(
            f"there is a table {table} already, and it is another one: it has no column {missing[0]}; "
            "give Shipper a database or a schema of its own",
            reason="other_tables",
        )


def _make_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("start_time", MOMENT, nullable=False),
        sa.Column("end_time", MOMENT),
        sa.Column("total_tfs", sa.Integer(), nullable=False),
        sa.Column("run_conditions", LONG_TEXT),
    )


def _make_tf_metadata() -> None:
    op.create_table(
        "tf_metadata",
        sa.Column("id", sa.Integer(), sa.Identity(), primary_key=True),
        sa.Column("file_id", _file_id(), nullable=False, unique=True),
        sa.Column("run_number", sa.Integer(), nullable=False, index=True),
        sa.Column("tf_number", sa.Integer()),
        sa.Column("file_url", LONG_TEXT),
        sa.Column("file_size_bytes", sa.Integer()),
        sa.Column("checksum", LONG_TEXT),
        sa.Column("status", LONG_TEXT),
        sa.Column("created_at", MOMENT, index=True),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("metadata_json", LONG_TEXT),
        sqlite_autoincrement=True,
    )


def _file_id() -> sa.types.TypeEngine[str]:
    """Return its type: MariaDB needs a length for a unique one, and would else ignore case and blanks at the end."""
    dialect = op.get_bind().dialect
    if dialect.name not in {"mysql", "mariadb"}:
        return sa.Text()
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return mysql.VARCHAR(255, charset="utf8mb4", collation=collation)
