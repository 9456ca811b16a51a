"""Indexes, tags that a task has once, times with their zone, ids that are never given again, and states of jobs.

What one step of it did is found out before it is tried again: MariaDB keeps a half-done migration.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "jobs_0002"
down_revision = "jobs_0001"
branch_labels = None

MOMENT = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TEXT = sa.String().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TIMES = {"tasks": ("submittedAt",), "events": ("sentAt", "recievedAt")}

INDEXES = (
    ("ix_tasks_submittedAt", "tasks", ["submittedAt"], False),
    ("tag_associations_unique", "tag_associations", ["task_name", "tag_name"], True),
    ("tag_associations_tag", "tag_associations", ["tag_name"], False),
    ("processes_task", "processes", ["taskID"], False),
    ("events_job", "events", ["taskID", "procID", "procNumInArray"], False),
    ("events_class", "events", ["taskID", "procID", "eventClass"], False),
)

ASSOCIATIONS = sa.table("tag_associations", sa.column("task_name"), sa.column("tag_name"))
EVENTS = sa.table(
    "events",
    *map(
        sa.column,
        ("id", "taskID", "procID", "procNumInArray", "eventClass", "recievedAt", "progress"),
    ),
)
STATES = sa.table(
    "job_states",
    *map(
        sa.column,
        (
            *("taskID", "procID", "jobIndex", "events", "lastEventID", "lastEventClass", "lastAt"),
            *("outcome", "hasDone", "progress", "latestProgress"),
        ),
    ),
)
NO_INDEX = -1
WELL, ENDED = ("DONE", "FINISHED"), ("DONE", "FINISHED", "TERMINATED", "FAILED")


def upgrade() -> None:
    """Bring the tables to the mended shape."""
    match op.get_bind().dialect.name:
        case "sqlite":
            _let_ids_be_given_once()
        case "postgresql":
            _give_times_a_zone()
            _widen_ids()
        case _:
            _widen_ids_of_mariadb()
    _leave_one_of_each_tag()
    for name, table, columns, unique in INDEXES:
        if name not in _indexes(table):
            op.create_index(name, table, columns, unique=unique)
    there = sa.inspect(op.get_bind()).get_table_names()
    if "departed_events" not in there:
        _make_departed_events()
    if "jobs_incarnation" not in there:
        _make_incarnation()
    if "job_states" not in there:
        _make_job_states()
    _fill_job_states()


def downgrade() -> None:
    """Bring back the shape that the facility knew. Times keep their zone, and ids are as wide as they are."""
    there = sa.inspect(op.get_bind()).get_table_names()
    for table in ("job_states", "jobs_incarnation", "departed_events"):
        if table in there:
            op.drop_table(table)
    for name, table, _, _ in INDEXES:
        # MariaDB wants an index for every foreign key, and takes ours for it.
        if name in _indexes(table) and not _is_mariadb():
            op.drop_index(name, table)


def _let_ids_be_given_once() -> None:
    """Rebuild the events of SQLite where an id could be given again once the newest event is deleted."""
    made = op.get_bind().scalar(
        sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'events'")
    )
    if "AUTOINCREMENT" in str(made).upper():
        return
    with op.batch_alter_table(
        "events", recreate="always", table_kwargs={"sqlite_autoincrement": True}
    ):
        pass


def _give_times_a_zone() -> None:
    """The facility wrote UTC without saying so."""
    for table, columns in TIMES.items():
        types = {column["name"]: column["type"] for column in _described(table)}
        changes = [
            f'ALTER COLUMN "{name}" TYPE TIMESTAMP WITH TIME ZONE USING "{name}" AT TIME ZONE \'UTC\''
            for name in columns
            if not getattr(types[name], "timezone", False)
        ]
        if changes:
            # One statement, because each would write all rows anew.
            op.execute(f"ALTER TABLE {table} {', '.join(changes)}")


def _widen_ids() -> None:
    types = {column["name"]: column["type"] for column in _described("events")}
    if isinstance(types["id"], sa.BigInteger):
        return
    op.execute("ALTER TABLE events ALTER COLUMN id TYPE BIGINT")
    sequence = op.get_bind().scalar(sa.select(sa.func.pg_get_serial_sequence("events", "id")))
    if sequence is not None:
        op.execute(f"ALTER SEQUENCE {sequence} AS BIGINT")


def _widen_ids_of_mariadb() -> None:
    types = {column["name"]: column["type"] for column in _described("events")}
    if not isinstance(types["id"], sa.BigInteger):
        op.execute("ALTER TABLE events MODIFY id BIGINT NOT NULL AUTO_INCREMENT")


def _leave_one_of_each_tag() -> None:
    """Throw away associations that are there twice, which nothing hindered."""
    columns = ASSOCIATIONS.c
    connection = op.get_bind()
    twice = connection.execute(
        sa.select(columns.task_name, columns.tag_name)
        .group_by(columns.task_name, columns.tag_name)
        .having(sa.func.count() > 1)
    ).all()
    for task, tag in twice:
        connection.execute(
            ASSOCIATIONS.delete().where(columns.task_name == task, columns.tag_name == tag)
        )
        connection.execute(ASSOCIATIONS.insert().values(task_name=task, tag_name=tag))


def _make_departed_events() -> None:
    name = _name_type()
    op.create_table(
        "departed_events",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=False),
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
    )


def _make_incarnation() -> None:
    """Give these tables a name of their own: a place among the events of others means nothing here."""
    made = op.create_table("jobs_incarnation", sa.Column("name", sa.String(32), primary_key=True))
    op.bulk_insert(made, [{"name": uuid4().hex}])


def _make_job_states() -> None:
    name = _name_type()
    op.create_table(
        "job_states",
        sa.Column("taskID", name, primary_key=True),
        sa.Column("procID", name, primary_key=True),
        sa.Column("jobIndex", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("lastEventID", NUMBER, nullable=False),
        sa.Column("lastEventClass", name),
        sa.Column("lastAt", MOMENT),
        sa.Column("outcome", sa.String(8)),
        sa.Column("hasDone", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("latestProgress", sa.Integer(), nullable=False),
    )
    op.create_index("job_states_outcome", "job_states", ["outcome"])


def _fill_job_states() -> None:
    """Reckon what the events of every job come to."""
    columns = EVENTS.c
    carried = sa.func.coalesce(columns.progress, 0)
    index = sa.func.coalesce(columns.procNumInArray, sa.literal_column(str(NO_INDEX)))
    jobs = (
        sa.select(
            columns.taskID,
            columns.procID,
            index.label("jobIndex"),
            sa.func.count().label("events"),
            sa.func.max(columns.id).label("newest"),
            sa.func.max(sa.case((columns.eventClass.in_(ENDED), columns.id))).label("decisive"),
            sa.func.max(sa.case((carried > 0, columns.id))).label("telling"),
            sa.func.max(sa.case((columns.eventClass.in_(WELL), 1), else_=0)).label("hasDone"),
            sa.func.max(sa.case((carried > 0, carried), else_=0)).label("progress"),
        )
        .where(columns.taskID.is_not(None), columns.procID.is_not(None))
        .group_by(columns.taskID, columns.procID, index)
        .subquery()
    )
    newest, decisive, telling = (EVENTS.alias(name) for name in ("newest", "decisive", "telling"))
    failed = decisive.c.eventClass == "FAILED"
    found = (
        sa.select(
            *(jobs.c.taskID, jobs.c.procID, jobs.c.jobIndex, jobs.c.events, jobs.c.newest),
            *(newest.c.eventClass, newest.c.recievedAt),
            sa.case((failed, "FAILED"), (decisive.c.id.is_not(None), "DONE")),
            *(jobs.c.hasDone, jobs.c.progress, sa.func.coalesce(telling.c.progress, 0)),
        )
        .join_from(jobs, newest, newest.c.id == jobs.c.newest)
        .outerjoin(decisive, decisive.c.id == jobs.c.decisive)
        .outerjoin(telling, telling.c.id == jobs.c.telling)
    )
    op.execute(STATES.delete())
    op.execute(STATES.insert().from_select([column.name for column in STATES.columns], found))


def _name_type() -> sa.types.TypeEngine[str]:
    """Return the type of names: MariaDB needs a length, and would else ignore case and blanks at the end."""
    dialect = op.get_bind().dialect
    if not _is_mariadb():
        return sa.String()
    collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return mysql.VARCHAR(255, charset="utf8mb4", collation=collation)


def _is_mariadb() -> bool:
    return op.get_bind().dialect.name in {"mysql", "mariadb"}


def _indexes(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}


def _described(table: str) -> Sequence[sa.engine.interfaces.ReflectedColumn]:
    return sa.inspect(op.get_bind()).get_columns(table)
