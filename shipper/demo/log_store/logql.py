"""The part of LogQL that the store understands: a parser that makes small frozen expressions.

    {app="x", host=~"a.*"} |= "text" != "other" |~ "re" !~ "re" | drop a, b
    count_over_time(LOG[5m])   rate(LOG[5m])   sum(METRIC)   sum by (a, b) (METRIC)
    vector(1) + vector(1)      what Grafana asks to see whether a Loki answers

Everything else is refused with a parse error. Regular expressions are Python's, not RE2's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from shipper.demo.log_store.golang import unquote
from shipper.demo.log_store.refusal import Refused

_ONLY_SUBSET = (
    "this small log store understands a subset of LogQL: selectors, line filters, drop, "
    "count_over_time, rate, sum and vector"
)
_EMPTY_MATCHERS = (
    "parse error : queries require at least one regexp or equality matcher that does not have an "
    'empty-compatible value. For instance, app=~".*" does not meet this requirement, but '
    'app=~".+" will'
)
_TOKEN = re.compile(
    r"""(?P<blank>\s+|\#[^\n]*)
      |(?P<string>"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`)
      |(?P<duration>(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h|d|w|y))+)
      |(?P<number>[0-9]+(?:\.[0-9]+)?)
      |(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)
      |(?P<mark>\|=|\|~|=~|!~|!=|[={},()\[\]|+*/-])""",
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
_MATCHER_MARKS = ("=", "!=", "=~", "!~")
_FILTER_MARKS = ("|=", "!=", "|~", "!~")


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher of a selector; a label that is missing has the value ""."""

    name: str
    mark: str
    value: str
    pattern: re.Pattern[str] | None = None

    def accepts(self, value: str) -> bool:
        """Return whether a label of this value passes."""
        if self.pattern is None:
            return (value == self.value) == (self.mark == "=")
        return (self.pattern.fullmatch(value) is not None) == (self.mark == "=~")


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A selector with line filters; `dropped` names are left out of the labels that come back."""

    matchers: tuple[Matcher, ...]
    filters: tuple[Callable[[str], bool], ...] = ()
    dropped: frozenset[str] = frozenset()

    def accepts_labels(self, labels: Mapping[str, str]) -> bool:
        """Return whether a stream of these labels is selected."""
        return all(matcher.accepts(labels.get(matcher.name, "")) for matcher in self.matchers)

    def accepts_line(self, line: str) -> bool:
        """Return whether a line passes every line filter."""
        return all(accepts(line) for accepts in self.filters)


@dataclass(frozen=True, slots=True)
class RangeCount:
    """count_over_time, or rate when `per_second`: entries in the `range_ns` before each instant."""

    log: LogQuery
    range_ns: int
    per_second: bool


@dataclass(frozen=True, slots=True)
class Sum:
    """sum over a metric; `labels` are those kept, or left out when `without`."""

    metric: MetricQuery
    labels: tuple[str, ...] = ()
    without: bool = False


@dataclass(frozen=True, slots=True)
class Vector:
    """A constant, the value of vector(...) arithmetic."""

    value: float


MetricQuery = RangeCount | Sum | Vector
Query = LogQuery | MetricQuery


def parse_query(text: str) -> Query:
    """Return the expression of a LogQL query.

    Raises:
        Refused: It is no LogQL, or not of the part this store understands.
    """
    parser = _Parser(text)
    query = parser.query()
    parser.expect_end()
    return query


def parse_selector(text: str) -> LogQuery:
    """Return a log query; unlike in `parse_query`, a selector may also select everything.

    Raises:
        Refused: It is no log query.
    """
    parser = _Parser(text)
    query = parser.log_query(may_be_empty=True)
    parser.expect_end()
    return query


def parse_duration_ns(text: str) -> int:
    """Return a duration such as 5m or 1h30m in ns.

    Raises:
        ValueError: The text is no duration.
    """
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a valid duration string: {text!r}")
    return int(sum(float(number) * _UNIT_NS[unit] for number, unit in parts))


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


class _Parser:
    """Reads a query from left to right; `_next` is the token that comes."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._position = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._position]

    def query(self) -> Query:
        if self._next.text == "{":
            return self.log_query()
        return self._metric()

    def log_query(self, *, may_be_empty: bool = False) -> LogQuery:
        matchers = self._matchers()
        if not may_be_empty and all(matcher.accepts("") for matcher in matchers):
            raise Refused(400, _EMPTY_MATCHERS)
        filters: list[Callable[[str], bool]] = []
        dropped: set[str] = set()
        while True:
            if self._next.text in _FILTER_MARKS:
                filters.append(self._line_filter())
            elif self._next.text == "|":
                dropped.update(self._drop())
            else:
                return LogQuery(tuple(matchers), tuple(filters), frozenset(dropped))

    def expect_end(self) -> None:
        if self._next.kind != "end":
            raise self._unexpected()

    def _matchers(self) -> list[Matcher]:
        self._expect("{")
        matchers = []
        while self._next.text != "}":
            matchers.append(self._matcher())
            if self._next.text != "}":
                self._expect(",")
        self._expect("}")
        return matchers

    def _matcher(self) -> Matcher:
        name = self._expect_kind("name")
        if self._next.text not in _MATCHER_MARKS:
            raise self._unexpected()
        mark = self._take()
        value = self._string()
        pattern = _pattern(value, flags=re.DOTALL) if "~" in mark else None
        return Matcher(name, mark, value, pattern)

    def _line_filter(self) -> Callable[[str], bool]:
        mark = self._take()
        wanted = self._string()
        match mark:
            case "|=":
                return lambda line: wanted in line
            case "!=":
                return lambda line: wanted not in line
        pattern = _pattern(wanted)
        if mark == "|~":
            return lambda line: pattern.search(line) is not None
        return lambda line: pattern.search(line) is None

    def _drop(self) -> list[str]:
        self._expect("|")
        self._expect("drop")
        names = [self._expect_kind("name")]
        while self._next.text == ",":
            self._take()
            names.append(self._expect_kind("name"))
        return names

    def _metric(self) -> MetricQuery:
        match self._next.text:
            case "count_over_time" | "rate":
                return self._range_count()
            case "sum":
                return self._sum()
            case "vector":
                return self._vectors()
            case "(":
                self._take()
                metric = self._metric()
                self._expect(")")
                return metric
            case _:
                raise self._unexpected()

    def _range_count(self) -> RangeCount:
        per_second = self._take() == "rate"
        self._expect("(")
        log = self.log_query()
        self._expect("[")
        range_ns = parse_duration_ns(self._expect_kind("duration"))
        self._expect("]")
        self._expect(")")
        return RangeCount(log, range_ns, per_second)

    def _sum(self) -> Sum:
        self._expect("sum")
        grouping = self._grouping()
        self._expect("(")
        metric = self._metric()
        self._expect(")")
        without, labels = grouping or self._grouping() or (False, ())
        return Sum(metric, labels, without)

    def _grouping(self) -> tuple[bool, tuple[str, ...]] | None:
        if self._next.text not in ("by", "without"):
            return None
        without = self._take() == "without"
        self._expect("(")
        labels = []
        while self._next.text != ")":
            labels.append(self._expect_kind("name"))
            if self._next.text != ")":
                self._expect(",")
        self._expect(")")
        return without, tuple(labels)

    def _vectors(self) -> Vector:
        value = self._vector()
        while self._next.text in ("+", "-"):
            sign = 1 if self._take() == "+" else -1
            value += sign * self._vector()
        return Vector(value)

    def _vector(self) -> float:
        self._expect("vector")
        self._expect("(")
        value = float(self._expect_kind("number"))
        self._expect(")")
        return value

    def _string(self) -> str:
        column = self._next.column
        literal = self._expect_kind("string")
        try:
            return unquote(literal)
        except ValueError:
            raise _parse_error(column, "invalid char escape") from None

    def _take(self) -> str:
        text = self._next.text
        self._position += 1
        return text

    def _expect(self, text: str) -> None:
        if self._next.text != text or self._next.kind in ("string", "end"):
            raise self._unexpected()
        self._take()

    def _expect_kind(self, kind: str) -> str:
        if self._next.kind != kind:
            raise self._unexpected()
        return self._take()

    def _unexpected(self) -> Refused:
        token = self._next
        found = "$end" if token.kind == "end" else token.text
        return _parse_error(token.column, f"syntax error: unexpected {found}; {_ONLY_SUBSET}")


def _tokens(text: str) -> list[_Token]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        column = position + 1
        if match is None:
            if text[position] in '"`':
                raise _parse_error(column, "literal not terminated")
            unexpected = f"syntax error: unexpected {text[position]}; {_ONLY_SUBSET}"
            raise _parse_error(column, unexpected)
        if match.lastgroup is not None and match.lastgroup != "blank":
            tokens.append(_Token(match.lastgroup, match.group(), column))
        position = match.end()
    tokens.append(_Token("end", "", len(text) + 1))
    return tokens


def _pattern(text: str, *, flags: int = 0) -> re.Pattern[str]:
    try:
        return re.compile(text, flags)
    except re.error as error:
        raise Refused(400, f"parse error : error parsing regexp: {error}") from error


def _parse_error(column: int, trouble: str) -> Refused:
    return Refused(400, f"parse error at line 1, col {column}: {trouble}")
