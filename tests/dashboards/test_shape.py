"""Dashboards are what Grafana reads, as far as that can be told without one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import combinations
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.support.dashboards import ROOT, dashboards, panels
from tools.dashboards import dashboard_files

DASHBOARDS = dashboards()
each = pytest.mark.parametrize("uid", DASHBOARDS)
LINK = re.compile(r'"/d/([\w-]+)\?([^"]*)"')
VARIABLE_IN_LINK = re.compile(r"var-(\w+)=")


@each
def test_a_dashboard_survives_the_kit_s_own_reading(uid: str) -> None:
    again = json.loads(json.dumps(Dashboard.from_json(DASHBOARDS[uid]), cls=JSONEncoder))

    assert again == DASHBOARDS[uid]


def test_the_files_are_those_that_the_modules_make() -> None:
    made = {
        name.removesuffix(".json"): json.loads(text) for name, text in dashboard_files().items()
    }

    assert made == DASHBOARDS


def test_the_script_finds_nothing_stale() -> None:
    script = str(ROOT / "tools" / "build-dashboards")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


@each
def test_panels_have_numbers_of_their_own(uid: str) -> None:
    numbers = [panel["id"] for panel in DASHBOARDS[uid]["panels"]]

    assert len(set(numbers)) == len(numbers)


@each
def test_panels_lie_beside_each_other(uid: str) -> None:
    places = [panel["gridPos"] for panel in DASHBOARDS[uid]["panels"]]

    assert [place for place in places if place["x"] + place["w"] > 24] == []
    assert [pair for pair in combinations(places, 2) if _overlap(*pair)] == []


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


@each
def test_a_panel_says_what_it_shows(uid: str) -> None:
    silent = [
        panel["id"]
        for panel in panels(DASHBOARDS[uid])
        if not (panel.get("title") and panel.get("description"))
    ]

    assert silent == []


def _data_sources(part: Any) -> list[dict[str, str]]:
    if isinstance(part, list):
        return [found for each_ in part for found in _data_sources(each_)]
    if not isinstance(part, dict):
        return []
    own = [part["datasource"]] if isinstance(part.get("datasource"), dict) else []
    return own + [found for each_ in part.values() for found in _data_sources(each_)]


@each
def test_whom_it_asks_is_a_choice(uid: str) -> None:
    found = _data_sources(DASHBOARDS[uid])
    choices = {
        variable["name"]
        for variable in DASHBOARDS[uid]["templating"]["list"]
        if variable["type"] == "datasource"
    }

    assert {each_["uid"] for each_ in found} == {f"${{{name}}}" for name in choices}


@each
def test_links_lead_to_dashboards_and_variables_that_there_are(uid: str) -> None:
    links = LINK.findall(json.dumps(DASHBOARDS[uid]))
    known = {
        name: {variable["name"] for variable in dashboard["templating"]["list"]}
        for name, dashboard in DASHBOARDS.items()
    }

    assert [to for to, _ in links if to not in known] == []
    assert [
        (to, name)
        for to, words in links
        for name in VARIABLE_IN_LINK.findall(words)
        if name not in known[to]
    ] == []


@each
def test_every_dashboard_leads_to_the_others(uid: str) -> None:
    (link,) = DASHBOARDS[uid]["links"]

    assert (link["type"], link["tags"]) == ("dashboards", DASHBOARDS[uid]["tags"])


@each
def test_every_choice_is_used(uid: str) -> None:
    text = json.dumps(DASHBOARDS[uid])
    names = [variable["name"] for variable in DASHBOARDS[uid]["templating"]["list"]]

    assert [name for name in names if not re.search(rf"\$\{{?{name}\b", text)] == []
