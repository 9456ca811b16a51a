"""Reads what a publisher announced about a file: messages `data_file` and `g3_file`, an envelope with a payload.

```text
data_file  {"path", "type", "format", "timestamp", "action", "action_ts", "plot", "pysmurf_version"}
g3_file    {"path", "archive_name"}
```

Only the path must be there. Everything else may be absent or null, as the server-side publisher leaves out the action.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from shipper.core.record import Row
from shipper.store.files.tables import NAME_CHARACTERS, PATH_CHARACTERS, VERSION_CHARACTERS

TYPES = ("data_file", "g3_file")

G3_FORMAT = "g3"
NPY_FORMAT, NPY_SUFFIX = "npy", ".npy"

SMURF = "smurf"
"""The archive of whatever names none."""

MAX_INT = 2**31 - 1
"""INT ends there, and so does TIMESTAMP, in seconds (MySQL 8.4, MariaDB before 11.5)."""

NS_PER_SECOND = 1_000_000_000


class Unfit(Exception):
    """What was announced is no row.

    Attributes:
        reason: One word or two for a counter's label.
        answer: Which field it is, and what is wrong with it.
    """

    def __init__(self, reason: str, answer: str) -> None:
        super().__init__(answer)
        self.reason = reason
        self.answer = answer


@dataclass(frozen=True, slots=True)
class AnnouncedFile:
    """What is known about a file before it is read.

    Attributes:
        path: Its path on this machine.
        unix_seconds: When it was made.
        format: Like `npy` or `txt`.
        plot: Whether it is a picture; `None` when nobody said.
        action: What the publisher was doing when it wrote the file.
        action_unix_seconds: When that began.
        pub_id: Who announced it.
        script_id: From which script.
        pysmurf_version: With which version of pysmurf.
        archive_name: The archive it is meant for.
    """

    path: str
    unix_seconds: int
    format: str | None
    plot: bool | None
    action: str | None
    action_unix_seconds: int | None
    pub_id: str
    script_id: str | None
    pysmurf_version: str | None
    archive_name: str


def announced_file(row: Row, received_ns: int) -> AnnouncedFile:
    """Return the file that a message announces.

    Args:
        row: The envelope.
        received_ns: Stands in for the file's time where neither payload nor envelope has one, nanoseconds.

    Raises:
        Unfit: It cannot be a row.
    """
    payload = row.get("payload")
    if not isinstance(payload, dict):
        raise Unfit("wrong_type", "payload is no object")
    is_g3 = row.get("type") == "g3_file"
    form = G3_FORMAT if is_g3 else _text(payload, "format", NAME_CHARACTERS)
    return AnnouncedFile(
        path=_path(payload, form),
        unix_seconds=_unix_seconds(payload, row, received_ns),
        format=form,
        plot=False if is_g3 else _flag(payload, "plot"),
        action=_text(payload, "action", NAME_CHARACTERS),
        action_unix_seconds=_action_unix_seconds(payload),
        pub_id=_text(row, "id", NAME_CHARACTERS) or "",
        script_id=_text(row, "script", NAME_CHARACTERS),
        pysmurf_version=_text(payload, "pysmurf_version", VERSION_CHARACTERS),
        archive_name=_text(payload, "archive_name", NAME_CHARACTERS) or SMURF,
    )


def _path(payload: Mapping[str, object], form: str | None) -> str:
    path = _text(payload, "path", PATH_CHARACTERS)
    if not path:
        raise Unfit("no_path", "path is missing or empty")
    if form == NPY_FORMAT and not path.endswith(NPY_SUFFIX):
        path += NPY_SUFFIX
    _refuse_too_long("path", path, PATH_CHARACTERS)
    return path


def _text(fields: Mapping[str, object], key: str, max_characters: int) -> str | None:
    value = fields.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Unfit("wrong_type", f"{key} is no text")
    # PostgreSQL keeps no NUL, no path holds one, and half of a surrogate pair has no UTF-8.
    if "\0" in value or not _has_utf8(value):
        raise Unfit("not_text", f"{key} has characters that cannot be kept: {value[:60]!r}")
    _refuse_too_long(key, value, max_characters)
    return value


def _has_utf8(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _refuse_too_long(key: str, value: str, max_characters: int) -> None:
    if len(value) > max_characters:
        raise Unfit("too_long", f"{key} has {len(value)} characters, at most {max_characters}")


def _flag(payload: Mapping[str, object], key: str) -> bool | None:
    value = payload.get(key)
    if value is not None and not isinstance(value, bool):
        raise Unfit("wrong_type", f"{key} is neither true nor false")
    return value


def _unix_seconds(payload: Mapping[str, object], envelope: Row, received_ns: int) -> int:
    """Return the whole seconds of the first time there is: TIMESTAMP keeps no more."""
    value = payload.get("timestamp")
    if value is None:
        value = envelope.get("time")
    if value is None:
        return received_ns // NS_PER_SECOND
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("wrong_type", "timestamp is no number")
    # 0 is no time for TIMESTAMP, but the date of nothing.
    if not math.isfinite(value) or not 1 <= value <= MAX_INT:
        raise Unfit("bad_time", f"timestamp is {value:.60g}, not from 1 to {MAX_INT}")
    return int(value)


def _action_unix_seconds(payload: Mapping[str, object]) -> int | None:
    """Return the start of the action, which is sent as digits in a text."""
    value = payload.get("action_ts")
    if value is None:
        return None
    is_number = isinstance(value, int) and not isinstance(value, bool)
    is_digits = isinstance(value, str) and value.isascii() and value.isdigit()
    if not is_number and not is_digits:
        raise Unfit("wrong_type", "action_ts is no text of digits")
    if len(str(value)) > len(str(MAX_INT)) or not 0 <= int(str(value)) <= MAX_INT:
        raise Unfit("bad_time", f"action_ts is {str(value)[:60]}, not from 0 to {MAX_INT}")
    return int(str(value))
