"""The tables of jobs, as the newest migration leaves them; columns are called as the old facility called them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from shipper.store.moment import Moment

NAME_CHARACTERS = 255
"""MariaDB needs a length for what is in a key."""

SOLITARY, ARRAY = 1, 3
"""What `kin` of a process says."""

NO_INDEX = -1
"""The index of the only job of a solitary process, where a number must stand."""

NAME = sa.String().with_variant(sa.String(NAME_CHARACTERS), "mysql", "mariadb")
TEXT = sa.String().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

METADATA = sa.MetaData()

tasks = sa.Table(
    "tasks",
    METADATA,
    sa.Column("name", NAME, primary_key=True),
    sa.Column("username", TEXT),
    sa.Column("emailNotify", TEXT),
    sa.Column("comment", TEXT),
    sa.Column("submittedAt", Moment, index=True),
    sa.Column("submHostIP", TEXT),
    sa.Column("hostname", TEXT),
    sa.Column("depGraph", TEXT),
    sa.Column("config", TEXT),
)

tags = sa.Table("tags", METADATA, sa.Column("name", NAME, primary_key=True))

tag_associations = sa.Table(
    "tag_associations",
    METADATA,
    sa.Column("task_name", NAME, sa.ForeignKey("tasks.name")),
    sa.Column("tag_name", NAME, sa.ForeignKey("tags.name")),
    sa.Index("tag_associations_unique", "task_name", "tag_name", unique=True),
    sa.Index("tag_associations_tag", "tag_name"),
)

processes = sa.Table(
    "processes",
    METADATA,
    sa.Column("name", NAME, primary_key=True),
    sa.Column("taskID", NAME, sa.ForeignKey("tasks.name"), primary_key=True),
    sa.Column("thresholdProgress", sa.Integer),
    sa.Column("kin", sa.Integer),
    sa.Index("processes_task", "taskID"),
)

arrays = sa.Table(
    "arrays",
    METADATA,
    sa.Column("name", NAME, primary_key=True),
    sa.Column("taskID", NAME, primary_key=True),
    sa.Column("nJobs", sa.Integer, nullable=False),
    sa.Column("fTolerance", sa.Integer),
    sa.ForeignKeyConstraint(["name", "taskID"], ["processes.name", "processes.taskID"]),
)


def _event_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("sentAt", Moment),
        sa.Column("recievedAt", Moment),
        sa.Column("payload", TEXT),
        sa.Column("progress", sa.Integer),
        sa.Column("eventClass", NAME),
        sa.Column("hostname", TEXT),
        sa.Column("clientIP", TEXT),
        sa.Column("procNumInArray", sa.Integer),
        sa.Column("procID", NAME),
        sa.Column("taskID", NAME),
    ]


events = sa.Table(
    "events",
    METADATA,
    sa.Column("id", NUMBER, primary_key=True),
    *_event_columns(),
    sa.ForeignKeyConstraint(["procID", "taskID"], ["processes.name", "processes.taskID"]),
    sa.Index("events_job", "taskID", "procID", "procNumInArray"),
    sa.Index("events_class", "taskID", "procID", "eventClass"),
    # An id that was given must not be given again: it is how far the events are shipped.
    sqlite_autoincrement=True,
)

departed_events = sa.Table(
    "departed_events",
    METADATA,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=False),
    *_event_columns(),
)
"""Events of deleted tasks that are not shipped yet."""

incarnation = sa.Table(
    "jobs_incarnation", METADATA, sa.Column("name", sa.String(32), primary_key=True)
)
"""In its only row what these tables are called, which no others are."""

job_states = sa.Table(
    "job_states",
    METADATA,
    sa.Column("taskID", NAME, primary_key=True),
    sa.Column("procID", NAME, primary_key=True),
    sa.Column("jobIndex", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("lastEventID", NUMBER, nullable=False),
    sa.Column("lastEventClass", NAME),
    sa.Column("lastAt", Moment),
    sa.Column("outcome", sa.String(8)),
    sa.Column("hasDone", sa.Integer, nullable=False),
    sa.Column("progress", sa.Integer, nullable=False),
    sa.Column("latestProgress", sa.Integer, nullable=False),
    sa.Index("job_states_outcome", "outcome"),
)
"""What the events of every job come to, so that nobody has to read all of them to know."""
