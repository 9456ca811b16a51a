"""Numbers and states in few characters."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from shipper.live.terminal.picture import Row, text

NOTHING = "-"
BLOCKS = "▁▂▃▄▅▆▇█"
THOUSAND = 1000
MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60, 3600, 86400
MILLISECOND_SECONDS = 0.001
TEN = 10


class Mood(IntEnum):
    """How a metric is, the worst first."""

    BAD = 0
    WAIT = 1
    GOOD = 2


def state_of(row: Row) -> tuple[str, Mood]:
    """Return the state of a metric in a word or two, and how bad it is."""
    state, result = text(row, "state"), text(row, "result")
    match state, result:
        case ("failed", _):
            return state, Mood.BAD
        case ("running", "ok"):
            return ("lines wait", Mood.WAIT) if text(row, "sink_error") else ("running", Mood.GOOD)
        case ("running", "waiting" | ""):
            return result or "starting", Mood.WAIT
        case ("running", _):
            return result, Mood.BAD
        case _:
            return state or "unknown", Mood.WAIT


def trouble_of(row: Row) -> str:
    """Return what is wrong with a metric; empty when nothing is."""
    return text(row, "error") or text(row, "sink_error") or text(row, "last_end")


def span(seconds: float | None) -> str:
    """Return a span of time in at most 7 characters, like `12 ms`, `3.4 s`, `17 min`, `2.5 d`."""
    if seconds is None:
        return NOTHING
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds / MILLISECOND_SECONDS:.0f} ms"
    for unit_seconds, name in (
        (DAY_SECONDS, "d"),
        (HOUR_SECONDS, "h"),
        (MINUTE_SECONDS, "min"),
    ):
        if seconds >= 2 * unit_seconds:
            return f"{_short(seconds / unit_seconds)} {name}"
    return f"{_short(seconds)} s"


def whole_span(seconds: float | None) -> str:
    """Return a span of time in whole seconds and more, which does not flicker while it goes by."""
    if seconds is None:
        return NOTHING
    seconds = max(0.0, seconds)
    return f"{int(seconds)} s" if seconds < 2 * MINUTE_SECONDS else span(seconds)


def amount(number: float | None) -> str:
    """Return a number in at most 5 characters, like `999`, `1.2k`, `34M`."""
    if number is None:
        return NOTHING
    for letter in ("", "k", "M", "G", "T", "P"):
        if abs(number) < THOUSAND - 0.5:
            return f"{number:.0f}" if not letter else f"{_short(number)}{letter}"
        number /= THOUSAND
    return f"{number:.0f}E"


def rate(number: float | None) -> str:
    """Return a rate like an amount, with a digit behind the point when it is small."""
    if number is None:
        return NOTHING
    return f"{number:.1f}" if 0 < number < TEN else amount(number)


def size(size_bytes: float | None) -> str:
    """Return a size in at most 8 characters, like `12 KiB`."""
    if size_bytes is None:
        return NOTHING
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size_bytes) < THOUSAND:
            return f"{_short(size_bytes) if unit != 'B' else f'{size_bytes:.0f}'} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.0f} TiB"


def sparkline(numbers: Sequence[float], width: int) -> str:
    """Return the newest numbers as blocks, from nothing to the greatest of them, the newest at the right."""
    shown = numbers[-width:] if width > 0 else ()
    greatest = max(shown, default=0.0)
    if greatest <= 0:
        return (BLOCKS[0] * len(shown)).rjust(width)
    highest = len(BLOCKS) - 1
    return "".join(BLOCKS[round(max(0.0, number) / greatest * highest)] for number in shown).rjust(
        width
    )


def _short(number: float) -> str:
    return f"{number:.1f}" if number < TEN - 0.05 else f"{number:.0f}"
