"""Brings the states of jobs to what their events say, and sees that events have a process they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from shipper.core.errors import ConfigError
from shipper.store.jobs.tables import events, processes
from shipper.store.jobs.writing_events import rebuild_states

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def reckon_states(connection: Connection, where: str) -> None:
    """Reckon the states of all jobs anew.

    Raises:
        ConfigError: An event is of a process that is not there; SQLite does not mind.
    """
    together = (processes.c.taskID == events.c.taskID) & (processes.c.name == events.c.procID)
    orphan = connection.execute(
        sa.select(events.c.id, events.c.taskID, events.c.procID)
        .outerjoin(processes, together)
        .where(processes.c.name.is_(None))
        .limit(1)
    ).one_or_none()
    if orphan is not None:
        raise ConfigError(
            f"{where}: event {orphan.id} is of the process {orphan.procID} of the task {orphan.taskID}, "
            "which is not there: create the task first"
        )
    rebuild_states(connection)
