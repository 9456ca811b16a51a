"""Numbers of 64 bits, a size for every run, exact totals, and the index that `status` needs.

What one step of it did is found out before it is tried again: MariaDB keeps a half-done migration.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "tf_0002"
down_revision = "tf_0001"
branch_labels = None

WIDE = {
    "runs": {"run_number": "NOT NULL", "total_tfs": "NOT NULL"},
    "tf_metadata": {
        "id": "NOT NULL",
        "run_number": "NOT NULL",
        "tf_number": "NULL",
        "file_size_bytes": "NULL",
    },
}

BY_RUN = "tf_metadata_run_number"
BY_RUN_AND_TIME = "tf_metadata_run_number_created_at"
BY_FILE = "tf_metadata_file_id"
ONE_SIZE = "total_size_bytes"

RUNS = sa.table(
    "runs",
    *(sa.column(name) for name in ("run_number", "start_time", "total_tfs", ONE_SIZE)),
)
TFS = sa.table(
    "tf_metadata",
    *(sa.column(name) for name in ("run_number", "file_size_bytes", "received_at")),
)


def upgrade() -> None:
    """Bring the tables to the mended shape, and all totals to what the rows say."""
    _widen()
    _add_size()
    if not _index_on("file_id", unique=True):
        op.create_index(BY_FILE, "tf_metadata", ["file_id"], unique=True)
    if not _index_on("run_number", "created_at"):
        op.create_index(BY_RUN_AND_TIME, "tf_metadata", ["run_number", "created_at"])
    for name in _index_on("run_number"):
        op.drop_index(name, "tf_metadata")
    _add_missing_runs()
    _count()


def downgrade() -> None:
    """Bring back the shape that the client knew. Numbers stay as wide as they are: they might not fit."""
    if not _index_on("run_number"):
        op.create_index(BY_RUN, "tf_metadata", ["run_number"])
    for name in _index_on("run_number", "created_at"):
        op.drop_index(name, "tf_metadata")
    if ONE_SIZE in _columns("runs"):
        op.drop_column("runs", ONE_SIZE)


def _widen() -> None:
    """Make integers as wide as sizes are; SQLite's are."""
    dialect = op.get_bind().dialect.name
    for table, columns in WIDE.items():
        types = {column["name"]: column["type"] for column in _described(table)}
        narrow = [name for name in columns if not isinstance(types[name], sa.BigInteger)]
        if not narrow or dialect == "sqlite":
            continue
        # One statement, because each would write all rows anew.
        op.execute(
            f"ALTER TABLE {table} " + ", ".join(_change(dialect, table, name) for name in narrow)
        )
        if dialect == "postgresql" and "id" in narrow:
            _widen_sequence()


def _change(dialect: str, table: str, column: str) -> str:
    if dialect == "postgresql":
        return f"ALTER COLUMN {column} TYPE BIGINT"
    numbered = " AUTO_INCREMENT" if column == "id" else ""
    return f"MODIFY {column} BIGINT {WIDE[table][column]}{numbered}"


def _widen_sequence() -> None:
    """Let ids of PostgreSQL go on beyond 2^31; those of an identity column do already."""
    sequence = op.get_bind().scalar(sa.select(sa.func.pg_get_serial_sequence("tf_metadata", "id")))
    if sequence is not None:
        op.execute(f"ALTER SEQUENCE {sequence} AS BIGINT")


def _add_size() -> None:
    if ONE_SIZE in _columns("runs"):
        return
    # SQLite makes a float of a sum that does not fit into 64 bits, where the others object.
    only_whole = "typeof(total_size_bytes) = 'integer'"
    check = [sa.CheckConstraint(only_whole)] if op.get_bind().dialect.name == "sqlite" else []
    op.add_column(
        "runs",
        sa.Column(ONE_SIZE, sa.BigInteger(), *check, nullable=False, server_default="0"),
    )


def _add_missing_runs() -> None:
    """Make the rows that the client did not: it took run 0 for none."""
    absent = ~sa.exists().where(RUNS.c.run_number == TFS.c.run_number)
    first = sa.func.min(TFS.c.received_at)
    zero: sa.ColumnElement[int] = sa.literal_column("0")
    found = sa.select(TFS.c.run_number, first, zero, zero).where(absent).group_by(TFS.c.run_number)
    op.execute(
        RUNS.insert().from_select(["run_number", "start_time", "total_tfs", ONE_SIZE], found)
    )


def _count() -> None:
    """Bring all totals to what the rows say: the client left them wrong where a file changed its run."""
    total = sa.func.coalesce(sa.func.sum(TFS.c.file_size_bytes), 0)
    counted = op.get_bind().execute(
        sa.select(TFS.c.run_number, sa.func.count(), total).group_by(TFS.c.run_number)
    )
    op.execute(RUNS.update().values(total_tfs=0, total_size_bytes=0))
    for run_number, tfs, size in counted.all():
        op.execute(
            RUNS.update()
            .where(RUNS.c.run_number == run_number)
            .values(total_tfs=tfs, total_size_bytes=int(size))
        )


def _index_on(*columns: str, unique: bool = False) -> Sequence[str]:
    """Return the names of the indexes, or constraints, on exactly these columns; the client's have names of Django."""
    inspector = sa.inspect(op.get_bind())
    indexes = inspector.get_indexes("tf_metadata")
    named = [
        str(index["name"])
        for index in indexes
        if list(index["column_names"]) == list(columns) and index["unique"] >= unique
    ]
    constraints = inspector.get_unique_constraints("tf_metadata")
    return named + [
        str(each["name"]) for each in constraints if unique and each["column_names"] == [*columns]
    ]


def _columns(table: str) -> set[str]:
    return {column["name"] for column in _described(table)}


def _described(table: str) -> Sequence[sa.engine.interfaces.ReflectedColumn]:
    return sa.inspect(op.get_bind()).get_columns(table)
