"""Follows the files in which our own lines are kept, over rotations and restarts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import SourceUnavailable
from shipper.core.json_object import Unreadable, json_object
from shipper.core.record import Batch, Cursor, RefusedInput, Row
from shipper.telemetry.log import LEVELS

READ_BYTES = 1024 * 1024
SETTLED_SECONDS = 1.0
"""A file that was moved aside may still get the line of a process that was about to write it."""

HEAD_BYTES = 4096
NS_PER_SECOND = 1_000_000_000


class OwnLogSource:
    """Reads lines in the order of the files; its cursor is what a file begins with and a place in it, in bytes.

    A file is known by its first line, which holds a moment in microseconds; the inode of a deleted file is given anew.
    """

    def __init__(self, files: Sequence[Path], level: str, clock: Clock | None = None) -> None:
        """Take note of what to read.

        Args:
            files: Where lines are kept, oldest first; the last one is written.
            level: The least severe level that is wanted.
            clock: Time.
        """
        self._files = files
        self._levels = frozenset(LEVELS[LEVELS.index(level) :])
        self._clock = clock or SystemClock()
        self._is_open = False
        self._reading: _Reading | None = None
        self._lost = 0

    def open(self, cursor: Cursor | None = None) -> None:
        self.close()
        self._is_open = True
        try:
            self._reading = self._found(cursor)
        except OSError as error:
            raise self._unavailable(error) from None

    def read(self, timeout_seconds: float) -> Batch:
        del timeout_seconds  # files answer at once
        if not self._is_open:
            raise SourceUnavailable("the log is not open")
        try:
            lines, more = self._next_lines()
        except OSError as error:
            raise self._unavailable(error) from None
        rows, refused = self._rows(lines)
        lost, self._lost = self._lost, 0
        return Batch(
            rows,
            self._clock.now_ns(),
            None if self._reading is None else self._reading.cursor,
            refused=refused,
            more=more,
            lost={"rotated": lost} if lost else {},
        )

    def acknowledge(self, cursor: Cursor) -> None:
        """Tell nobody: the files are rotated, whether they were read or not."""
        del cursor

    def close(self) -> None:
        self._is_open = False
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    def _found(self, cursor: Cursor | None) -> _Reading | None:
        """Open the file that a cursor leads to; without one, or when it is gone, the oldest."""
        match cursor:
            case (str(head), int(place)):
                for each in self._youngest_first():
                    if each.head == head:
                        each.place = place
                        return each
                    each.close()
                self._lost += 1
        return self._oldest()

    def _next_lines(self) -> tuple[Sequence[bytes], bool]:
        """Return whole lines, and whether there is more to read at once."""
        if self._reading is None:
            self._reading = self._oldest()
        reading = self._reading
        if reading is None:
            return (), False
        lines, is_aside = reading.lines(), reading.is_aside(self._files[-1])
        if lines:
            return lines, is_aside or sum(map(len, lines)) >= READ_BYTES // 2
        if not is_aside or not reading.has_settled(self._clock):
            return (), False
        younger = self._oldest(behind=reading)
        if younger is None:
            return (), False
        rest = reading.rest()
        self._reading = younger
        reading.close()
        return ((rest,) if rest else ()), True

    def _oldest(self, *, behind: _Reading | None = None) -> _Reading | None:
        """Open the oldest file, or the oldest of those that are younger than the one that was read."""
        oldest = None
        for each in self._youngest_first():
            if behind is not None and each.is_same(behind):
                each.close()
                return oldest
            if oldest is not None:
                oldest.close()
            oldest = each
        if behind is not None and oldest is not None:
            # It was deleted while it was read, and with it, perhaps, others that were not.
            self._lost += 1
        return oldest

    def _youngest_first(self) -> Iterator[_Reading]:
        """Open one file after the other; in this order a rotation meanwhile shows one twice, but hides none."""
        return filter(None, map(_opened, reversed(self._files)))

    def _rows(self, lines: Sequence[bytes]) -> tuple[list[Row], list[RefusedInput]]:
        rows: list[Row] = []
        refused = []
        for line in lines:
            try:
                row = json_object(line)
            except Unreadable as fault:
                refused.append(RefusedInput(fault.reason, line, fault=fault.fault))
                continue
            if row.get("level") in self._levels:
                rows.append(row)
        return rows, refused

    def _unavailable(self, error: OSError) -> SourceUnavailable:
        return SourceUnavailable(f"{error.filename or self._files[-1]}: {error.strerror}")


@dataclass(slots=True)
class _Reading:
    """An open file.

    Attributes:
        file: Its descriptor.
        head: What names its first line.
        place: How far it was read, in bytes.
    """

    file: int
    head: str
    place: int = 0

    @property
    def cursor(self) -> Cursor:
        """Where to go on."""
        return (self.head, self.place)

    def lines(self) -> Sequence[bytes]:
        """Return the next whole lines, about `READ_BYTES` of them, and pass over them."""
        wanted_bytes = READ_BYTES
        while True:
            content = os.pread(self.file, wanted_bytes, self.place)
            end = content.rfind(b"\n") + 1
            if end or len(content) < wanted_bytes:
                self.place += end
                return content[:end].split(b"\n")[:-1]
            wanted_bytes *= 2

    def rest(self) -> bytes:
        """Return what stands behind the last whole line: its writer was killed, or the disk was full."""
        return os.pread(self.file, READ_BYTES, self.place)

    def is_aside(self, path: Path) -> bool:
        """Whether another file is written by now."""
        try:
            return not os.path.samestat(path.stat(), os.fstat(self.file))
        except FileNotFoundError:
            return False

    def is_same(self, other: _Reading) -> bool:
        """Whether both are the same file."""
        return os.path.sameopenfile(self.file, other.file)

    def has_settled(self, clock: Clock) -> bool:
        """Whether nobody has written to it for a while."""
        since_ns = clock.now_ns() - os.fstat(self.file).st_mtime_ns
        return since_ns >= SETTLED_SECONDS * NS_PER_SECOND

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.file)


def _opened(path: Path) -> _Reading | None:
    """Open a file; `None` when it does not exist, or has no whole line yet.

    Raises:
        OSError: It cannot be read.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        head, newline, _ = os.pread(file, HEAD_BYTES, 0).partition(b"\n")
    except OSError:
        os.close(file)
        raise
    if newline or len(head) == HEAD_BYTES:
        return _Reading(file, sha256(head).hexdigest()[:16])
    os.close(file)
    return None
