"""What a LogQL query comes to: small frozen expressions, made by the parser and answered by the evaluator."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shipper.demo.log_store.stages import Line, Stage


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
    """A selector with a pipeline.

    Attributes:
        matchers: Which streams.
        filters: What the text of a line has to pass before the first stage.
        stages: What happens to the line then.
        unwraps: Whether one of the stages makes a number of the line.
    """

    matchers: tuple[Matcher, ...]
    filters: tuple[Callable[[str], bool], ...] = ()
    stages: tuple[Stage, ...] = ()
    unwraps: bool = False

    def accepts_labels(self, labels: Mapping[str, str]) -> bool:
        """Return whether a stream of these labels is selected."""
        return all(matcher.accepts(labels.get(matcher.name, "")) for matcher in self.matchers)

    def accepts_line(self, line: str) -> bool:
        """Return whether a line passes every filter before the first stage."""
        return all(accepts(line) for accepts in self.filters)

    def staged(self, text: str, labels: Mapping[str, str]) -> Line | None:
        """Return an accepted line as the stages leave it; `None` when one of them leaves it out."""
        line = Line(text, dict(labels))
        return line if all(stage(line) for stage in self.stages) else None


@dataclass(frozen=True, slots=True)
class Grouping:
    """The labels that stay, or those that go when `without`."""

    labels: tuple[str, ...] = ()
    without: bool = False

    def keeps(self, name: str) -> bool:
        """Return whether a label of this name stays."""
        return (name in self.labels) != self.without


@dataclass(frozen=True, slots=True)
class RangeFunction:
    """A function over the `range_ns` before each instant, like count_over_time."""

    function: str
    log: LogQuery
    range_ns: int
    grouping: Grouping = Grouping(without=True)


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An operation over the series of a metric, like sum; `most` of them for topk."""

    operation: str
    metric: MetricQuery
    grouping: Grouping = Grouping()
    most: int = 0


@dataclass(frozen=True, slots=True)
class Vector:
    """A constant, the value of vector(...) arithmetic."""

    value: float


MetricQuery = RangeFunction | Aggregation | Vector
Query = LogQuery | MetricQuery
