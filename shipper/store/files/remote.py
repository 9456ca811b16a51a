"""Where a file belongs in an archive, and whether it may be deleted here afterwards (socs, pysmurf monitor since 2022).

```text
smurf        <first 5 digits of the time>/<publisher>/<start of the action>_<action>/<plots or outputs>/<file>
timestreams  <the last three parts of the path>
```
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from shipper.store.files.announced import AnnouncedFile

TIMECODE_DIGITS = 5
"""Of Unix seconds these are left: they change every 100,000 s, about once a day."""

TIMESTREAM_PARTS = 3

DATE_DIRECTORY = 3
"""The third directory of what may be deleted is a date: `/data/smurf_data/20200515/...`."""

_KEPT_ANYWHERE = re.compile("channel_assignment|tune")
# The rule of 2022 found `iv` in "drive" and "archive" as well, and kept those files for ever.
_KEPT_WORD = re.compile(r"(?<![a-z])iv(?![a-z])", re.IGNORECASE)


class Unplaced(Exception):
    """A file has no place in an archive; the text says why."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """The place of a file in an archive.

    Attributes:
        archive_name: Which archive.
        path: Its path there, relative.
        deletable: Whether the file may be deleted here once it is there.
    """

    archive_name: str
    path: str
    deletable: bool


def place(file: AnnouncedFile) -> RemoteFile:
    """Return the place of a file in the archive it is meant for.

    Raises:
        Unplaced: There is no such archive, or the rule of the archive does not give a path.
    """
    match file.archive_name:
        case "smurf":
            return _smurf_place(file)
        case "timestreams":
            return _timestream_place(file)
        case unknown:
            raise Unplaced(f"there is no archive {unknown[:60]!r}")


def _smurf_place(file: AnnouncedFile) -> RemoteFile:
    """Without an action, `None_None` stands for it, as in the archives that there are."""
    parts = (
        str(file.unix_seconds)[:TIMECODE_DIGITS],
        file.pub_id,
        f"{file.action_unix_seconds}_{file.action}",
        "plots" if file.plot else "outputs",
        PurePosixPath(file.path).name,
    )
    return RemoteFile(file.archive_name, _joined(parts), _is_deletable(file.path))


def _timestream_place(file: AnnouncedFile) -> RemoteFile:
    parts = [part for part in PurePosixPath(file.path).parts if part != "/"]
    if len(parts) < TIMESTREAM_PARTS:
        raise Unplaced(f"its path has fewer than {TIMESTREAM_PARTS} parts")
    return RemoteFile(file.archive_name, _joined(parts[-TIMESTREAM_PARTS:]), deletable=True)


def _joined(parts: Sequence[str]) -> str:
    """Return a path that leads nowhere but down: the names come from whoever can send a datagram."""
    wrong = next((part for part in parts if "/" in part or part in {"", ".", ".."}), None)
    if wrong is not None:
        raise Unplaced(f"{wrong[:60]!r} is no name of a directory or file")
    return "/".join(parts)


def _is_deletable(path: str) -> bool:
    directories = [part for part in PurePosixPath(path).parent.parts if part != "/"]
    if len(directories) < DATE_DIRECTORY or not _is_number(directories[DATE_DIRECTORY - 1]):
        return False
    return not (_KEPT_ANYWHERE.search(path) or _KEPT_WORD.search(path))


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()
