"""What is known of a Shipper that is watched: its whole state, and how news change it.

All of it comes from the network: what is not as it should be is passed over, and nothing grows without end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

Row = Mapping[str, object]

MOST_METRICS = 10_000
MOST_POLLS = 60
MOST_REASONS = 100
MOST = 1e18
"""A number beyond it is a mistake of somebody; also what is no number, for NaN is not less."""

POLLS = "poll_seconds"


@dataclass(frozen=True, slots=True)
class Picture:
    """The state of a Shipper, as it was last told.

    Attributes:
        version: Which Shipper it is.
        ready: Whether it is ready.
        reasons: Why it is not.
        at: Its clock when it told, in Unix seconds.
        received_seconds: Our monotonic clock when it was heard.
        rows: What is told of every metric, in its order.
    """

    version: str
    ready: bool
    reasons: tuple[str, ...]
    at: float
    received_seconds: float
    rows: Mapping[str, Row] = field(default_factory=dict)

    def now(self, monotonic_seconds: float) -> float:
        """Return what its clock says now."""
        return self.at + monotonic_seconds - self.received_seconds


def whole(state: Mapping[str, Any], *, unix_seconds: float, monotonic_seconds: float) -> Picture:
    """Return the picture of a whole state, heard at this moment; our clock stands in for one that is not told."""
    rows = dict(_named(state.get("metrics")))
    return Picture(
        version=_text(state.get("version")),
        ready=state.get("ready") is True,
        reasons=_texts(state.get("reasons"))[:MOST_REASONS],
        at=_moment(state.get("at"), unix_seconds),
        received_seconds=monotonic_seconds,
        rows={name: {**row, POLLS: _polls(row)} for name, row in rows.items()},
    )


def changed(
    before: Picture, news: Mapping[str, Any], *, unix_seconds: float, monotonic_seconds: float
) -> Picture:
    """Return the picture after the news of one message."""
    rows = dict(before.rows)
    for name in _texts(news.get("removed")):
        rows.pop(name, None)
    for name, change in _named(news.get("changed")):
        known = rows.get(name, {})
        if known or len(rows) < MOST_METRICS:
            polls = (*_polls(known), *_polls(change))[-MOST_POLLS:]
            rows[name] = {**known, **change, POLLS: polls}
    return replace(
        before,
        ready=news.get("ready", before.ready) is True,
        reasons=_texts(news["reasons"])[:MOST_REASONS] if "reasons" in news else before.reasons,
        at=_moment(news.get("at"), unix_seconds),
        received_seconds=monotonic_seconds,
        rows=_ordered(rows, _texts(news.get("order"))),
    )


def number(row: Row, key: str) -> float | None:
    """Return a number of a row; `None` when there is none."""
    value = row.get(key)
    return float(value) if _is_number(value) else None


def text(row: Row, key: str) -> str:
    """Return a text of a row, as it came; empty when there is none."""
    return _text(row.get(key))


def polls(row: Row) -> tuple[float, ...]:
    """Return how long the newest polls took, the oldest first; of a row in a picture."""
    return _polls(row)


def _named(rows: object) -> Iterable[tuple[str, Row]]:
    found = rows if isinstance(rows, list) else []
    for row in found[:MOST_METRICS]:
        if isinstance(row, dict) and isinstance(row.get("metric"), str):
            yield row["metric"], row


def _ordered(rows: dict[str, Row], order: tuple[str, ...]) -> dict[str, Row]:
    first = {name: rows[name] for name in order if name in rows}
    return {**first, **rows}


def _polls(row: Row) -> tuple[float, ...]:
    durations = row.get(POLLS)
    if not isinstance(durations, list | tuple):
        return ()
    return tuple(float(each) for each in durations[-MOST_POLLS:] if _is_number(each))


def _moment(value: object, otherwise: float) -> float:
    return float(value) if _is_number(value) else otherwise


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST


def _texts(values: object) -> tuple[str, ...]:
    found = values if isinstance(values, list) else []
    return tuple(each for each in found[:MOST_METRICS] if isinstance(each, str))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
