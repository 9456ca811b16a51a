"""Cuts the text of a LogQL query into words, and reads durations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shipper.demo.log_store.refusal import Refused

ONLY_SUBSET = (
    "this small log store understands a subset of LogQL: selectors, line filters, json, label "
    "filters, line_format, drop, keep, unwrap, ranges, sum, min, max, avg, count, topk and vector"
)
_TOKEN = re.compile(
    r"""(?P<blank>\s+|\#[^\n]*)
      |(?P<string>"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`)
      |(?P<duration>(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h|d|w|y))+)
      |(?P<number>[0-9]+(?:\.[0-9]+)?)
      |(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)
      |(?P<mark>\|=|\|~|=~|!~|!=|==|>=|<=|[=<>{},()\[\]|+*/-])""",
    re.VERBOSE,
)
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h|d|w|y)")
_UNIT_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
    "y": 31_536_000_000_000_000,
}


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a query: what it is, its text, and its column from 1."""

    kind: str
    text: str
    column: int


def tokens_of(text: str) -> list[Token]:
    """Return the words of a query, and a last one of the kind `end`.

    Raises:
        Refused: Something in it is no word of LogQL.
    """
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        column = position + 1
        if match is None:
            if text[position] in '"`':
                raise parse_error(column, "literal not terminated")
            unexpected = f"syntax error: unexpected {text[position]}; {ONLY_SUBSET}"
            raise parse_error(column, unexpected)
        if match.lastgroup is not None and match.lastgroup != "blank":
            tokens.append(Token(match.lastgroup, match.group(), column))
        position = match.end()
    tokens.append(Token("end", "", len(text) + 1))
    return tokens


def parse_duration_ns(text: str) -> int:
    """Return a duration such as 5m or 1h30m in ns.

    Raises:
        ValueError: The text is no duration.
    """
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a valid duration string: {text!r}")
    return int(sum(float(number) * _UNIT_NS[unit] for number, unit in parts))


def parse_error(column: int, trouble: str) -> Refused:
    """Return a refusal in Loki's words."""
    return Refused(400, f"parse error at line 1, col {column}: {trouble}")
