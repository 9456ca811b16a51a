"""SQreamDB: polls one of its utility functions per metric, `select <function>()`.

The driver, pysqream, is imported when a connection is opened; configuration and documentation work without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from shipper.config.column_metric import ColumnMetric
from shipper.config.models import Settings, SourceSettings
from shipper.core.checks import Check
from shipper.core.ports import Source
from shipper.sources.sqream import functions
from shipper.sources.sqream.checks import MetricCall, startup_checks
from shipper.sources.sqream.connection import FunctionName, SqreamConnection
from shipper.sources.sqream.ready import READY, ready_metrics
from shipper.sources.sqream.source import SqreamSource

Number = Annotated[float, Field(allow_inf_nan=False)]


class SqreamSettings(SourceSettings):
    """A function of SQreamDB, polled."""

    section = SqreamConnection
    example_metric = "show_locks"
    # What a function answers is the present state: there is nothing to go on from.
    keeps_cursor: ClassVar[bool] = False

    type: Literal["sqream"] = "sqream"
    """A utility function of SQreamDB."""

    function: FunctionName | None = None
    """Function to poll. Default: the metric's name."""

    arguments: list[str | int | Number | bool] = Field(default=[])
    """Literals between the parentheses of the call."""

    @classmethod
    def complete(cls, metric: str, written: dict[str, Any]) -> dict[str, Any]:
        """Name the function after the metric; what changes the server is not shipped unless asked for."""
        function = written.get("function", metric)
        defaults = {"function": function}
        if isinstance(function, str) and function in functions.CHANGING_FUNCTIONS:
            defaults["ship"] = False
        return defaults | written

    @property
    def changes_far_end(self) -> bool:
        """Whether the function changes something on the server, like the reset of its statistics."""
        return (self.function or "") in functions.CHANGING_FUNCTIONS

    def objections(self, section: Settings | None) -> Sequence[str]:
        """Return why the function may not be polled, as `function: rule`."""
        if self.function is None:
            return ()
        allowed = _connection(section).allow_functions
        objection = functions.objection(self.function, allowed=allowed)
        return () if objection is None else (f"function: {objection}",)

    def wants_ready(self, section: Settings | None) -> bool:
        """Return whether the entry asks for ready-made metrics, or the section does for all."""
        return super().wants_ready(section) or _connection(section).ready_metrics

    def ready_metrics(self, section: Settings | None) -> Sequence[ColumnMetric]:
        """Return the ready-made metrics of the function."""
        return ready_metrics(self.function or "", _connection(section).timezone)

    def ready_for(self, metric: str) -> str:
        """Name the function, and those that have ready-made metrics."""
        return f"{self.function or metric}; there is something for {', '.join(sorted(READY))}"

    @classmethod
    def checks(
        cls, section: Settings | None, entries: Mapping[str, SourceSettings]
    ) -> Sequence[Check]:
        """Return the checks of the login, of the kind of worker, and of every function."""
        calls = [
            entry.call(metric)
            for metric, entry in entries.items()
            if isinstance(entry, SqreamSettings)
        ]
        return startup_checks(_connection(section), calls)

    @property
    def shown(self) -> Mapping[str, str]:
        """The function, by which the page knows locks and statements."""
        return {} if self.function is None else {"function": self.function}

    def call(self, metric: str) -> MetricCall:
        """Return what this entry will ask the server for."""
        function = self.function or metric
        return MetricCall(
            metric=metric,
            function=function,
            sql=functions.statement(function, self.arguments),
            required=self.required,
        )

    def build(self, metric: str, section: Settings | None, state_dir: Path) -> Source:
        """Make the source of this entry; nothing is connected yet."""
        del state_dir
        return SqreamSource(_connection(section), self.call(metric).sql)

    def instance(self, section: Settings | None) -> str:
        """Return `host:port` of the worker or the server picker."""
        return _connection(section).far_end


def _connection(section: Settings | None) -> SqreamConnection:
    return section if isinstance(section, SqreamConnection) else SqreamConnection()
