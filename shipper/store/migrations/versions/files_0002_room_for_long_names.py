"""Room for every path that can be opened and for longer names, and a time that stays as it was written.

MariaDB before 10.10, and MySQL before 8.0.2, give the first TIMESTAMP of a table the present time whenever a row
changes, unless the column says NULL.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "files_0002"
down_revision = "files_0001"
branch_labels = None

FILES = "pysmurf_files_v1"
NAME = "VARCHAR(255)"
WIDE = {
    "path": "VARCHAR(4096)",
    "action": NAME,
    "format": NAME,
    "site": NAME,
    "pub_id": NAME,
    "script_id": NAME,
    "instance_id": NAME,
}


def upgrade() -> None:
    """Widen the columns; SQLite keeps any length in any of them."""
    match op.get_bind().dialect.name:
        case "sqlite":
            return
        case "postgresql":
            changes: Sequence[str] = [
                f"ALTER COLUMN {column} TYPE {form}" for column, form in WIDE.items()
            ]
        case _:
            changes = [
                *(f"MODIFY {column} {form} {_null(column)}" for column, form in WIDE.items()),
                "MODIFY `timestamp` TIMESTAMP NULL DEFAULT NULL",
            ]
    # One statement, because each would write all rows anew.
    op.execute(sa.text(f"ALTER TABLE {FILES} {', '.join(changes)}"))


def downgrade() -> None:
    """Leave the columns as wide as they are: what is in them might not fit."""


def _null(column: str) -> str:
    return "NOT NULL" if column == "path" else "NULL"
