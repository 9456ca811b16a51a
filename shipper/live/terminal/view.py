"""What somebody wants to see, and what a key changes about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from shipper.live.terminal.figures import state_of, trouble_of
from shipper.live.terminal.picture import Picture, Row, number, polls, text

MOST_TYPED_CHARACTERS = 200

Sort = Literal["trouble", "name", "rows/s", "waiting", "lag", "duration", "restarts"]

SORTS: dict[Sort, Callable[[str, Row], float | str]] = {
    "trouble": lambda _name, row: state_of(row)[1],
    "name": lambda name, _row: name,
    "rows/s": lambda _name, row: -(number(row, "rows_per_second") or 0),
    "waiting": lambda _name, row: -(number(row, "lines_waiting") or 0),
    "lag": lambda _name, row: -(number(row, "lag_seconds") or 0),
    "duration": lambda _name, row: -_last_poll_seconds(row),
    "restarts": lambda _name, row: -(number(row, "restarts") or 0),
}
"""What comes first in each order; the order of Shipper itself decides between equals."""


@dataclass(frozen=True, slots=True)
class View:
    """What somebody wants to see.

    Attributes:
        sort: The order of the table.
        filter: Only metrics with this text in them.
        line_filter: Only live lines with this text in them.
        selected: The metric that the cursor is on; `None` before it was moved.
        opened: Whether that metric is shown alone, with its lines.
        typing: The filter that is being typed; `None` when keys mean what they say.
        paused: Whether what is shown stands still.
        wrapped: Whether lines are shown whole, however long.
    """

    sort: Sort = "trouble"
    filter: str = ""
    line_filter: str = ""
    selected: str | None = None
    opened: bool = False
    typing: str | None = None
    paused: bool = False
    wrapped: bool = False


def shown(picture: Picture, view: View) -> list[str]:
    """Return the names of the metrics that are in the table, in its order."""
    wanted = view.filter if view.typing is None or view.opened else view.typing
    rank = SORTS[view.sort]
    found = [
        (rank(name, row), name)
        for name, row in picture.rows.items()
        if not wanted or _matches(name, row, wanted.casefold())
    ]
    # Sorting is stable, so that equals stay in Shipper's own order.
    return [name for _, name in sorted(found, key=lambda each: each[0])]


def settled(view: View, picture: Picture) -> View:
    """Return the view without a metric that is not there any more."""
    if view.selected is None or view.selected in picture.rows:
        return view
    return replace(view, selected=None, opened=False, line_filter="")


def press(view: View, key: str, names: Sequence[str], *, page_rows: int) -> View:
    """Return the view after a key; `names` are those in the table, `page_rows` how many fit."""
    if view.typing is not None:
        return _typed(view, key, view.typing)
    match key:
        case "p":
            return replace(view, paused=not view.paused)
        case "w":
            return replace(view, wrapped=not view.wrapped)
        case "/":
            return replace(view, typing=view.line_filter if view.opened else view.filter)
        case "s" if not view.opened:
            return replace(view, sort=_after(view.sort))
        case "enter" | "right" if not view.opened:
            return _open(view, names)
        case "escape" | "left":
            return _back(view)
        case _:
            return _moved(view, key, names, page_rows)


def _typed(view: View, key: str, typing: str) -> View:
    match key:
        case "escape":
            return replace(view, typing=None)
        case "enter" if view.opened:
            return replace(view, typing=None, line_filter=typing)
        case "enter":
            return replace(view, typing=None, filter=typing)
        case "backspace":
            return replace(view, typing=typing[:-1])
        case "clear":
            return replace(view, typing="")
        case _ if len(key) == 1:
            return replace(view, typing=f"{typing}{key}"[:MOST_TYPED_CHARACTERS])
        case _:
            return view


def _open(view: View, names: Sequence[str]) -> View:
    selected = view.selected if view.selected in names else next(iter(names), None)
    return replace(view, selected=selected, opened=selected is not None)


def _back(view: View) -> View:
    """Leave what was entered last: the metric, its filter first, or the filter of the table, or the cursor."""
    if view.opened:
        return replace(view, opened=False, line_filter="")
    if view.filter:
        return replace(view, filter="")
    return replace(view, selected=None)


def _moved(view: View, key: str, names: Sequence[str], page_rows: int) -> View:
    steps = {
        "up": -1, "k": -1, "down": 1, "j": 1, "page up": -page_rows, "page down": page_rows,
        "home": -len(names), "end": len(names),
    }  # fmt: skip
    if key not in steps or not names:
        return view
    if view.selected not in names:
        place = 0 if steps[key] > 0 and key != "end" else len(names) - 1
        return replace(view, selected=names[0 if key == "home" else place])
    place = names.index(view.selected) + steps[key]
    return replace(view, selected=names[min(max(place, 0), len(names) - 1)])


def _after(sort: Sort) -> Sort:
    order = list(SORTS)
    return order[(order.index(sort) + 1) % len(order)]


def _matches(name: str, row: Row, wanted: str) -> bool:
    texts = (name, text(row, "type"), text(row, "instance"), state_of(row)[0], trouble_of(row))
    return any(wanted in each.casefold() for each in texts)


def _last_poll_seconds(row: Row) -> float:
    last = number(row, "last_poll_seconds")
    return last if last is not None else next(iter(polls(row)[-1:]), 0.0)
