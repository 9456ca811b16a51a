"""Alerts are well formed, fire when they should, and tell what to do."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from shipper.cli import cli
from tests.dashboards.rules import ALERTS, FOLDER, RUNBOOKS, Rule, read
from tests.support.dashboards import ROOT, dashboards
from tests.support.services import need

HEADINGS = [
    "What it means",
    "How bad it is",
    "What to look at",
    "How to mend it",
    "How to silence it",
]
TRIALS: list[dict[str, Any]] = [
    trial
    for test in read(FOLDER.parent / "tests" / "shipper_test.yml")["tests"]
    for trial in test["alert_rule_test"]
]
COMMAND = re.compile(r"\bmain\.py ([a-z][\w-]*)")
by_name = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def _promtool(*words: str) -> str:
    done = subprocess.run([need("promtool"), *words], capture_output=True, text=True, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_nothing_to_say_about_the_rules() -> None:
    assert "SUCCESS" in _promtool("check", "rules", "--lint=all", "--lint-fatal", "shipper.yml")


def test_promtool_finds_nothing_to_say_about_the_configuration() -> None:
    assert "rules found" in _promtool("check", "config", "--lint=all", "../prometheus.yml")


def test_alerts_fire_when_they_should_and_not_before() -> None:
    assert "SUCCESS" in _promtool("test", "rules", "../tests/shipper_test.yml")


@by_name
def test_an_alert_is_tried_before_and_when_it_fires(alert: Rule) -> None:
    trials = [trial["exp_alerts"] for trial in TRIALS if trial["alertname"] == alert.name]

    assert any(trials)
    assert not all(trials)


@by_name
def test_an_alert_says_how_bad_it_is_and_what_to_do(alert: Rule) -> None:
    uid = alert.annotations["dashboard"].removeprefix("/d/").partition("?")[0]

    assert alert.labels["severity"] in ("critical", "warning")
    assert alert.annotations.keys() == {"summary", "description", "runbook_url", "dashboard"}
    assert alert.annotations["runbook_url"] == f"docs/runbooks/{alert.name}.md"
    assert uid in dashboards()


@by_name
def test_an_alert_has_a_runbook_with_the_same_headings(alert: Rule) -> None:
    text = (RUNBOOKS / f"{alert.name}.md").read_text(encoding="utf-8")

    assert text.startswith(f"# {alert.name}\n")
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == HEADINGS


def test_every_runbook_is_of_an_alert() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"index"}

    assert pages == {alert.name for alert in ALERTS}


def test_the_list_of_runbooks_is_whole() -> None:
    index = (ROOT / "docs" / "runbooks" / "index.md").read_text(encoding="utf-8")

    assert [alert.name for alert in ALERTS if f"]({alert.name}.md)" not in index] == []


def test_runbooks_and_the_page_name_commands_that_there_are() -> None:
    pages = [*RUNBOOKS.glob("*.md"), ROOT / "docs" / "grafana.md"]
    named = {name for page in pages for name in COMMAND.findall(page.read_text(encoding="utf-8"))}

    assert named
    assert named - set(cli.commands) == set()


def test_the_page_tells_how_many_dashboards_and_alerts_there_are() -> None:
    page = (ROOT / "docs" / "grafana.md").read_text(encoding="utf-8")

    assert f"{len(ALERTS)} alerts come with Shipper" in page
    assert [uid for uid in dashboards() if f"| `{uid}` |" not in page] == []
