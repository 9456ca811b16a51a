"""Plans of configurations, and what a reload may change."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shipper.config.models import HttpSettings
from shipper.core.errors import ConfigError
from shipper.startup.surroundings import claim_state_dir
from shipper.supervise.plan import replan
from shipper.wiring.gate import Surroundings
from shipper.wiring.run import WEB, Planner
from shipper.wiring.settings import RunSettings
from tests.support.configuration import written

METRICS = {"show_locks": 2, "show_conf": {"every_seconds": 5, "timeout_seconds": 7}}


@dataclass(frozen=True)
class Rig:
    """A planner and the file it reads."""

    folder: Path
    planner: Planner

    def write(self, metrics: dict[str, Any] | None = None, **sections: Any) -> None:
        written(self.folder, {"metrics": METRICS if metrics is None else metrics, **sections})


@pytest.fixture
def rig_on(tmp_path: Path) -> Iterator[Callable[[HttpSettings], Rig]]:
    state_dir = claim_state_dir(tmp_path / "state")
    with socket.socket() as listening:

        def make(http: HttpSettings) -> Rig:
            path = written(tmp_path, {"metrics": METRICS})
            settings = RunSettings(path=path, overrides=(), state_dir=tmp_path, drain_seconds=3)
            surroundings = Surroundings(state_dir, listening)
            log = logging.getLogger("test.run")
            return Rig(tmp_path, Planner(settings, surroundings, "ipc://feed", http, log))

        yield make
    state_dir.release()


@pytest.fixture
def rig(rig_on: Callable[[HttpSettings], Rig]) -> Rig:
    return rig_on(HttpSettings())


def test_there_is_a_plan_for_every_metric_and_one_for_the_web_process(rig: Rig) -> None:
    plans = rig.planner.replan()

    assert [(each.name, each.timeout_seconds, each.attendant) for each in plans] == [
        ("show_locks", 30, False),
        ("show_conf", 7, False),
        (WEB, float("inf"), True),
    ]


def test_a_file_that_says_the_same_makes_the_same_plans(rig: Rig) -> None:
    before = rig.planner.replan()
    rig.write({"show_conf": METRICS["show_conf"], "show_locks": {"every_seconds": 2.0}})
    change = replan(before, rig.planner.replan())

    assert set(change.unchanged) == {"show_locks", "show_conf", WEB}


@pytest.mark.parametrize(
    ("metrics", "sections", "changed"),
    [
        pytest.param({**METRICS, "show_locks": 3}, {}, {"show_locks"}, id="a period"),
        pytest.param(
            {**METRICS, "show_locks": {"every_seconds": 2, "labels": {"team": "x"}}},
            {},
            {"show_locks"},
            id="labels",
        ),
        pytest.param(METRICS, {"loki": {"tenant": "ops"}}, set(METRICS), id="loki"),
        pytest.param(METRICS, {"sqream": {"host": "db"}}, set(METRICS), id="a shared section"),
        pytest.param(
            METRICS, {"sqream": {"password": {"env": "PW"}}}, set(METRICS), id="a secret's place"
        ),
        pytest.param(METRICS, {"http": {"token": {"env": "TOKEN"}}}, set(), id="the page's token"),
    ],
)
def test_only_what_is_said_of_a_metric_changes_its_plan(
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    metrics: dict[str, Any],
    sections: dict[str, Any],
    changed: set[str],
) -> None:
    monkeypatch.setenv("TOKEN", "open-sesame")
    before = rig.planner.replan()
    rig.write(metrics, **sections)

    assert set(replan(before, rig.planner.replan()).changed) == changed


@pytest.mark.parametrize(
    ("metrics", "sections"),
    [
        pytest.param({"show_locks": 2}, {}, id="a metric less"),
        pytest.param(METRICS, {"http": {"token": {"env": "TOKEN"}}}, id="a token"),
        pytest.param(
            {**METRICS, "show_locks": {"every_seconds": 2, "metrics": [{"name": "locks"}]}},
            {},
            id="a family",
        ),
    ],
)
def test_the_web_process_is_told_what_is_shown_now(
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    metrics: dict[str, Any],
    sections: dict[str, Any],
) -> None:
    monkeypatch.setenv("TOKEN", "open-sesame")
    before = rig.planner.replan()
    rig.write(metrics, **sections)

    assert replan(before, rig.planner.replan()).told == (WEB,)


def test_workers_learn_how_long_they_may_deliver(rig: Rig) -> None:
    assert rig.planner.replan()[0].arguments[0].drain_seconds == 3


@pytest.mark.parametrize(
    ("metrics", "sections", "text"),
    [
        pytest.param({"show_locks": 0}, {}, "show_locks", id="a bad period"),
        pytest.param({}, {}, "at least one metric", id="no metric"),
        pytest.param(
            METRICS,
            {"http": {"token": {"env": "NOT_SET"}}},
            "NOT_SET",
            id="a token that is not there",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    rig: Rig, metrics: dict[str, Any], sections: dict[str, Any], text: str
) -> None:
    rig.write(metrics, **sections)

    with pytest.raises(ConfigError, match=text):
        rig.planner.replan()


def test_a_page_that_others_can_reach_does_not_lose_its_token(
    rig_on: Callable[[HttpSettings], Rig],
) -> None:
    rig = rig_on(HttpSettings(host="0.0.0.0"))  # noqa: S104 - nothing listens

    with pytest.raises(ConfigError, match=r"^http\.token: 0\.0\.0\.0 can be reached from outside"):
        rig.planner.replan()


def test_an_address_that_differs_needs_a_restart_and_that_is_told(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.write(http={"host": "127.0.0.2", "port": 9999})
    rig.planner.replan()

    assert caplog.messages == [
        "http.host: 127.0.0.2 instead of 127.0.0.1 needs a restart.",
        "http.port: 9999 instead of 9108 needs a restart.",
    ]
