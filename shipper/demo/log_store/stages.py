"""What happens to a line on its way through a LogQL pipeline, stage by stage.

A stage changes the line in place and returns whether it stays. As in Loki an error does not stop a line: it becomes the
label `__error__`, which a later label filter can look at.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

ERROR = "__error__"

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
_FIELD = re.compile(r"\{\{\s*\.([a-zA-Z_][a-zA-Z0-9_]*)\s*\}\}")
COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(slots=True)
class Line:
    """A line on its way: its text, its labels, and the number that `unwrap` found."""

    text: str
    labels: dict[str, str]
    value: float = 1.0


Stage = Callable[[Line], bool]


def json_stage(wanted: Mapping[str, tuple[str, ...]]) -> Stage:
    """Make labels of a JSON object: of every field, or of those at the `wanted` paths, by label."""

    def parse(line: Line) -> bool:
        try:
            row = json.loads(line.text, parse_int=str, parse_float=str)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            line.labels[ERROR] = "JSONParserErr"
            return True
        found = _picked(row, wanted) if wanted else dict(_flat(row))
        before = frozenset(line.labels)
        for name, value in found.items():
            line.labels[f"{name}_extracted" if name in before else name] = value
        return True

    return parse


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields; those of an object within are joined by `_`, and lists are left out."""
    for key, value in row.items():
        name = prefix + _NOT_IN_A_NAME.sub("_", key)
        if isinstance(value, dict):
            yield from _flat(value, f"{name}_")
        elif not isinstance(value, list) and value is not None:
            yield f"_{name}" if name[:1].isdigit() else name, _text(value)


def _picked(row: Mapping[str, Any], wanted: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    picked = {}
    for name, path in wanted.items():
        value: Any = row
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            picked[name] = _text(value)
    return picked


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def line_filter(accepts: Callable[[str], bool]) -> Stage:
    """Leave out lines by their text."""
    return lambda line: accepts(line.text)


def label_filter(name: str, accepts: Callable[[str], bool]) -> Stage:
    """Leave out lines by the text of a label; a missing one is empty."""
    return lambda line: accepts(line.labels.get(name, ""))


def number_filter(name: str, mark: str, limit: float) -> Stage:
    """Leave out lines by the number in a label, and lines without it; what is no number is kept, with an error."""
    compares = COMPARISONS[mark]

    def accept(line: Line) -> bool:
        if name not in line.labels:
            return False
        try:
            return compares(float(line.labels[name]), limit)
        except ValueError:
            line.labels[ERROR] = "LabelFilterErr"
            return True

    return accept


def drop_stage(names: frozenset[str]) -> Stage:
    """Take these labels away."""

    def drop(line: Line) -> bool:
        for name in names & line.labels.keys():
            del line.labels[name]
        return True

    return drop


def keep_stage(names: frozenset[str]) -> Stage:
    """Take all labels away but these; errors stay."""

    def keep(line: Line) -> bool:
        line.labels = {
            name: value for name, value in line.labels.items() if name in names or name == ERROR
        }
        return True

    return keep


def line_format(template: str) -> Stage:
    """Write the line anew, with labels where the template names them.

    Raises:
        ValueError: The template holds more than names.
    """
    if "{{" in _FIELD.sub("", template):
        raise ValueError("a template may hold {{.name}} and nothing else in braces")

    def write(line: Line) -> bool:
        line.text = _FIELD.sub(lambda match: line.labels.get(match[1], ""), template)
        return True

    return write


def unwrap(name: str) -> Stage:
    """Take the line's number from a label, which goes; lines without it are left out."""

    def take(line: Line) -> bool:
        if name not in line.labels:
            return False
        try:
            line.value = float(line.labels.pop(name))
        except ValueError:
            line.labels[ERROR] = "SampleExtractionErr"
        return True

    return take
