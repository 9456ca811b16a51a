"""What the source confirmed against what is stored: values in, values out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.prove.events import Event


@dataclass(frozen=True, slots=True)
class Arrival:
    """A stored line.

    Attributes:
        metric: The job that its labels name.
        labels: The labels of its stream.
        time_ns: Its time, nanoseconds since the Unix epoch.
        line: Its text.
        metadata: Its structured metadata.
    """

    metric: str
    labels: Mapping[str, str]
    time_ns: int
    line: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of the events.

    Attributes:
        lost: Confirmed by a worker, stored nowhere.
        altered: Stored with a line, a time, labels or metadata that no event has.
        reordered: Stored for the first time after a younger event of the same stream.
        copies: How many lines are stored that were stored before.
    """

    lost: list[Event]
    altered: list[Arrival]
    reordered: list[Event]
    copies: int


def compare(
    confirmed: Iterable[Event], left: Iterable[Event], arrivals: Iterable[Arrival]
) -> Comparison:
    """Compare what happened with what is stored.

    Args:
        confirmed: The events that have to be stored.
        left: The events that may be stored: shown to a worker, perhaps, but never confirmed.
        arrivals: The stored lines, in the order they were stored.
    """
    due = {_key(event): event for event in confirmed}
    known = due | {_key(event): event for event in left}
    stored: Counter[tuple[str, int, str]] = Counter()
    newest: dict[tuple[tuple[str, str], ...], int] = {}
    altered, reordered = [], []
    for arrival in arrivals:
        key = (arrival.metric, arrival.time_ns, arrival.line)
        event = known.get(key)
        if event is None or not _is_filed_right(event, arrival):
            altered.append(arrival)
        if event is None:
            continue
        stored[key] += 1
        if stored[key] > 1:
            continue
        stream = tuple(sorted(arrival.labels.items()))
        if event.number < newest.get(stream, -1):
            reordered.append(event)
        newest[stream] = max(event.number, newest.get(stream, -1))
    return Comparison(
        lost=[event for key, event in due.items() if key not in stored],
        altered=altered,
        reordered=reordered,
        copies=stored.total() - len(stored),
    )


def _key(event: Event) -> tuple[str, int, str]:
    return event.metric, event.time_ns, event.line


def _is_filed_right(event: Event, arrival: Arrival) -> bool:
    return (
        event.labels.items() <= arrival.labels.items()
        and event.metadata.items() <= arrival.metadata.items()
    )
