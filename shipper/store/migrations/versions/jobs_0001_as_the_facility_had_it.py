"""The tables as the old monitoring facility had them: made where they are missing, taken over where they are."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from shipper.store.errors import StoreUnavailable

revision = "jobs_0001"
down_revision = None
branch_labels = ("jobs",)

MOMENT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TEXT = sa.String().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")

COLUMNS = {
    "tasks": (
        *("name", "username", "emailNotify", "comment", "submittedAt"),
        *("submHostIP", "hostname", "depGraph", "config"),
    ),
    "tags": ("name",),
    "tag_associations": ("task_name", "tag_name"),
    "processes": ("name", "taskID", "thresholdProgress", "kin"),
    "arrays": ("name", "taskID", "nJobs", "fTolerance"),
    "events": (
        *("id", "sentAt", "recievedAt", "payload", "progress", "eventClass"),
        *("hostname", "clientIP", "procNumInArray", "procID", "taskID"),
    ),
}
"""In an order in which they can be made."""


def upgrade() -> None:
    """Make what is missing."""
    found = sa.inspect(op.get_bind()).get_table_names()
    for table, columns in COLUMNS.items():
        if table in found:
            _see_that_it_is_theirs(table, columns)
    name = name_type()
    for table in COLUMNS:
        if table not in found:
            _MAKERS[table](name)


def downgrade() -> None:
    """Leave everything where it is: the tables and their rows may be the facility's."""


def name_type() -> sa.types.TypeEngine[str]:
    """Return the type of names: MariaDB needs a length, and would else ignore case and blanks at the end."""
    dialect = op.get_bind().dialect
    if dialect.name not in {"mysql", "mariadb"}:
        return sa.String()
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return mysql.VARCHAR(255, charset="utf8mb4", collation=collation)


def _see_that_it_is_theirs(table: str, wanted: Sequence[str]) -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    missing = [column for column in wanted if column not in there]
    if missing:
        raise StoreUnavailable(
            f"there is a table {table} already, and it is another one: it has no column {missing[0]}; "
            "give Shipper a database or a schema of its own",
            reason="other_tables",
        )


def _make_tasks(name: sa.types.TypeEngine[str]) -> None:
    op.create_table(
        "tasks",
        sa.Column("name", name, primary_key=True),
        sa.Column("username", TEXT),
        sa.Column("emailNotify", TEXT),
        sa.Column("comment", TEXT),
        sa.Column("submittedAt", MOMENT),
        sa.Column("submHostIP", TEXT),
        sa.Column("hostname", TEXT),
        sa.Column("depGraph", TEXT),
        sa.Column("config", TEXT),
    )


def _make_tags(name: sa.types.TypeEngine[str]) -> None:
    op.create_table("tags", sa.Column("name", name, primary_key=True))


def _make_tag_associations(name: sa.types.TypeEngine[str]) -> None:
    op.create_table(
        "tag_associations",
        sa.Column("task_name", name, sa.ForeignKey("tasks.name")),
        sa.Column("tag_name", name, sa.ForeignKey("tags.name")),
    )


def _make_processes(name: sa.types.TypeEngine[str]) -> None:
    op.create_table(
        "processes",
        sa.Column("name", name, primary_key=True),
        sa.Column("taskID", name, sa.ForeignKey("tasks.name"), primary_key=True),
        sa.Column("thresholdProgress", sa.Integer()),
        sa.Column("kin", sa.Integer()),
    )


def _make_arrays(name: sa.types.TypeEngine[str]) -> None:
    op.create_table(
        "arrays",
        sa.Column("name", name, primary_key=True),
        sa.Column("taskID", name, primary_key=True),
        sa.Column("nJobs", sa.Integer(), nullable=False),
        sa.Column("fTolerance", sa.Integer()),
        sa.ForeignKeyConstraint(["name", "taskID"], ["processes.name", "processes.taskID"]),
    )


def _make_events(name: sa.types.TypeEngine[str]) -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "events",
        sa.Column("id", number, sa.Identity(), primary_key=True),
        sa.Column("sentAt", MOMENT),
        sa.Column("recievedAt", MOMENT),
        sa.Column("payload", TEXT),
        sa.Column("progress", sa.Integer()),
        sa.Column("eventClass", name),
        sa.Column("hostname", TEXT),
        sa.Column("clientIP", TEXT),
        sa.Column("procNumInArray", sa.Integer()),
        sa.Column("procID", name),
        sa.Column("taskID", name),
        sa.ForeignKeyConstraint(["procID", "taskID"], ["processes.name", "processes.taskID"]),
        sqlite_autoincrement=True,
    )


_MAKERS = {
    "tasks": _make_tasks,
    "tags": _make_tags,
    "tag_associations": _make_tag_associations,
    "processes": _make_processes,
    "arrays": _make_arrays,
    "events": _make_events,
}
