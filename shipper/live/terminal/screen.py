"""Draws: from what is known and what somebody wants to see, the lines of a screen. Nothing else happens here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.cells import cell_len
from rich.console import Group
from rich.text import Text

from shipper.core.words import counted, printable
from shipper.live.terminal.columns import fitted, heading, layout, metric_line
from shipper.live.terminal.figures import Mood, amount, rate, state_of, whole_span
from shipper.live.terminal.lines import Lines
from shipper.live.terminal.metric import metric_lines
from shipper.live.terminal.picture import Picture, number
from shipper.live.terminal.view import View

Way = Literal["live", "polled", "lost"]

LINES_AROUND_TABLE = 6
"""Two of the header, one empty, the heading, one empty and the keys."""

KEYS = "q quit   p pause   s sort   / filter   ↑↓ choose   Enter open"
KEYS_OF_METRIC = "Esc back   q quit   p pause   / filter lines   w whole lines   ↑↓ other metric"


@dataclass(frozen=True, slots=True)
class Reach:
    """How Shipper is reached.

    Attributes:
        address: Where it is.
        way: Whether it tells what changes, is asked again and again, or is not reached.
        why: Why it is not reached.
        since: The time of day since when.
    """

    address: str
    way: Way = "polled"
    why: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that can be drawn.

    Attributes:
        picture: The state.
        reach: How it is reached.
        lines: Live lines of the metric that is opened.
    """

    picture: Picture
    reach: Reach
    lines: Lines = field(default_factory=Lines)


def screen(
    seen: Seen, view: View, names: Sequence[str], size: tuple[int, int], *, seconds: float
) -> Group:
    """Return the whole screen.

    Args:
        seen: What is known.
        view: What is wanted.
        names: The metrics in the table, in its order.
        size: Columns and lines of the terminal.
        seconds: The monotonic clock.
    """
    width, height = size
    lines = [*header(seen, view, width, seconds=seconds), Text()]
    row = seen.picture.rows.get(view.selected or "") if view.opened else None
    if row is not None:
        now = seen.picture.now(seconds)
        lines += metric_lines(view, row, seen.lines, (width, height - 2 - len(lines)), now=now)
    else:
        lines += _table(seen.picture, view, names, size, seconds)
    lines = lines[: max(0, height - 2)]
    lines += [Text()] * (height - 1 - len(lines))
    lines.append(_footer(view, len(names), len(seen.picture.rows), width))
    return Group(*(_one_line(line) for line in lines[-height:]))


def table_rows(height: int) -> int:
    """Return how many metrics fit on a screen."""
    return max(1, height - LINES_AROUND_TABLE)


def all_lines(seen: Seen, names: Sequence[str], width: int, *, seconds: float) -> Iterator[Text]:
    """Yield header and table with every metric, for who wants them once."""
    yield from header(seen, View(), width, seconds=seconds)
    yield Text()
    table = layout(names, width)
    yield heading(table)
    now = seen.picture.now(seconds)
    for name in names:
        yield metric_line(name, seen.picture.rows[name], table, now=now)


def header(seen: Seen, view: View, width: int, *, seconds: float) -> Iterator[Text]:
    """Yield two lines: who it is and how it is; what all metrics do together, or why it is not ready."""
    picture, reach = seen.picture, seen.reach
    left = Text.assemble(
        ("Shipper ", "bold"),
        (printable(picture.version, 20), "bold"),
        "  ",
        printable(reach.address, 60),
        "  ",
        ("ready", "green") if picture.ready else ("not ready", "bold red"),
    )
    yield _spread(left, _freshness(seen, view, seconds), width)
    if picture.ready:
        yield _summary(picture)
        return
    reasons = "; ".join(printable(reason) for reason in picture.reasons)
    yield Text(fitted(reasons or "it does not say why", width), style="red")


def _freshness(seen: Seen, view: View, seconds: float) -> Text:
    age = whole_span(seconds - seen.picture.received_seconds)
    if seen.reach.way == "lost":
        why = printable(seen.reach.why, 60)
        return Text(f"STALE since {seen.reach.since}, {age} old: {why}", style="bold red")
    if view.paused:
        return Text("PAUSED", style="bold yellow")
    return Text(f"{age} old, {seen.reach.way}", style="dim")


def _summary(picture: Picture) -> Text:
    words = Counter(state_of(row) for row in picture.rows.values())
    states = sorted(words.items(), key=lambda each: (each[0][1] is not Mood.GOOD, each[0]))
    parts = ", ".join(f"{printable(word, 20)} {count}" for (word, _), count in states)
    rows = sum(number(row, "rows_per_second") or 0 for row in picture.rows.values())
    waiting = sum(number(row, "lines_waiting") or 0 for row in picture.rows.values())
    text = f"{counted(len(picture.rows), 'metric')}: {parts}   {rate(rows)} rows/s"
    return Text(f"{text}   {amount(waiting)} lines wait", style="dim")


def _table(
    picture: Picture, view: View, names: Sequence[str], size: tuple[int, int], seconds: float
) -> Iterator[Text]:
    width, height = size
    table = layout(picture.rows, width)
    yield heading(table)
    if not names:
        yield Text("No metric has that in it." if picture.rows else "No metrics.", style="dim")
    room, now = table_rows(height), picture.now(seconds)
    # Whole pages, so that lines stay where they are while the cursor moves.
    place = names.index(view.selected) if view.selected in names else 0
    first = place // room * room
    for name in names[first : first + room]:
        is_selected = name == view.selected
        yield metric_line(name, picture.rows[name], table, now=now, selected=is_selected)


def _footer(view: View, shown: int, known: int, width: int) -> Text:
    if view.typing is not None:
        return Text(f"/{printable(view.typing)}█   Enter takes it, Esc leaves it")
    keys = Text(KEYS_OF_METRIC if view.opened else KEYS, style="dim")
    wanted = view.line_filter if view.opened else view.filter
    words = [f"/{printable(wanted, 40)}"] if wanted else []
    if not view.opened:
        words += [f"{shown} of {known}"] if wanted else []
        words.append(f"by {view.sort}")
    return _spread(keys, Text("   ".join(words), style="bold" if wanted else "dim"), width)


def _spread(left: Text, right: Text, width: int) -> Text:
    """Return a line with one text at its left and one at its right; the right one needs its room first."""
    right.truncate(width, overflow="ellipsis")
    left.truncate(max(0, width - cell_len(right.plain) - 1), overflow="ellipsis", pad=True)
    return Text.assemble(left, " " if cell_len(right.plain) < width else "", right)


def _one_line(line: Text) -> Text:
    line.no_wrap, line.overflow, line.end = True, "crop", "\n"
    return line
