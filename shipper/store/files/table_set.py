"""The table set `pysmurf_files_v1`: every file that a pysmurf publisher announces, with its MD5."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from shipper.core.ports import Rejection
from shipper.core.record import Row
from shipper.store.files.announced import TYPES, AnnouncedFile, Unfit, announced_file
from shipper.store.files.digest import Digests, NotHashed
from shipper.store.files.remote import RemoteFile, Unplaced, place
from shipper.store.files.writing import FileRow, write_rows
from shipper.store.table_set import Arrival, Readied

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

DEFAULT_SITE = "observatory"
DEFAULT_INSTANCE_ID = "pysmurf-monitor"
DEFAULT_MD5_RETRIES = 5
DEFAULT_MD5_RETRY_SECONDS = 1.0

MAX_WARNINGS = 100
"""Archives have few names; who sends many different ones shall not fill the log."""


class PysmurfFiles:
    """Rows of files. A file that is not there yet, or is still written, is waited for a little."""

    branch: ClassVar[str] = "files"

    def __init__(
        self,
        *,
        site: str = DEFAULT_SITE,
        instance_id: str = DEFAULT_INSTANCE_ID,
        md5_retries: int = DEFAULT_MD5_RETRIES,
        md5_retry_seconds: float = DEFAULT_MD5_RETRY_SECONDS,
        sleep: Callable[[float], object] = time.sleep,
        md5_of: Callable[[str], bytes] | None = None,
        log: logging.Logger | None = None,
    ) -> None:
        """Set the rules.

        Args:
            site: First part of the address of whoever listens, in OCS; goes into the column of this name.
            instance_id: Second part of it; by it the archiver of 2021 picks its rows.
            md5_retries: How often a file that cannot be hashed is tried again.
            md5_retry_seconds: How long to wait before every further try.
            sleep: Waits so many seconds.
            md5_of: Returns the MD5 of the file at a path, or raises `NotHashed`; the default reads the file.
            log: Where files without a place in an archive are told.
        """
        self._site = site
        self._instance_id = instance_id
        self._md5_retries = md5_retries
        self._md5_retry_seconds = md5_retry_seconds
        self._sleep = sleep
        self._md5_of = md5_of or Digests().md5_of
        self._log = log or logging.getLogger("shipper")
        self._warnings: set[str] = set()

    @staticmethod
    def wants(row: Row) -> bool:
        """Tell whether a record announces a file."""
        return row.get("type") in TYPES

    def ready(self, arrivals: Sequence[Arrival]) -> Iterator[Readied[FileRow]]:
        """Yield the files that can be hashed at once, then those that can after a wait, then what never will be."""
        waiting, rejections = _read(arrivals)
        for tries_left in range(self._md5_retries, -1, -1):
            rows, waiting, refused = self._hash(waiting, last=tries_left == 0)
            rejections += refused
            if rows or rejections:
                yield Readied(rows, rejections)
            if not waiting:
                return
            rejections = []
            self._sleep(self._md5_retry_seconds)

    def write(self, connection: Connection, rows: Sequence[FileRow]) -> None:
        """Write those rows that are not there yet."""
        write_rows(connection, rows)

    def _hash(
        self, waiting: Sequence[_Waiting], *, last: bool
    ) -> tuple[list[FileRow], list[_Waiting], list[Rejection]]:
        """Return what became a row, what may become one later, and what will not; the last try leaves no later."""
        rows: list[FileRow] = []
        later: list[_Waiting] = []
        refused: list[Rejection] = []
        outcomes = {path: self._outcome(path) for path in {each.file.path for each in waiting}}
        for each in waiting:
            outcome = outcomes[each.file.path]
            if isinstance(outcome, bytes):
                rows.append(self._row(each.file, outcome))
            elif last or outcome.for_good:
                refused.append(Rejection(each.index, outcome.reason, outcome.answer))
            else:
                later.append(each)
        return rows, later, refused

    def _outcome(self, path: str) -> bytes | NotHashed:
        try:
            return self._md5_of(path)
        except NotHashed as trouble:
            return trouble

    def _row(self, file: AnnouncedFile, md5: bytes) -> FileRow:
        return FileRow(file, md5, self._place(file), self._site, self._instance_id)

    def _place(self, file: AnnouncedFile) -> RemoteFile | None:
        try:
            return place(file)
        except Unplaced as error:
            self._warn(str(error), file.path)
            return None

    def _warn(self, text: str, path: str) -> None:
        if text not in self._warnings and len(self._warnings) < MAX_WARNINGS:
            self._warnings.add(text)
            self._log.warning(
                "%(path)s has no place in an archive: %(error)s.",
                {"event": "file_unplaced", "path": path, "error": text},
            )


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A file that is to be hashed, and the index of its arrival."""

    index: int
    file: AnnouncedFile


def _read(arrivals: Sequence[Arrival]) -> tuple[list[_Waiting], list[Rejection]]:
    waiting: list[_Waiting] = []
    rejections: list[Rejection] = []
    for arrival in arrivals:
        try:
            file = announced_file(arrival.row, arrival.received_ns)
        except Unfit as unfit:
            rejections.append(Rejection(arrival.index, unfit.reason, unfit.answer))
        else:
            waiting.append(_Waiting(arrival.index, file))
    return waiting, rejections
