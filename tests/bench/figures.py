"""What a bench found, beside what was aimed at, and how that is printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Goal:
    """What was aimed at."""

    bound: Literal["at most", "at least", "exactly"]
    value: float

    def is_met(self, value: float) -> bool:
        """Say whether `value` is on the right side."""
        match self.bound:
            case "at most":
                return value <= self.value
            case "at least":
                return value >= self.value
            case "exactly":
                return value == self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One number.

    Attributes:
        name: What was measured.
        value: How much.
        unit: Of what; empty for a count.
        goal: What was aimed at; `None` for a number that is only told.
        note: What to know when reading it.
    """

    name: str
    value: float
    unit: str = ""
    goal: Goal | None = None
    note: str = ""


def table(bench: str, figures: Sequence[Figure]) -> Table:
    """Return the figures of one bench as a table."""
    shown = Table(title=bench, title_justify="left", title_style="bold", expand=False)
    shown.add_column("figure")
    shown.add_column("measured", justify="right")
    shown.add_column("goal", justify="right")
    shown.add_column("of goal", justify="right")
    shown.add_column("note")
    for figure in figures:
        shown.add_row(
            figure.name,
            _amount(figure.value, figure.unit),
            _goal(figure),
            _share(figure),
            figure.note,
        )
    return shown


def as_json(figures: Sequence[Figure]) -> list[Mapping[str, Any]]:
    """Return the figures of one bench ready for JSON."""
    return [
        asdict(figure) | {"met": None if figure.goal is None else figure.goal.is_met(figure.value)}
        for figure in figures
    ]


def _amount(value: float, unit: str) -> str:
    digits = 0 if value == int(value) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    sign = {"at most": "<=", "at least": ">=", "exactly": "="}[figure.goal.bound]
    return f"{sign} {_amount(figure.goal.value, figure.unit)}"


def _share(figure: Figure) -> str:
    """Return the ratio of what was measured to what was aimed at, and whether that is good."""
    if figure.goal is None:
        return ""
    verdict = "met" if figure.goal.is_met(figure.value) else "MISSED"
    ratio = f"{figure.value / figure.goal.value:.2f} " if figure.goal.value else ""
    return ratio + verdict
