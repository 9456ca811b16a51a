"""What the supervisor tells of its workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from shipper.live.board import SUPERVISOR
from shipper.supervise.lifecycle import Phase, Worker
from shipper.wiring.rollcall import Rollcall


class Rig:
    """A rollcall whose reports are kept."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.rollcall = Rollcall(cast("Any", self), Path("/"))

    def send(self, report: dict[str, Any]) -> bool:
        self.sent.append(report)
        return True

    def counted(self) -> dict[tuple[str, ...], float]:
        """Report and return every number of it by name and labels, but for who we are."""
        return {
            (name, *values): numbers[0]
            for name, series in self.sent[-1]["tally"].items()
            for values, numbers in series
            if name not in ("shipper_build_info", "shipper_state_dir_free_bytes")
        }


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_report_shows_what_every_worker_is_at(rig: Rig) -> None:
    worker = Worker(Phase.WAITING, restarts=2, reason="killed by SIGKILL")
    rig.rollcall.report({"a": Worker(Phase.RUNNING), "b": worker}, {"a": 7})

    assert (rig.sent[0]["origin"], rig.sent[0]["pid"]) == (SUPERVISOR, 0)
    assert rig.sent[0]["state"]["workers"] == {
        "a": {"phase": "running", "pid": 7, "restarts": 0, "reason": ""},
        "b": {"phase": "waiting", "pid": 0, "restarts": 2, "reason": "killed by SIGKILL"},
    }


def test_it_counts_who_is_up_and_how_often_each_was_started_again(rig: Rig) -> None:
    rig.rollcall.report({"a": Worker(restarts=3), "b": Worker()}, {"a": 7})

    assert rig.counted() == {
        ("shipper_worker_up", "a"): 1,
        ("shipper_worker_up", "b"): 0,
        ("shipper_worker_restarts_total", "a"): 3,
        ("shipper_worker_restarts_total", "b"): 0,
    }


def test_polls_that_hung_add_up(rig: Rig) -> None:
    for _ in range(2):
        rig.rollcall.hung("a")
        rig.rollcall.report({"a": Worker()}, {})

    assert rig.counted()["shipper_polls_total", "a", "timeout"] == 2


def test_nothing_is_counted_of_a_metric_that_is_gone(rig: Rig) -> None:
    rig.rollcall.hung("a")
    rig.rollcall.report({"a": Worker(), "b": Worker()}, {})
    rig.rollcall.report({"b": Worker()}, {})

    assert {values[0] for _, *values in rig.counted()} == {"b"}
