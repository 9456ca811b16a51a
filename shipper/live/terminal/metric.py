"""One metric alone: everything that is known of it, and its lines as they are shipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.cells import chop_cells
from rich.text import Text

from shipper.core.words import counted, printable
from shipper.live.terminal.columns import STYLES, TROUBLE_STYLES, fitted
from shipper.live.terminal.figures import (
    NOTHING,
    amount,
    rate,
    size,
    span,
    sparkline,
    state_of,
    trouble_of,
    whole_span,
)
from shipper.live.terminal.lines import MOST_LINE_CHARACTERS, Line, Lines
from shipper.live.terminal.picture import MOST_POLLS, Row, number, polls, text
from shipper.live.terminal.view import View

MOST_TROUBLE_LINES = 3
MOST_LABELS_CHARACTERS = 500

Room = tuple[int, int]
"""Columns and lines."""


def metric_lines(view: View, row: Row, lines: Lines, room: Room, *, now: float) -> list[Text]:
    """Return what is shown of the metric that is opened: what is known of it, and below it its newest lines."""
    width, height = room
    name = view.selected or ""
    known = [*_known(name, row, width, now), Text(), _lines_heading(view, lines)]
    return [*known, *_newest(view, lines, width, height - len(known))]


def _known(name: str, row: Row, width: int, now: float) -> Iterator[Text]:
    word, mood = state_of(row)
    yield Text.assemble(
        (printable(name), "bold"),
        "  ",
        (printable(word), STYLES[mood]),
        "  ",
        (printable(f"{text(row, 'type')} {text(row, 'instance')}"), "dim"),
    )
    for line in _facts(row, now):
        yield Text(line)
    yield from _polls(row, width)
    yield from _labels(row)
    trouble = printable(trouble_of(row), max(1, width) * MOST_TROUBLE_LINES)
    for part in chop_cells(trouble, max(1, width))[:MOST_TROUBLE_LINES] if trouble else ():
        yield Text(part, style=TROUBLE_STYLES[mood])


def _facts(row: Row, now: float) -> Iterator[str]:
    last, following = number(row, "last_poll_at"), number(row, "next_poll_at")
    ago = f"{whole_span(now - last)} ago" if last else NOTHING
    when = f"in {whole_span(following - now)}" if following else NOTHING
    polled = f"polled  {ago}, {_count(row, 'rows_in_last_poll')} rows"
    if row.get("waits") is True:
        yield f"{polled}   waits for what comes"
    else:
        yield f"{polled}   next {when}   every {span(number(row, 'every_seconds')).replace('.0 ', ' ')}"
    yield (
        f"rows    {_count(row, 'rows_total')}   {rate(number(row, 'rows_per_second'))} /s   "
        f"lag {whole_span(number(row, 'lag_seconds'))}   streams {_count(row, 'streams')}"
    )
    yield (
        f"lines   {_count(row, 'lines_delivered')} delivered   {_count(row, 'lines_rejected')} rejected   "
        f"{_count(row, 'lines_dropped')} dropped"
    )
    yield (
        f"waiting {counted_lines(row)}   {size(number(row, 'bytes_waiting'))}   "
        f"oldest {whole_span(number(row, 'oldest_unsent_seconds'))}"
    )
    yield f"process {number(row, 'pid') or 0:.0f}   started again {_count(row, 'restarts')} times"


def counted_lines(row: Row) -> str:
    """Return how many lines wait, in words."""
    lines = number(row, "lines_waiting")
    return NOTHING if lines is None else counted(round(lines), "line")


def _polls(row: Row, width: int) -> Iterator[Text]:
    durations = polls(row)
    if durations:
        label, range_ = "took    ", f"  {span(min(durations))} to {span(max(durations))}"
        sparks = min(len(durations), MOST_POLLS, max(0, width - len(label) - len(range_)))
        yield Text.assemble(label, (sparkline(durations, sparks), "cyan"), (range_, "dim"))


def _labels(row: Row) -> Iterator[Text]:
    fixed, fields = row.get("labels"), row.get("label_values")
    words = [f"{name}={value}" for name, value in _items(fixed)]
    words += [f"{name}: {value} values" for name, value in _items(fields)]
    if words:
        yield Text(f"labels  {printable('   '.join(words), MOST_LABELS_CHARACTERS)}", style="dim")


def _items(value: object) -> list[tuple[object, object]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _count(row: Row, key: str) -> str:
    value = number(row, key)
    return NOTHING if value is None else amount(value) if value >= 1e9 else f"{value:,.0f}"


def _lines_heading(view: View, lines: Lines) -> Text:
    words = "lines as they are shipped (UTC)"
    if view.line_filter:
        words += f", those with {printable(view.line_filter, 40)}"
    heading = Text(words, style="bold")
    if lines.lost:
        heading.append(f"   {amount(lines.lost)} came too fast to be shown", style="yellow")
    if lines.trouble:
        heading.append(f"   {printable(lines.trouble)}", style="yellow")
    return heading


def _newest(view: View, lines: Lines, width: int, room: int) -> list[Text]:
    """Return as many of the newest lines as there is room for."""
    if not lines.newest and not lines.trouble:
        return [Text("none yet", style="dim")]
    shown: list[Text] = []
    for line in reversed(lines.newest):
        if len(shown) >= room:
            break
        shown = [*_parts(line, width, whole=view.wrapped), *shown]
    return shown[-room:] if room > 0 else []


def _parts(line: Line, width: int, *, whole: bool) -> list[Text]:
    indent = len(line.time) + 1 if line.time else 0
    room = max(1, width - indent)
    content = printable(line.text, MOST_LINE_CHARACTERS if whole else room)
    parts = (chop_cells(content, room) or [""]) if whole else [fitted(content, room)]
    first = Text.assemble((f"{line.time} " if line.time else "", "dim"), parts[0])
    return [first, *(Text(f"{' ' * indent}{part}") for part in parts[1:])]
