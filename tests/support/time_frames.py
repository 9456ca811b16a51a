"""Time Frames in a database of the test's own, as a client would have left them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from shipper.store.database import Database
from shipper.store.exchange.totals import reckon
from shipper.store.timeframes.tables import time_frames
from shipper.store.versions import upgrade

CREATED_AT = datetime(2025, 7, 31, 12, 0, 0, 250_000, tzinfo=UTC)
RECEIVED_AT = datetime(2025, 7, 31, 12, 0, 1, tzinfo=UTC)


def sqlite_url(folder: Path, name: str = "fastmon_client.db") -> URL:
    """Return where an SQLite database in a folder is."""
    return URL.create("sqlite", database=str(folder / name))


def time_frame(file_id: str, run_number: int = 1, **more: Any) -> dict[str, Any]:
    """Return a row of `tf_metadata`."""
    return {
        "file_id": file_id,
        "run_number": run_number,
        "tf_number": 7,
        "file_url": f"file:///data/{file_id}.tf",
        "file_size_bytes": 1024 * 1024,
        "checksum": "0cc1",
        "status": "registered",
        "created_at": CREATED_AT,
        "received_at": RECEIVED_AT,
        "metadata_json": "{}",
        **more,
    }


def keep(url: URL, *rows: Mapping[str, Any]) -> None:
    """Make the tables if need be, and put rows into them."""
    upgrade(url, "tf")
    with closing(Database(url)) as database, database.writing() as connection:
        for row in rows:
            connection.execute(time_frames.insert(), row)
        reckon(connection, {int(row["run_number"]) for row in rows})


def kept(url: URL, table: sa.Table) -> Sequence[tuple[Any, ...]]:
    """Return all rows of a table, in the order of its first column."""
    first = next(iter(table.columns))
    with closing(Database(url)) as database, database.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.select(table).order_by(first))]
