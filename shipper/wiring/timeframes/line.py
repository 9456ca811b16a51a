"""Shows one message about a Time Frame as one line of text, whatever stands in it.

```text
[12:00:00] TF: swf.1.000001_tf_007.tf | Size: 15.0MB | STF: swf.1.000001.stf | Run: 1 | Status: registered
```
"""

from __future__ import annotations

from datetime import datetime

from shipper.core.record import Row
from shipper.core.words import printable

KIB = 1024
MIB = KIB * KIB

NOTHING = "-"
COLOURS = {
    "registered": 32,  # green
    "processing": 33,  # yellow
    "processed": 34,  # blue
    "failed": 31,  # red
    "done": 35,  # magenta
}
"""The colour of every state that is known, as the number that terminals know it by (ECMA-48, 8.3.117)."""


def line_of(row: Row, now: datetime) -> str:
    """Return the line for one message.

    Args:
        row: The fields of the message: those of the first client's messages, or those of `tf_file_registered`.
        now: The time shown for a message that says none.
    """
    return (
        f"[{_clock_time(row, now)}] TF: {_name(row)} | Size: {_size(row.get('file_size_bytes'))} | "
        f"STF: {_first(row, 'stf_filename', 'parent')} | Run: {_first(row, 'run_number')} | "
        f"Status: {_first(row, 'status')}"
    )


def coloured(line: str, status: object) -> str:
    """Return the line in the colour of the state, for terminals; unchanged for a state that has none."""
    colour = COLOURS.get(status.lower()) if isinstance(status, str) else None
    return line if colour is None else f"\x1b[{colour}m{line}\x1b[0m"


def _clock_time(row: Row, now: datetime) -> str:
    """Return the time of day as the message says it, in the zone that it was written in."""
    for key in ("timestamp", "created_at"):
        written = row.get(key)
        if isinstance(written, str):
            try:
                return datetime.fromisoformat(written).strftime("%H:%M:%S")
            except ValueError:
                continue
    return now.strftime("%H:%M:%S")


def _name(row: Row) -> str:
    """Return the name of the file; the first client's messages have it at the end of the address."""
    url = row.get("file_url")
    in_url = url.rstrip("/").rpartition("/")[2] if isinstance(url, str) else ""
    if not row.get("tf_filename") and in_url:
        return printable(in_url)
    return _first(row, "tf_filename", "file_id", "tf_file_id")


def _size(size_bytes: object) -> str:
    if not isinstance(size_bytes, int | float) or isinstance(size_bytes, bool):
        return NOTHING
    if size_bytes > MIB:
        return f"{size_bytes / MIB:.1f}MB"
    if size_bytes > KIB:
        return f"{size_bytes / KIB:.1f}KB"
    return f"{size_bytes:.0f}B"


def _first(row: Row, *keys: str) -> str:
    """Return the first of these fields that says something."""
    for key in keys:
        value = row.get(key)
        if value is not None and value != "":
            return printable(str(value))
    return NOTHING
