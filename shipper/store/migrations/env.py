"""What Alembic runs: one branch, over the connection and within the transaction of the caller."""

from __future__ import annotations

from alembic import context

_given = context.config.attributes

context.configure(
    connection=_given["connection"],
    version_table=_given["version_table"],
    compare_type=True,
)
context.run_migrations()
