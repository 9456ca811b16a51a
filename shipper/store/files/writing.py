"""Writes rows of files, each once: what was written before is recognised by publisher, path, time and MD5."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from shipper import __version__
from shipper.store.files.announced import AnnouncedFile
from shipper.store.files.remote import RemoteFile
from shipper.store.files.tables import files, remote_files

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

LOOKED_UP_TOGETHER = 500

Identity = tuple[object, ...]
"""Publisher, path, time and MD5."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row that can be written.

    Attributes:
        file: What the publisher said.
        md5: The 16 bytes of the file's MD5.
        remote: Its place in an archive; `None` when it has none.
        site: First part of the address of whoever listens.
        instance_id: Second part of it.
    """

    file: AnnouncedFile
    md5: bytes
    remote: RemoteFile | None
    site: str
    instance_id: str

    @property
    def timestamp(self) -> datetime:
        """When the file was made, UTC without a zone."""
        return datetime.fromtimestamp(self.file.unix_seconds, UTC).replace(tzinfo=None)

    @property
    def identity(self) -> Identity:
        """What no two rows share that are written here."""
        return (self.file.pub_id, self.file.path, self.timestamp, self.md5)


def write_rows(connection: Connection, rows: Sequence[FileRow]) -> None:
    """Write those rows that are not there yet, within the transaction of the caller."""
    written = {
        identity
        for start in range(0, len(rows), LOOKED_UP_TOGETHER)
        for identity in _written(connection, rows[start : start + LOOKED_UP_TOGETHER])
    }
    for row in rows:
        if row.identity not in written:
            written.add(row.identity)
            _insert(connection, row)


def _written(connection: Connection, rows: Sequence[FileRow]) -> Iterator[Identity]:
    """Yield the identities of rows that are there and may be among these.

    They are compared here and not by the database, to which `A` and `a` may be the same.
    """
    found = connection.execute(
        sa.select(files.c.pub_id, files.c.path, files.c.timestamp, files.c.md5sum).where(
            files.c.md5sum.in_({row.md5 for row in rows}),
            files.c.timestamp.in_({row.timestamp for row in rows}),
        )
    )
    for pub_id, path, timestamp, md5 in found:
        yield (pub_id, path, timestamp, bytes(md5))


def _insert(connection: Connection, row: FileRow) -> None:
    inserted = connection.execute(files.insert().values(_columns(row)))
    if row.remote is None or inserted.inserted_primary_key is None:
        return
    connection.execute(
        remote_files.insert().values(
            file_id=inserted.inserted_primary_key[0],
            archive_name=row.remote.archive_name,
            remote_path=row.remote.path,
            deletable=int(row.remote.deletable),
        )
    )


def _columns(row: FileRow) -> dict[str, object]:
    file = row.file
    return {
        "path": file.path,
        "action": file.action,
        "timestamp": row.timestamp,
        "action_timestamp": file.action_unix_seconds,
        "format": file.format,
        "plot": None if file.plot is None else int(file.plot),
        "site": row.site,
        "pub_id": file.pub_id,
        "script_id": file.script_id,
        "instance_id": row.instance_id,
        "copied": 0,
        "failed_copy_attempts": 0,
        "md5sum": row.md5,
        "pysmurf_version": file.pysmurf_version,
        "socs_version": f"shipper {__version__}",
    }
