"""The table of metrics: which columns there are, which of them fit, and a line for each metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from shipper.core.words import printable
from shipper.live.terminal.figures import (
    NOTHING,
    Mood,
    amount,
    rate,
    size,
    span,
    sparkline,
    state_of,
    trouble_of,
    whole_span,
)
from shipper.live.terminal.picture import Row, number, polls

GAP = "  "
MOST_NAME_CHARACTERS = 32
LEAST_NAME_CHARACTERS = 6
TROUBLE_CHARACTERS = 32
"""What is left to it at least, unless the terminal is narrow; then it is a quarter, and as much for the name."""

SPARKS = 12
OLD_SECONDS = 10.0
"""Lines that wait for longer than this did not just come."""

STYLES = {Mood.BAD: "red", Mood.WAIT: "yellow", Mood.GOOD: "green"}
TROUBLE_STYLES = {Mood.BAD: "red", Mood.WAIT: "yellow", Mood.GOOD: "dim"}
HEADING_STYLE = "bold"
SELECTED_STYLE = "reverse"

Cell = tuple[str, str]
"""A text and its style."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        heading: What stands above it.
        width: How many characters it takes.
        cell: What stands in it, for a row and the time of Shipper's clock.
        rank: Those with a low one stay the longest when there is little room.
        right: Whether it stands at the right of its room.
    """

    heading: str
    width: int
    cell: Callable[[Row, float], Cell]
    rank: int
    right: bool = True


def _state(row: Row, _now: float) -> Cell:
    word, mood = state_of(row)
    return word, STYLES[mood]


def _last(row: Row, now: float) -> Cell:
    at = number(row, "last_poll_at")
    return (whole_span(now - at) if at else NOTHING), ""


def _next(row: Row, now: float) -> Cell:
    at = number(row, "next_poll_at")
    return (whole_span(at - now) if at and row.get("waits") is not True else NOTHING), ""


def _took(row: Row, _now: float) -> Cell:
    last = number(row, "last_poll_seconds")
    return span(last if last is not None else next(iter(polls(row)[-1:]), None)), ""


def _waiting_style(row: Row) -> str:
    return "yellow" if (number(row, "oldest_unsent_seconds") or 0) > OLD_SECONDS else ""


COLUMNS = (
    Column("state", 10, _state, 0, right=False),
    Column("last", 7, _last, 2),
    Column("next", 7, _next, 7),
    Column("took", 6, _took, 4),
    Column("polls", SPARKS, lambda row, _now: (sparkline(polls(row), SPARKS), "cyan"), 6),
    Column("rows/s", 6, lambda row, _now: (rate(number(row, "rows_per_second")), ""), 3),
    Column("lag", 7, lambda row, _now: (whole_span(number(row, "lag_seconds")), ""), 9),
    Column("waiting", 7, lambda row, _: (amount(number(row, "lines_waiting")), _waiting_style(row)), 1),
    Column("bytes", 8, lambda row, _now: (size(number(row, "bytes_waiting")), _waiting_style(row)), 11),
    Column("oldest", 7, lambda row, _: (whole_span(number(row, "oldest_unsent_seconds")), _waiting_style(row)), 8),
    Column("sent", 5, lambda row, _now: (amount(number(row, "lines_delivered")), ""), 5),
    Column("again", 5, lambda row, _now: (amount(number(row, "restarts")), ""), 10),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table uses its width.

    Attributes:
        columns: Those that fit, in their order.
        name_width: For the name, which comes first.
        trouble_width: For what is wrong, which comes last.
    """

    columns: tuple[Column, ...]
    name_width: int
    trouble_width: int


def layout(names: Iterable[str], width: int) -> Layout:
    """Return the columns that fit into a width, between the name and what is wrong."""
    longest = max((cell_len(printable(name)) for name in names), default=0)
    quarter = max(LEAST_NAME_CHARACTERS, width // 4)
    name_width = min(max(longest, LEAST_NAME_CHARACTERS), MOST_NAME_CHARACTERS, quarter)
    free = width - name_width - len(GAP)
    chosen: list[Column] = []
    for column in sorted(COLUMNS, key=lambda each: each.rank):
        needed = len(GAP) + column.width
        if free - needed < min(TROUBLE_CHARACTERS, quarter):
            break
        free -= needed
        chosen.append(column)
    columns = tuple(column for column in COLUMNS if column in chosen)
    return Layout(columns, name_width, max(0, free))


def heading(table: Layout) -> Text:
    """Return the line above the table."""
    cells = [(fitted("metric", table.name_width), HEADING_STYLE)]
    cells += [
        (fitted(column.heading, column.width, right=column.right), HEADING_STYLE)
        for column in table.columns
    ]
    return _joined([*cells, (fitted("trouble", table.trouble_width), HEADING_STYLE)])


def metric_line(name: str, row: Row, table: Layout, *, now: float, selected: bool = False) -> Text:
    """Return the line of one metric."""
    cells = [(fitted(printable(name), table.name_width), "")]
    for column in table.columns:
        content, style = column.cell(row, now)
        cells.append((fitted(printable(content), column.width, right=column.right), style))
    trouble = printable(trouble_of(row), max(2, table.trouble_width))
    mood = state_of(row)[1]
    line = _joined([*cells, (fitted(trouble, table.trouble_width), TROUBLE_STYLES[mood])])
    if selected:
        line.stylize(SELECTED_STYLE)
    return line


def fitted(content: str, width: int, *, right: bool = False) -> str:
    """Return a text that takes exactly `width` characters of a terminal."""
    length = cell_len(content)
    if length > width:
        return f"{set_cell_size(content, width - 1)}…" if width > 0 else ""
    space = " " * (width - length)
    return f"{space}{content}" if right else f"{content}{space}"


def _joined(cells: Sequence[Cell]) -> Text:
    line = Text(no_wrap=True, overflow="crop", end="")
    for place, (content, style) in enumerate(cells):
        line.append(GAP if place else "").append(content, style or None)
    return line
