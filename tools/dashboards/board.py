"""A dashboard made of rows: its variables, links, annotations, and the numbers of its panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from tools.dashboards.queries import risen
from tools.dashboards.shapes import LOKI, PROMETHEUS, Row

TAG = "shipper"
SHIPPERS = 'instance=~"$instance"'
"""Which Shippers; stands in every query about Shipper."""
ENTRIES = f'{SHIPPERS}, metric=~"$metric"'
"""Which entries of them."""
DESTINATIONS = f'{ENTRIES}, sink=~"$sink"'
"""Which ways out of these."""
PANELS_IN_A_ROW = 100

Variable = Builder[models.VariableModel]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard.

    Attributes:
        uid: Its name in addresses, and of its file; never changes.
        title: Its name for people.
        description: What it is for.
        variables: What may be chosen on it.
        rows: What it shows.
        marks: What is marked on every panel that has a time.
        since: How far back it looks when it is opened.
    """

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row]
    marks: Sequence[Builder[models.AnnotationQuery]] = ()
    since: str = "now-3h"

    def build(self) -> models.Dashboard:
        """Return what Grafana reads."""
        others = dashboard.DashboardLink("Shipper").type(models.DashboardLinkType.DASHBOARDS)
        made = (
            dashboard.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG])
            .time(self.since, "now")
            .refresh("30s")
            .timezone("browser")
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .variables(list(self.variables))
            .annotations(list(self.marks))
            .link(others.tags([TAG]).keep_time(True).as_dropdown(False))
        )
        for place, row in enumerate(self.rows, start=1):
            first = place * PANELS_IN_A_ROW
            made = made.with_row(dashboard.Row(row.title).id(first))
            for number, panel in enumerate(row.panels, start=first + 1):
                made = made.with_panel(panel.id(number))
        return made.build()


FROM_PROMETHEUS = dashboard.DatasourceVariable("prometheus").label("Prometheus").type("prometheus")
FROM_LOKI = dashboard.DatasourceVariable("loki").label("Loki").type("loki")


def of_prometheus(name: str, label: str, values: str, *, everything: str = ".*") -> Variable:
    """Return a choice of some or all values that a label has in Prometheus."""
    return _choice(name, label, everything).datasource(PROMETHEUS).query(values)


def of_loki(name: str, label: str, *, of: str, selector: str) -> Variable:
    """Return a choice of some or all values that a label `of` streams has in Loki."""
    # The form of a query for values that Grafana's Loki data source keeps: type 1 is "values of a label".
    query: dict[str, object] = {
        "refId": "LokiVariableQueryEditor-VariableQuery",
        "type": 1,
        "label": of,
        "stream": selector,
    }
    return _choice(name, label, ".+").datasource(LOKI).query(query)


def _choice(name: str, label: str, everything: str) -> dashboard.QueryVariable:
    all_of_them = models.VariableOption(selected=True, text="All", value="$__all")
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .multi(True)
        .include_all(True)
        .all_value(everything)
        .current(all_of_them)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


INSTANCE = of_prometheus("instance", "Shipper", "label_values(shipper_build_info, instance)")
METRIC = of_prometheus("metric", "Metric", f"label_values(shipper_worker_up{{{SHIPPERS}}}, metric)")
SINK = of_prometheus("sink", "Destination", f"label_values(shipper_spool_lines{{{ENTRIES}}}, sink)")


def mark(name: str, color: str, expr: str) -> Builder[models.AnnotationQuery]:
    """Return what is marked at each moment for which the query has an answer."""
    marked = dashboard.AnnotationQuery().name(name).datasource(PROMETHEUS).enable(True)
    return marked.hide(False).icon_color(color).expr(expr)


RESTARTS = mark(
    "Worker restarts",
    "orange",
    f"sum by (metric) (increase(shipper_worker_restarts_total{{{ENTRIES}}}[1m])) > 0",
)
KILLS = mark(
    "Polls ended by their deadline",
    "red",
    "sum by (metric) ("
    + risen("shipper_polls_total", f'{ENTRIES}, result="timeout"', "1m")
    + ") > 0",
)
VERSIONS = mark(
    "Start of a Shipper, or another version",
    "blue",
    f"shipper_build_info{{{SHIPPERS}}} unless on (instance, version) (shipper_build_info{{{SHIPPERS}}} offset 5m)",
)
