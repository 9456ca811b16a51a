"""Keeps what a sink refused for good: one JSON object a line, in a file for each metric.

```json
{"time": "2026-03-01T12:00:00.000000001Z", "time_ns": 1772366400000000001, "labels": {"job": "show_locks"},
 "metadata": {}, "line": "...", "reason": "too_old", "answer": "entry too far behind", "sink": "loki",
 "refused_at": "2026-03-01T12:00:01.000000000Z"}
```

A line that is no UTF-8 stands as `line_base64` instead of `line`. A process that dies in the middle of a write leaves a
torn line; the next one begins behind it, and readers pass over it.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from shipper.core.clock import Clock
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.core.secrecy import redacted

FOLDER = "dead_letter"
"""Of the dead letters, in the state directory."""

SUFFIX = ".jsonl"
REPLAYING_SUFFIX = ".replaying.jsonl"
"""Of a file that a replay has taken over; no metric's name has a point in it."""

LOCK_TRIES = 100
LOCK_PAUSE_SECONDS = 0.02
"""How often and how far apart the lock is tried; nobody else holds it for long, unless he is frozen."""

NS_PER_SECOND = 1_000_000_000

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was refused, and why.

    Attributes:
        time_ns: Nanoseconds since the Unix epoch, UTC.
        line: As it was read; UTF-8 as a rule.
        labels: The labels of its stream.
        metadata: Its structured metadata.
        reason: One word or two, like `too_old`.
        answer: What the far end said.
        sink: The sink that refused it.
        refused_at: When that was, RFC 3339.
    """

    time_ns: int
    line: bytes
    labels: Mapping[str, str]
    metadata: Mapping[str, str]
    reason: str
    answer: str
    sink: str
    refused_at: str


class DeadLetters:
    """The file of one metric, for the worker that adds to it."""

    def __init__(self, path: Path, *, max_bytes: int, clock: Clock) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._clock = clock

    def add(self, stream: Stream, rejections: Sequence[Rejection], *, sink: str) -> int:
        """Write down the records that were refused, and return for how many there was room.

        Raises:
            OSError: Nothing could be written; the same call may be made again later.
        """
        if not rejections:
            return 0
        refused_at = rfc3339(self._clock.now_ns())
        written = [
            write_letter(_letter(stream, each, sink=sink, refused_at=refused_at))
            for each in rejections
        ]
        free_bytes = self._max_bytes - _size_bytes(self._path) - _size_bytes(replaying(self._path))
        fitting = list(_fitting(written, free_bytes))
        append(self._path, fitting)
        return len(fitting)


def path_of(state_dir: Path, metric: str) -> Path:
    """Return where the dead letters of a metric are kept."""
    return state_dir / FOLDER / f"{metric}{SUFFIX}"


def replaying(path: Path) -> Path:
    """Return the name under which a replay takes over the file `path`."""
    return path.with_name(path.name.removesuffix(SUFFIX) + REPLAYING_SUFFIX)


def metrics_in(state_dir: Path) -> list[str]:
    """Return the metrics that have files of dead letters, in the order of their names."""
    paths = (state_dir / FOLDER).glob(f"*{SUFFIX}")
    return sorted({path.name.partition(".")[0] for path in paths})


def read_letters(path: Path) -> Iterator[tuple[bytes, DeadLetter | None]]:
    """Yield every line of a file as it stands there, and as a value; `None` for one that is torn or not ours.

    Raises:
        OSError: The file cannot be read; one that is missing is empty.
    """
    with suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            if line.strip():
                yield line, parse_letter(line)


def as_document(letter: DeadLetter) -> dict[str, object]:
    """Return a letter as the JSON object that stands for it."""
    try:
        line = {"line": letter.line.decode("utf-8")}
    except UnicodeDecodeError:
        line = {"line_base64": base64.b64encode(letter.line).decode("ascii")}
    return {
        "time": rfc3339(letter.time_ns),
        "time_ns": letter.time_ns,
        "labels": dict(letter.labels),
        "metadata": dict(letter.metadata),
        **line,
        "reason": letter.reason,
        "answer": letter.answer,
        "sink": letter.sink,
        "refused_at": letter.refused_at,
    }


def write_letter(letter: DeadLetter) -> bytes:
    """Return the line that stands for a letter, with its end."""
    text = json.dumps(as_document(letter), ensure_ascii=False, separators=(",", ":"))
    # Half a surrogate pair, which labels may hold, has no UTF-8; backslashreplace makes it JSON's own escape.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def parse_letter(line: bytes) -> DeadLetter | None:
    """Return the letter that a line stands for; `None` when it is torn or was not written by us."""
    try:
        document = json.loads(line)
        return DeadLetter(
            time_ns=_is(int, document["time_ns"]),
            line=_line(document),
            labels=_pairs(document["labels"]),
            metadata=_pairs(document["metadata"]),
            reason=_is(str, document["reason"]),
            answer=_is(str, document["answer"]),
            sink=_is(str, document["sink"]),
            refused_at=_is(str, document["refused_at"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def append(path: Path, lines: Iterable[bytes]) -> None:
    """Add whole lines to a file in one write, durably, making it if it is missing.

    Raises:
        OSError: Nothing was added. Only where the disk does not even let go of what it took, part of it stays.
    """
    content = b"".join(lines)
    if not content:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(path) as file:
        end = os.fstat(file).st_size
        torn = end > 0 and os.pread(file, 1, end - 1) != b"\n"
        try:
            _write(file, b"\n" + content if torn else content)
            os.fsync(file)
            if end == 0:
                sync_folder(path.parent)
        except OSError:
            with suppress(OSError):  # the first error says it all
                os.ftruncate(file, end)
            raise


def take_over(path: Path) -> Path | None:
    """Give a replay what is in a file, so that additions go to a new one; `None` when there is nothing.

    What a killed replay left comes first. A crash in here may double letters, and loses none.

    Raises:
        OSError: The file could not be taken over; everything is as it was.
    """
    taken = replaying(path)
    if _size_bytes(path):
        with _locked(path) as file:
            if taken.exists():
                append(taken, [os.pread(file, os.fstat(file).st_size, 0)])
                path.unlink()
            else:
                path.rename(taken)
        sync_folder(path.parent)
    return taken if _size_bytes(taken) else None


def sync_folder(folder: Path) -> None:
    """Make durable what was made, renamed or removed in a folder.

    Raises:
        OSError: It could not be made durable.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def rfc3339(time_ns: int) -> str:
    """Return a moment in UTC with nine digits behind the point; outside of the years 1 to 9999 just its number."""
    seconds, rest_ns = divmod(time_ns, NS_PER_SECOND)
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return f"{time_ns} ns after 1970"
    return f"{moment.isoformat()[: len('1970-01-01T00:00:00')]}.{rest_ns:09d}Z"


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open a file to append to it, alone; the kernel lets go of the lock when we are killed.

    Raises:
        OSError: It cannot be opened, or another process holds the lock for longer than it takes to write.
    """
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _lock(file)
            # A replay may have taken it over between the two.
            if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
                yield file
                return
        finally:
            os.close(file)


def _lock(file: int) -> None:
    for _ in range(LOCK_TRIES):
        with suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(LOCK_PAUSE_SECONDS)
    raise BlockingIOError(errno.EAGAIN, "another process keeps the file locked")


def _write(file: int, content: bytes) -> None:
    if os.write(file, content) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _fitting(lines: Iterable[bytes], free_bytes: int) -> Iterator[bytes]:
    for line in lines:
        if len(line) <= free_bytes:
            free_bytes -= len(line)
            yield line


def _letter(stream: Stream, rejection: Rejection, *, sink: str, refused_at: str) -> DeadLetter:
    index = rejection.index
    return DeadLetter(
        time_ns=stream.times_ns[index],
        line=stream.lines[index],
        labels=stream.labels,
        metadata={} if stream.metadata is None else stream.metadata[index],
        reason=rejection.reason,
        answer=redacted(rejection.answer),
        sink=sink,
        refused_at=refused_at,
    )


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _line(document: Mapping[str, Any]) -> bytes:
    if "line" in document:
        return _is(str, document["line"]).encode("utf-8")
    return base64.b64decode(document["line_base64"], validate=True)


def _pairs(found: object) -> Mapping[str, str]:
    pairs = _is(dict, found)
    return {name: _is(str, value) for name, value in pairs.items()}


def _is(kind: type[Kind], value: object) -> Kind:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
