"""What a push brings: streams of entries, before and after the checks of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from shipper.demo.log_store.labels import Labels


class Entry(NamedTuple):
    """One pushed line, its time in ns since 1970 (UTC) and its structured metadata.

    A named tuple, because a push makes a thousand of them and a dataclass takes three times as long.
    """

    time_ns: int
    line: str
    metadata: tuple[tuple[str, str], ...]


class AcceptedEntry(NamedTuple):
    """An entry that passed the checks; `size_bytes` counts the line and the sender's metadata."""

    time_ns: int
    line: str
    metadata: tuple[tuple[str, str], ...]
    line_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PushedStream:
    """A label set and the entries pushed for it, in the order they came."""

    labels: Labels
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class AcceptedStream:
    """A stream whose labels passed the checks; `text` is its label set as Loki prints it."""

    labels: Labels
    text: str
    entries: list[AcceptedEntry]
