"""The table of files as the pysmurf monitor of 2021 had it, made where it is missing and taken over where it is.

Beside it: where each file belongs in an archive, and an index by which a row is found that was written before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from shipper.store.errors import StoreUnavailable

revision = "files_0001"
down_revision = None
branch_labels = ("files",)

MD5 = sa.LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb")
FLAG = sa.SmallInteger().with_variant(mysql.TINYINT(1), "mysql", "mariadb")

FILES, REMOTE = "pysmurf_files_v1", "pysmurf_remote_v1"
COLUMNS = (
    *("id", "path", "action", "timestamp", "action_timestamp", "format", "plot", "site", "pub_id"),
    *("instance_id", "copied", "failed_copy_attempts", "md5sum", "pysmurf_version"),
    "socs_version",
)
IDENTITY = ["md5sum", "timestamp"]


def upgrade() -> None:
    """Make what is missing."""
    found = sa.inspect(op.get_bind()).get_table_names()
    if FILES in found:
        _take_over()
    else:
        _make_files()
    if IDENTITY not in [each["column_names"] for each in _inspector().get_indexes(FILES)]:
        op.create_index("ix_pysmurf_files_v1_md5sum", FILES, IDENTITY)
    if REMOTE not in found:
        _make_remote()


def downgrade() -> None:
    """Leave everything where it is: the table and its rows may be the monitor's."""


def _take_over() -> None:
    there = {column["name"] for column in _inspector().get_columns(FILES)}
    missing = [column for column in COLUMNS if column not in there]
    if missing:
        raise StoreUnavailable(
            f"there is a table {FILES} already, and it is another one: it has no column {missing[0]}; "
            "give Shipper a database or a schema of its own",
            reason="other_tables",
        )
    if "script_id" not in there:  # nor has the description that the monitor came with
        op.add_column(FILES, sa.Column("script_id", sa.String(32)))


def _make_files() -> None:
    op.create_table(
        FILES,
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("path", sa.String(260), nullable=False),
        sa.Column("action", sa.String(32)),
        sa.Column("timestamp", sa.TIMESTAMP(), nullable=True, server_default=sa.text("NULL")),
        sa.Column("action_timestamp", sa.Integer()),
        sa.Column("format", sa.String(32)),
        sa.Column("plot", FLAG),
        sa.Column("site", sa.String(32)),
        sa.Column("pub_id", sa.String(32)),
        sa.Column("script_id", sa.String(32)),
        sa.Column("instance_id", sa.String(32)),
        sa.Column("copied", FLAG),
        sa.Column("failed_copy_attempts", sa.Integer()),
        sa.Column("md5sum", MD5, nullable=False),
        sa.Column("pysmurf_version", sa.String(64)),
        sa.Column("socs_version", sa.String(64)),
    )


def _make_remote() -> None:
    op.create_table(
        REMOTE,
        sa.Column(
            "file_id",
            sa.Integer(),
            sa.ForeignKey(f"{FILES}.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("archive_name", sa.String(32), nullable=False),
        sa.Column("remote_path", sa.String(1024), nullable=False),
        sa.Column("deletable", FLAG, nullable=False),
    )


def _inspector() -> sa.Inspector:
    return sa.inspect(op.get_bind())
