"""Sets damaged parts of a spool aside, and carries over what can still be read.

Damage is never repaired in place: the file goes to `damaged/` beside it, under a name with the time, where somebody who
knows SQLite can look at it, and a fresh file takes its place.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Container, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shipper.core.clock import Clock
from shipper.pipeline.spool.database import Database, SpoolUnusable
from shipper.pipeline.spool.rows import (
    CHECKPOINT,
    SET_CHECKPOINT,
    is_whole,
    is_whole_checkpoint,
)

_COLUMNS = "number, sink, lines, put_ns, checksum, labels, weight_bytes, body"
_INSERT = f"INSERT INTO parcels ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own words

HIGHEST_NUMBER = 2**62
"""Parcels are numbered from 1; a number beyond this is damage."""

MOST_TRIED = 1_000_000
"""How many numbers are tried one after the other, a few seconds; beyond it only those that an index still names."""

_UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What reading a damaged file may end with; the second where SQLite's own message has a part of it."""

_SUFFIXES = ("-wal", "-shm", "")

# The write-ahead log of SQLite 3 (sqlite.org/fileformat2.html, section 4): a head of 32 bytes, then frames of a head of
# 24 bytes and a page. A frame is part of the log when its salts are those of the head and its checksum goes on from the
# frame before it.
_LOG_HEAD = struct.Struct(">8I")
_FRAME_HEAD = struct.Struct(">6I")
_LITTLE_ENDIAN_MAGIC = 0x377F0682


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a damaged file.

    Attributes:
        aside: Where it is now.
        promised: How many lines it held, as far as it could still say so.
        lines: How many of them were carried over.
    """

    aside: Path
    promised: int
    lines: int


def salvage(path: Path, clock: Clock, *, settled: Container[int], above: int) -> Saved:
    """Set a damaged file aside and put a new one in its place, with everything that can be read of it.

    Args:
        path: The file.
        clock: Time.
        settled: Numbers of parcels that are not wanted any more.
        above: The highest number that anybody remembers; new parcels get others.

    Raises:
        SpoolUnusable: The disk does not allow it now; the damaged file is where it was.
        SpoolDamaged: The new file is damaged as well.
    """
    aside = name_aside(path, clock, ".db")
    mended = path.with_name(f"{path.stem}.mended")
    try:
        _remove(mended)
        promised, lines = _carry_over(path, mended, settled, above)
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        _rename(path, aside)
        _rename(mended, path)
    except OSError as error:
        raise SpoolUnusable(f"{path} cannot be set aside: {error.strerror}") from error
    return Saved(aside, promised, lines)


def set_torn_log_aside(path: Path, clock: Clock) -> Path | None:
    """Look whether the end of the write-ahead log was torn; if so, keep a copy and return its name.

    SQLite itself passes over a torn end in silence. What a process that was killed had not committed is no damage.
    """
    log_path = path.with_name(path.name + "-wal")
    try:
        log = log_path.read_bytes()
        if len(log) <= _LOG_HEAD.size or not _is_torn(log, _frames_in_use(path)):
            return None
        aside = name_aside(path, clock, ".wal")
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        aside.write_bytes(log)
        aside.chmod(0o600)
    except (OSError, *_UNREADABLE):
        # Whether the file can be used at all is found out, and told, when it is used.
        return None
    return aside


def name_aside(path: Path, clock: Clock, suffix: str) -> Path:
    """Return a name with the time for what is set aside of a spool."""
    moment = datetime.fromtimestamp(clock.now_ns() / 1e9, UTC)
    return path.parent / "damaged" / f"{path.stem}-{moment:%Y%m%dT%H%M%S.%f}{suffix}"


def _carry_over(path: Path, mended: Path, settled: Container[int], above: int) -> tuple[int, int]:
    """Write what can be read into a new file; return how many lines there should have been, and how many there are."""
    fresh = Database(mended)
    try:
        with _looked_into(path) as damaged, fresh.transaction(durable=True) as connection:
            connection.execute("INSERT INTO sqlite_sequence VALUES ('parcels', ?)", (above,))
            lines = 0
            for row in _whole_parcels(damaged):
                if row[0] not in settled:
                    connection.execute(_INSERT, row)
                    lines += row[2]
            for row in _rows(damaged, f"{CHECKPOINT} LIMIT 1"):
                if is_whole_checkpoint(row):
                    connection.execute(SET_CHECKPOINT, row)
            promised = sum(
                count
                for (count,) in _rows(damaged, "SELECT lines FROM totals")
                if isinstance(count, int)
            )
    finally:
        fresh.close()
    return promised, lines


@contextmanager
def _looked_into(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a damaged file; one that cannot be opened is as good as empty."""
    try:
        damaged = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None
        )
    except sqlite3.Error:
        damaged = sqlite3.connect(":memory:", isolation_level=None)
    with closing(damaged):
        yield damaged


def _whole_parcels(damaged: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield every parcel that can be read, one after the other, so that a bad page costs only what lies on it."""
    for number in _numbers(damaged):
        for row in _rows(damaged, f"SELECT {_COLUMNS} FROM parcels WHERE number = {number}"):  # noqa: S608
            if 0 < row[0] < HIGHEST_NUMBER and is_whole(row[1:]):
                yield row


def _numbers(damaged: sqlite3.Connection) -> Iterable[int]:
    """Return the numbers that parcels may have, ascending."""
    edges = [
        number
        for order in ("ASC", "DESC")
        for place in ("NOT INDEXED", "INDEXED BY parcels_of_a_sink")
        for (number,) in _rows(
            damaged,
            f"SELECT number FROM parcels {place} ORDER BY number {order} LIMIT 1",  # noqa: S608
        )
    ]
    edges += [seq for (seq,) in _rows(damaged, "SELECT seq FROM sqlite_sequence")]
    known = [number for number in edges if isinstance(number, int) and 0 < number < HIGHEST_NUMBER]
    if not known:
        return ()
    # Where an end of the table cannot be read, the numbers begin at 1 or go on as far as ever one was given.
    if max(known) <= MOST_TRIED:
        return range(1, max(known) + 1)
    if max(known) - min(known) < MOST_TRIED:
        return range(min(known), max(known) + 1)
    return _named_numbers(damaged)


def _named_numbers(damaged: sqlite3.Connection) -> list[int]:
    """Return the numbers that table and index name, each read from both ends up to what is damaged."""
    named: set[int] = set()
    for place in ("NOT INDEXED", "INDEXED BY parcels_of_a_sink"):
        for order in ("ASC", "DESC"):
            by = "number" if place == "NOT INDEXED" else f"sink {order}, number"
            sql = f"SELECT number FROM parcels {place} ORDER BY {by} {order}"  # noqa: S608
            with suppress(*_UNREADABLE):
                named.update(number for (number,) in damaged.execute(sql))
    return sorted(named)


def _rows(damaged: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query, or none where they cannot be read: that is what damage means."""
    with suppress(*_UNREADABLE):
        return damaged.execute(sql).fetchall()
    return []


def _rename(path: Path, target: Path) -> None:
    """Rename a file with what belongs to it; what is not there, because somebody removed it, is passed over."""
    for suffix in _SUFFIXES:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))


def _remove(path: Path) -> None:
    for suffix in _SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _frames_in_use(path: Path) -> int:
    """Return how many frames of the log SQLite takes for good."""
    with closing(sqlite3.connect(path)) as connection:
        (_, frames, _) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return max(0, int(frames))


def _is_torn(log: bytes, frames_in_use: int) -> bool:
    """Tell whether a frame that belongs to the log, behind those in use, is not whole."""
    head = _LOG_HEAD.unpack_from(log)
    magic, page_bytes, salts = head[0], head[2], head[4:6]
    order = "<" if magic == _LITTLE_ENDIAN_MAGIC else ">"
    checksum = _checksum(log[:24], order, (0, 0))
    if checksum != head[6:8]:
        return True
    frame_bytes = _FRAME_HEAD.size + page_bytes
    if frames_in_use:
        last = _LOG_HEAD.size + (frames_in_use - 1) * frame_bytes
        if last + frame_bytes > len(log):
            return True
        checksum = _FRAME_HEAD.unpack_from(log, last)[4:6]
    whole = True
    for start in range(
        _LOG_HEAD.size + frames_in_use * frame_bytes, len(log) - _FRAME_HEAD.size, frame_bytes
    ):
        frame = _FRAME_HEAD.unpack_from(log, start)
        if frame[2:4] != salts:
            # A remnant of the log before this one; when a frame of ours comes behind it, it was ours as well.
            whole = False
            continue
        page = log[start + _FRAME_HEAD.size : start + frame_bytes]
        checksum = _checksum(log[start : start + 8] + page, order, checksum)
        if not whole or len(page) < page_bytes or checksum != frame[4:6]:
            return True
    return False


def _checksum(content: bytes, order: str, seed: tuple[int, ...]) -> tuple[int, int]:
    words = struct.unpack(f"{order}{len(content) // 4}I", content[: len(content) // 4 * 4])
    one, two = seed
    for first, second in zip(words[::2], words[1::2], strict=False):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
