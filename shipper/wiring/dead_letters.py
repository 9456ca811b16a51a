"""Shows the dead letters of a state directory: how many there are and why, then the newest of them."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from shipper.core.errors import StartupError
from shipper.core.words import counted, printable
from shipper.pipeline.dead_letter import (
    FOLDER,
    DeadLetter,
    as_document,
    metrics_in,
    path_of,
    read_letters,
    replaying,
    rfc3339,
)

SHOWN_CHARACTERS = 200
"""How much of a line or an answer is shown to people; machines get all."""

_TO_SECONDS = slice(0, len("1970-01-01T00:00:00"))


@dataclass(slots=True)
class Group:
    """The dead letters of one metric that were refused for the same reason.

    Attributes:
        records: How many.
        oldest_ns: The time of the oldest.
        newest_ns: The time of the newest.
    """

    records: int
    oldest_ns: int
    newest_ns: int

    def add(self, letter: DeadLetter) -> None:
        """Count one more."""
        self.records += 1
        self.oldest_ns = min(self.oldest_ns, letter.time_ns)
        self.newest_ns = max(self.newest_ns, letter.time_ns)


@dataclass(slots=True)
class Survey:
    """What is in the files.

    Attributes:
        groups: By metric and reason.
        newest: The newest letters with their metrics, the very newest last.
        unreadable: How many lines are torn or were not written by us, by metric.
    """

    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    newest: list[tuple[str, DeadLetter]] = field(default_factory=list)
    unreadable: Counter[str] = field(default_factory=Counter)


def survey(state_dir: Path, metric: str | None, *, newest_records: int) -> Survey:
    """Read the dead letters of one metric, or of all, those of a replay under way included.

    Raises:
        StartupError: They cannot be read.
    """
    found = Survey()
    newest: list[tuple[int, int, str, DeadLetter]] = []
    try:
        for place, (each, letter) in enumerate(_letters(state_dir, metric)):
            if letter is None:
                found.unreadable[each] += 1
                continue
            time_ns = letter.time_ns
            found.groups.setdefault((each, letter.reason), Group(0, time_ns, time_ns)).add(letter)
            heapq.heappush(newest, (time_ns, place, each, letter))
            if len(newest) > newest_records:
                heapq.heappop(newest)
    except OSError as error:
        raise StartupError(f"{state_dir / FOLDER} cannot be read: {error.strerror}") from None
    found.newest = [(each, letter) for _, _, each, letter in sorted(newest)]
    return found


def as_text(found: Survey) -> Iterator[str]:
    """Yield the lines that people read: one for each metric and reason, then the newest letters."""
    if not found.groups and not found.unreadable:
        yield "No dead letters."
        return
    for (metric, reason), group in sorted(found.groups.items()):
        since, until = (rfc3339(ns)[_TO_SECONDS] for ns in (group.oldest_ns, group.newest_ns))
        yield f"{metric}: {group.records} {_shown(reason)}, from {since} to {until} UTC"
    for metric, lines in sorted(found.unreadable.items()):
        yield f"{metric}: {counted(lines, 'line')} cannot be read: torn, or not written by Shipper"
    for metric, letter in found.newest:
        labels = ", ".join(f'{name}="{value}"' for name, value in letter.labels.items())
        yield ""
        yield f"{rfc3339(letter.time_ns)} {metric} {{{_shown(labels)}}}"
        yield f"  {_shown(letter.line.decode('utf-8', 'backslashreplace'))}"
        yield f"  {_shown(letter.reason)}: {_shown(letter.answer)}"


def as_json(found: Survey) -> str:
    """Return what machines read: the same, with every letter as it stands in its file."""
    groups = [
        {
            "metric": metric,
            "reason": reason,
            "records": group.records,
            "oldest": rfc3339(group.oldest_ns),
            "newest": rfc3339(group.newest_ns),
        }
        for (metric, reason), group in sorted(found.groups.items())
    ]
    newest = [{"metric": metric, **as_document(letter)} for metric, letter in found.newest]
    return json.dumps({"groups": groups, "unreadable": found.unreadable, "newest": newest})


def _letters(state_dir: Path, metric: str | None) -> Iterator[tuple[str, DeadLetter | None]]:
    for each in metrics_in(state_dir):
        if metric in (None, each):
            path = path_of(state_dir, each)
            for file in (replaying(path), path):
                for _, letter in read_letters(file):
                    yield each, letter


def _shown(text: str) -> str:
    """Shorten a text, and write out what a terminal would take for an order."""
    short = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
    return printable(short, len(short))
