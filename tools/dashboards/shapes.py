"""Shapes that all dashboards share: queries, panels of a few kinds, and how they are laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    logs,
    loki,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = models.DataSourceRef(type_val="prometheus", uid="${prometheus}")
LOKI = models.DataSourceRef(type_val="loki", uid="${loki}")
WIDTH = 24
GREEN, YELLOW, RED = "green", "yellow", "red"
COUNT, SECONDS, BYTES, SHARE, PER_SECOND, BYTES_PER_SECOND, MOMENT = (
    *("short", "s", "bytes", "percentunit", "cps", "Bps", "dateTimeAsIso"),
)


@dataclass(frozen=True, slots=True)
class Prom:
    """A query in PromQL; `legend` names its series, `{{label}}` stands for a label.

    Attributes:
        expr: The query.
        legend: The name of a series.
        instant: Whether only the newest value is asked for.
        rows: Whether the answer is a table, a row for each series.
    """

    expr: str
    legend: str = ""
    instant: bool = False
    rows: bool = False

    def target(self, ref_id: str) -> Builder[Dataquery]:
        """Return what the panel asks."""
        query = prometheus.Dataquery().ref_id(ref_id).datasource(PROMETHEUS).expr(self.expr)
        query = query.legend_format(self.legend or "__auto")
        query = query.instant() if self.instant else query.range()
        return query.format(PromQueryFormat.TABLE) if self.rows else query


@dataclass(frozen=True, slots=True)
class Log:
    """A query in LogQL; the same words as for `Prom`."""

    expr: str
    legend: str = ""
    instant: bool = False
    most_lines: int = 500

    def target(self, ref_id: str) -> Builder[Dataquery]:
        """Return what the panel asks."""
        query = loki.Dataquery().ref_id(ref_id).datasource(LOKI).expr(self.expr)
        query = query.query_type("instant" if self.instant else "range").max_lines(self.most_lines)
        return query.legend_format(self.legend) if self.legend else query


Query = Prom | Log


PanelBuilder = (
    timeseries.Panel | stat.Panel | bargauge.Panel | statetimeline.Panel | table.Panel | logs.Panel
)


@dataclass(frozen=True, slots=True)
class Text:
    """What is written on a panel: its title, and what it shows and what to do about it."""

    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Row:
    """Panels below a headline."""

    title: str
    panels: Sequence[PanelBuilder]


def series(
    text: Text, *queries: Query, unit: str = COUNT, span: int = 8, stacked: bool = False
) -> PanelBuilder:
    """Return lines over time, with a legend that tells the newest and the largest value."""
    legend = (
        common.VizLegendOptions()
        .display_mode(looks.LegendDisplayMode.TABLE)
        .placement(looks.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    )
    tooltip = (
        common.VizTooltipOptions()
        .mode(looks.TooltipDisplayMode.MULTI)
        .sort(looks.SortOrder.DESCENDING)
    )
    panel = timeseries.Panel().unit(unit).min(0).legend(legend).tooltip(tooltip)
    panel = panel.line_width(1).fill_opacity(10).show_points(looks.VisibilityMode.AUTO)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL))
        panel = panel.fill_opacity(40)
    return _asking(panel, text, queries, span=span, height=8)


def number(
    text: Text,
    query: Query,
    *,
    unit: str = COUNT,
    limits: Mapping[float, str] | None = None,
    span: int = 3,
    names: bool = False,
) -> PanelBuilder:
    """Return one large number; green below the first limit, and a colour from each limit on."""
    panel = (
        stat.Panel()
        .unit(unit)
        .thresholds(_thresholds(limits or {}))
        .color_mode(looks.BigValueColorMode.BACKGROUND)
        .graph_mode(looks.BigValueGraphMode.NONE)
        .text_mode(looks.BigValueTextMode.NAME if names else looks.BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("-")
    )
    return _asking(panel, text, [query], span=span, height=4)


def bars(text: Text, *queries: Query, unit: str = COUNT, span: int = 8) -> PanelBuilder:
    """Return a bar for each series, as long as its newest value."""
    panel = (
        bargauge.Panel()
        .unit(unit)
        .min(0)
        .orientation(looks.VizOrientation.HORIZONTAL)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(_thresholds({}))
        .no_value("-")
    )
    return _asking(panel, text, queries, span=span, height=8)


def up_and_down(text: Text, query: Query, *, span: int = WIDTH) -> PanelBuilder:
    """Return a bar for each series over time: 1 is up, 0 is down."""
    states = {
        "0": models.ValueMappingResult(text="down", color=RED, index=0),
        "1": models.ValueMappingResult(text="up", color=GREEN, index=1),
    }
    panel = statetimeline.Panel().mappings([models.ValueMap(options=states)])
    panel = panel.show_value(looks.VisibilityMode.NEVER).merge_values(True)
    return _asking(panel, text, [query], span=span, height=8)


def rows_of(
    text: Text, columns: Mapping[str, Query], *, by: Sequence[str], units: Mapping[str, str]
) -> PanelBuilder:
    """Return a table: a row for each set of the labels `by`, a column for each query."""
    refs = {chr(ord("A") + place): name for place, name in enumerate(columns)}
    names = {f"Value #{ref}": name for ref, name in refs.items()}
    order = {name: place for place, name in enumerate([*by, *names])}
    panel = (
        table.Panel()
        .with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": order,
                    "renameByName": names,
                },
            )
        )
        .no_value("-")
    )
    for name, unit in units.items():
        panel = panel.override_by_name(name, [models.DynamicConfigValue("unit", unit)])
    return _asking(panel, text, list(columns.values()), span=WIDTH, height=9)


def lines(text: Text, query: Log, *, span: int = WIDTH, height: int = 9) -> PanelBuilder:
    """Return lines as they came, the newest first."""
    panel = (
        logs.Panel()
        .show_time(True)
        .wrap_log_message(True)
        .enable_log_details(True)
        .sort_order(looks.LogsSortOrder.DESCENDING)
        .dedup_strategy(looks.LogsDedupStrategy.NONE)
    )
    return _asking(panel, text, [query], span=span, height=height)


def leading_to(uid: str, title: str, variables: str) -> Builder[models.DashboardLink]:
    """Return a link of what a panel shows to another dashboard, at the same time."""
    url = f"/d/{uid}?{variables}&from=${{__from}}&to=${{__to}}"
    return dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url)


def _asking(
    panel: PanelBuilder, text: Text, queries: Sequence[Query], *, span: int, height: int
) -> PanelBuilder:
    panel = panel.title(text.title).description(text.description).span(span).height(height)
    panel = panel.datasource(PROMETHEUS if isinstance(queries[0], Prom) else LOKI)
    for place, query in enumerate(queries):
        panel = panel.with_target(query.target(chr(ord("A") + place)))
    return panel


def _thresholds(limits: Mapping[float, str]) -> Builder[models.ThresholdsConfig]:
    """Return colours: green, and another from each limit on; a limit of minus infinity replaces the green."""
    steps = [models.Threshold(value=None, color=limits.get(-inf, GREEN))]
    steps += [models.Threshold(value, color) for value, color in limits.items() if value != -inf]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)
