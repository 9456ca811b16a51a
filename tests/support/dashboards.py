"""Reads the dashboards that are committed, and asks what they ask, with what Grafana puts for variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "config_files" / "grafana" / "dashboards"
RANGE_SECONDS, STEP_SECONDS = 3600, 15
BUILT_IN = {"__rate_interval": "1m", "__interval": f"{STEP_SECONDS}s", "__range": "1h"}

_LEGEND_LABEL = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True, slots=True)
class Question:
    """What a panel, or an annotation, asks.

    Attributes:
        of: Which it is, for people.
        language: PromQL or LogQL.
        expr: The query, as it is in the file.
        filled: The query, as Grafana sends it when nothing is chosen.
        instant: Whether it is about one moment.
        legend_labels: The labels that its legend shows.
    """

    of: str
    language: Literal["promql", "logql"]
    expr: str
    filled: str
    instant: bool
    legend_labels: Sequence[str]


def dashboards() -> Mapping[str, dict[str, Any]]:
    """Return every dashboard by its uid."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return {each["uid"]: each for each in found}


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def questions(
    language: Literal["promql", "logql"], times: Mapping[str, str] = BUILT_IN
) -> list[Question]:
    """Return everything that is asked in a language, with these spans of time."""
    return [
        question
        for dashboard in dashboards().values()
        for question in _questions(dashboard, times)
        if question.language == language
    ]


def _questions(dashboard: Mapping[str, Any], times: Mapping[str, str]) -> Iterator[Question]:
    values = {**times, **_values(dashboard)}
    targets = [
        (f"{panel['title']} {target['refId']}", target)
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]
    marks = [(f"mark {each['name']}", each) for each in dashboard["annotations"].get("list", [])]
    for name, target in targets + marks:
        kind = target["datasource"]["type"]
        yield Question(
            of=f"{dashboard['uid']}: {name}",
            language="promql" if kind == "prometheus" else "logql",
            expr=target["expr"],
            filled=filled(target["expr"], values),
            instant=bool(target.get("instant")) or target.get("queryType") == "instant",
            legend_labels=_LEGEND_LABEL.findall(target.get("legendFormat", "")),
        )


def _values(dashboard: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what stands for each variable: everything that can be chosen."""
    values = {}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            values[variable["name"]] = variable["allValue"]
        elif variable["type"] == "textbox":
            values[variable["name"]] = variable.get("query", "")
    return values


def filled(expr: str, values: Mapping[str, str]) -> str:
    """Return a query with its variables replaced.

    Raises:
        KeyError: It names a variable that the dashboard does not have.
    """
    return re.sub(r"\$(\w+)", lambda match: values[match[1]], expr)
