"""Looks into a spool, and changes its checkpoint, without a worker."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from shipper.core.clock import Clock
from shipper.core.errors import StartupError
from shipper.pipeline.cursors import CursorUnreadable, read_cursor
from shipper.pipeline.spool.database import VERSION, SpoolDamaged, SpoolUnusable
from shipper.pipeline.spool.rows import CHECKPOINT, Checkpoint, Rows, is_whole_checkpoint
from shipper.pipeline.spool.salvage import set_torn_log_aside


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Return the checkpoint in a spool, also while a worker writes to it; nothing is made or changed.

    Raises:
        CursorUnreadable: There is one, and it makes no sense.
        StartupError: The file cannot be read.
    """
    try:
        with closing(_opened_to_read(path)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise StartupError(f"{path} was written by a later version of Shipper")
            rows = connection.execute(CHECKPOINT).fetchall() if version else []
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise StartupError(f"{path} cannot be read: {error}") from None
    for row in rows:
        if not is_whole_checkpoint(row):
            raise CursorUnreadable("the checksum is wrong")
        kind, text, set_ns, _ = row
        return Checkpoint(kind, read_cursor(text), set_ns)
    return None


def lines_left(path: Path) -> Mapping[str, int]:
    """Return how many lines wait in a spool, by the sink they wait for; nothing is made or changed.

    Raises:
        StartupError: The file cannot be read.
    """
    try:
        with closing(_opened_to_read(path)) as connection:
            return dict(connection.execute("SELECT sink, lines FROM totals ORDER BY sink"))
    except sqlite3.Error as error:
        raise StartupError(f"{path} cannot be read: {error}") from None


def write_checkpoint(path: Path, checkpoint: Checkpoint | None, clock: Clock) -> Path | None:
    """Remember a checkpoint, or none; return where the end of the log is, in case it was torn.

    The spool must be claimed.

    Raises:
        StartupError: It cannot be written.
    """
    torn = set_torn_log_aside(path, clock)
    rows = Rows(path)
    try:
        rows.set_checkpoint(checkpoint)
    except SpoolDamaged as error:
        hint = "a run sets the damaged part aside; try again after it"
        raise StartupError(f"{path} is damaged ({error}): {hint}") from None
    except SpoolUnusable as error:
        raise StartupError(str(error)) from None
    finally:
        rows.database.close()
    return torn


def _opened_to_read(path: Path) -> sqlite3.Connection:
    # Without a log nobody has the file open, and SQLite, which would make an empty log, is told that nobody will.
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)
