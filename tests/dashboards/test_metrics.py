"""Every query in PromQL, of dashboards and alerts, is about names that there are, and finds something."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.dashboards.rules import RULES
from tests.support.dashboards import Question, dashboards, questions
from tests.support.made_samples import KNOWN, SCRAPED, Prometheus, prometheus_of_samples

QUESTIONS = questions("promql")
CHOICES = [
    variable["query"]
    for dashboard in dashboards().values()
    for variable in dashboard["templating"]["list"]
    if variable["type"] == "query" and variable["datasource"]["type"] == "prometheus"
]
EXPRESSIONS = sorted(
    {*(question.expr for question in QUESTIONS), *(rule.expr for rule in RULES), *CHOICES}
)
NAME = re.compile(r"(?<![:\w\"$])((?:shipper|sqream)_\w+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus_of_samples(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def _family(name: str) -> str:
    return name if name in KNOWN else re.sub(r"_(bucket|sum|count)$", "", name)


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_a_query_is_about_names_and_labels_that_there_are(expr: str) -> None:
    found = [(_family(match[1]), LABEL.findall(match[2] or "")) for match in NAME.finditer(expr)]

    assert [name for name, _ in found if name not in KNOWN] == []
    assert [
        (name, label)
        for name, labels in found
        for label in labels
        if label not in (*KNOWN[name].labels, *SCRAPED)
    ] == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.of)
def test_a_query_of_a_dashboard_finds_something_and_has_the_labels_of_its_legend(
    question: Question, prometheus: Prometheus
) -> None:
    found = prometheus.ask(question.filled, instant=question.instant)

    assert found
    assert [
        label
        for label in question.legend_labels
        if not any(label in series["metric"] for series in found)
    ] == []


def test_every_family_is_on_a_dashboard_or_in_an_alert() -> None:
    shown = {_family(match[1]) for expr in EXPRESSIONS for match in NAME.finditer(expr)}

    assert set(KNOWN) - shown == set()
