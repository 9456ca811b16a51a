"""The part of LogQL that the store understands: a parser that makes small frozen expressions.

    {app="x", host=~"a.*"} |= "text" != "other" |~ "re" !~ "re"
      | json | json a="b.c" | a = "text" | a =~ "re" | b >= 5 | line_format `{{.a}}` | drop a | keep a | unwrap b
    count_over_time(LOG[5m])   bytes_over_time and rate   max_over_time(LOG | unwrap b [5m]) by (a)   and sum, avg, min
    sum by (a, b) (METRIC)     and min, max, avg, count, topk(3, METRIC)
    vector(1) + vector(1)      what Grafana asks to see whether a Loki answers

Everything else is refused with a parse error. Regular expressions are Python's, not RE2's.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from shipper.demo.log_store.expressions import (
    Aggregation,
    Grouping,
    LogQuery,
    Matcher,
    MetricQuery,
    Query,
    RangeFunction,
    Vector,
)
from shipper.demo.log_store.golang import unquote
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.stages import (
    COMPARISONS,
    Stage,
    drop_stage,
    json_stage,
    keep_stage,
    label_filter,
    line_filter,
    line_format,
    number_filter,
    unwrap,
)
from shipper.demo.log_store.tokens import (
    ONLY_SUBSET,
    Token,
    parse_duration_ns,
    parse_error,
    tokens_of,
)

_EMPTY_MATCHERS = (
    "parse error : queries require at least one regexp or equality matcher that does not have an "
    'empty-compatible value. For instance, app=~".*" does not meet this requirement, but '
    'app=~".+" will'
)
_MATCHER_MARKS = ("=", "!=", "=~", "!~")
_FILTER_MARKS = ("|=", "!=", "|~", "!~")
_COUNTING = ("count_over_time", "bytes_over_time", "rate")
_UNWRAPPING = ("sum_over_time", "avg_over_time", "min_over_time", "max_over_time")
_GROUPED_RANGES = ("avg_over_time", "min_over_time", "max_over_time")
_AGGREGATIONS = ("sum", "min", "max", "avg", "count", "topk")


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


class _Parser:
    """Reads a query from left to right; `_next` is the token that comes."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens_of(text)
        self._position = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def query(self) -> Query:
        if self._next.text == "{":
            return self.log_query()
        return self._metric()

    def log_query(self, *, may_be_empty: bool = False, may_unwrap: bool = False) -> LogQuery:
        matchers = self._matchers()
        if not may_be_empty and all(matcher.accepts("") for matcher in matchers):
            raise Refused(400, _EMPTY_MATCHERS)
        filters: list[Callable[[str], bool]] = []
        stages: list[Stage] = []
        unwraps = False
        while True:
            if self._next.text in _FILTER_MARKS:
                accepts = self._line_filter()
                stages.append(line_filter(accepts)) if stages else filters.append(accepts)
            elif self._next.text == "|":
                self._take()
                if self._next.text == "unwrap" and not may_unwrap:
                    raise self._unexpected()
                unwraps |= self._next.text == "unwrap"
                stages.append(self._stage())
            else:
                return LogQuery(tuple(matchers), tuple(filters), tuple(stages), unwraps)

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

    def _stage(self) -> Stage:
        name = self._expect_kind("name")
        match name:
            case "json":
                return json_stage(self._paths())
            case "line_format":
                return self._line_format()
            case "drop":
                return drop_stage(frozenset(self._names()))
            case "keep":
                return keep_stage(frozenset(self._names()))
            case "unwrap":
                return unwrap(self._expect_kind("name"))
            case _:
                return self._label_filter(name)

    def _paths(self) -> dict[str, tuple[str, ...]]:
        """Read what json may take: labels, and where in the object they are; none is all of them."""
        paths = {}
        while self._next.kind == "name":
            name = self._take()
            path = name
            if self._next.text == "=":
                self._take()
                path = self._string()
            paths[name] = tuple(path.split("."))
            if self._next.text != ",":
                break
            self._take()
        return paths

    def _line_format(self) -> Stage:
        column = self._next.column
        template = self._string()
        try:
            return line_format(template)
        except ValueError as error:
            raise parse_error(column, f"{error}; {ONLY_SUBSET}") from error

    def _label_filter(self, name: str) -> Stage:
        if self._next.text not in (*_MATCHER_MARKS, *COMPARISONS):
            raise self._unexpected()
        mark = self._take()
        if self._next.kind == "number" and mark in COMPARISONS:
            return number_filter(name, mark, float(self._take()))
        if mark not in _MATCHER_MARKS:
            raise self._unexpected()
        value = self._string()
        pattern = _pattern(value, flags=re.DOTALL) if "~" in mark else None
        return label_filter(name, Matcher(name, mark, value, pattern).accepts)

    def _names(self) -> list[str]:
        names = [self._expect_kind("name")]
        while self._next.text == ",":
            self._take()
            names.append(self._expect_kind("name"))
        return names

    def _metric(self) -> MetricQuery:
        name = self._next.text
        if name in (*_COUNTING, *_UNWRAPPING):
            return self._range_function()
        if name in _AGGREGATIONS:
            return self._aggregation()
        if name == "vector":
            return self._vectors()
        self._expect("(")
        metric = self._metric()
        self._expect(")")
        return metric

    def _range_function(self) -> RangeFunction:
        place, function = self._next, self._take()
        self._expect("(")
        log = self.log_query(may_unwrap=True)
        if function in _UNWRAPPING and not log.unwraps:
            raise parse_error(place.column, f"invalid aggregation {function} without unwrap")
        self._expect("[")
        range_ns = parse_duration_ns(self._expect_kind("duration"))
        self._expect("]")
        self._expect(")")
        grouping = self._grouping() if function in _GROUPED_RANGES else None
        return RangeFunction(function, log, range_ns, grouping or Grouping(without=True))

    def _aggregation(self) -> Aggregation:
        operation = self._take()
        grouping = self._grouping()
        self._expect("(")
        most = 0
        if operation == "topk":
            most = int(float(self._expect_kind("number")))
            self._expect(",")
        metric = self._metric()
        self._expect(")")
        return Aggregation(operation, metric, grouping or self._grouping() or Grouping(), most)

    def _grouping(self) -> Grouping | None:
        if self._next.text not in ("by", "without"):
            return None
        without = self._take() == "without"
        self._expect("(")
        labels = self._names() if self._next.text != ")" else []
        self._expect(")")
        return Grouping(tuple(labels), without)

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
            raise parse_error(column, "invalid char escape") from None

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
        return parse_error(token.column, f"syntax error: unexpected {found}; {ONLY_SUBSET}")


def _pattern(text: str, *, flags: int = 0) -> re.Pattern[str]:
    try:
        return re.compile(text, flags)
    except re.error as error:
        raise Refused(400, f"parse error : error parsing regexp: {error}") from error
