"""What the web process knows."""

from __future__ import annotations

from typing import Any

import pytest

from shipper.live.board import NOTHING_YET, SILENT_SECONDS, SUPERVISOR, Board
from tests.support.clock import FakeClock

KNOWN = {
    "show_locks": {"type": "sqream", "instance": "db:5000", "every_seconds": 2, "required": True},
    "extra": {"type": "sqream", "instance": "db:5000", "every_seconds": 5, "required": False},
}


class Rig:
    """A board and its clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.board = Board("1.2.3", KNOWN, self.clock)

    def supervised(self, **workers: dict[str, Any]) -> None:
        self.board.take(
            {"origin": SUPERVISOR, "pid": 0, "state": {"workers": workers}, "tally": {}}
        )

    def reported(self, metric: str, **state: object) -> None:
        self.board.take({"origin": metric, "pid": 7, "state": state, "tally": {}})

    def row(self, metric: str) -> dict[str, Any]:
        rows: list[dict[str, Any]] = self.board.state()["metrics"]
        return next(row for row in rows if row["metric"] == metric)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_before_the_first_report_it_is_neither_healthy_nor_ready(rig: Rig) -> None:
    assert not rig.board.healthy()
    assert rig.board.reasons_not_ready() == ["the supervisor has not reported for some seconds"]


def test_it_is_healthy_while_the_supervisor_reports(rig: Rig) -> None:
    rig.supervised()
    rig.clock.pass_seconds(SILENT_SECONDS - 0.1)
    before = rig.board.healthy()
    rig.clock.pass_seconds(0.1)

    assert before
    assert not rig.board.healthy()


def test_reports_of_workers_do_not_make_it_healthy(rig: Rig) -> None:
    rig.reported("show_locks")

    assert not rig.board.healthy()


def test_it_is_ready_when_every_required_worker_runs(rig: Rig) -> None:
    rig.supervised(show_locks={"phase": "running"}, extra={"phase": "failed", "reason": "x"})

    assert rig.board.reasons_not_ready() == []
    assert rig.board.state()["ready"] is True


def test_a_required_worker_that_ended_as_ordered_is_not_missed(rig: Rig) -> None:
    rig.supervised(show_locks={"phase": "ended", "reason": "came to its end, as it was ordered"})

    assert rig.board.reasons_not_ready() == []


@pytest.mark.parametrize(
    ("workers", "reason"),
    [
        ({}, "show_locks: waiting"),
        ({"show_locks": {"phase": "starting", "reason": ""}}, "show_locks: starting"),
        (
            {"show_locks": {"phase": "failed", "reason": "given up after 10 crashes"}},
            "show_locks: failed (given up after 10 crashes)",
        ),
    ],
)
def test_a_required_worker_that_does_not_run_is_a_reason(
    rig: Rig, workers: dict[str, Any], reason: str
) -> None:
    rig.supervised(**workers)

    assert rig.board.reasons_not_ready() == [reason]
    assert rig.board.state()["reasons"] == [reason]


def test_the_state_has_a_row_for_every_metric_before_anything_was_reported(rig: Rig) -> None:
    assert rig.row("show_locks") == {
        "metric": "show_locks",
        **KNOWN["show_locks"],
        "state": "waiting",
        "pid": 0,
        "restarts": 0,
        "last_end": "",
        **NOTHING_YET,
        "rows_per_second": 0.0,
        "poll_seconds": [],
    }


def test_a_row_joins_what_supervisor_and_worker_say(rig: Rig) -> None:
    rig.supervised(
        show_locks={"phase": "running", "pid": 7, "restarts": 2, "reason": "killed by SIGKILL"}
    )
    rig.reported("show_locks", result="ok", rows_total=12)
    row = rig.row("show_locks")

    assert (row["state"], row["pid"], row["restarts"]) == ("running", 7, 2)
    assert (row["last_end"], row["result"], row["rows_total"]) == ("killed by SIGKILL", "ok", 12)


def test_a_report_replaces_the_one_before(rig: Rig) -> None:
    rig.reported("show_locks", error="gone")
    rig.reported("show_locks", result="ok")

    assert "error" not in rig.row("show_locks")


def test_the_state_names_the_version(rig: Rig) -> None:
    assert rig.board.state()["version"] == "1.2.3"


# Other metrics than before


def test_a_metric_that_was_removed_vanishes_and_a_new_one_is_a_reason_to_wait(rig: Rig) -> None:
    rig.supervised(show_locks={"phase": "running"})
    rig.board.follow({"show_conf": {**KNOWN["show_locks"], "every_seconds": 9}})

    assert [row["metric"] for row in rig.board.state()["metrics"]] == ["show_conf"]
    assert rig.row("show_conf")["every_seconds"] == 9
    assert rig.board.reasons_not_ready() == ["show_conf: waiting"]


def test_what_is_known_of_metrics_that_stay_is_kept(rig: Rig) -> None:
    rig.reported("show_locks", rows_total=12)
    rig.board.follow({"show_locks": KNOWN["show_locks"]})

    assert rig.row("show_locks")["rows_total"] == 12


def test_a_metric_that_comes_back_begins_anew(rig: Rig) -> None:
    rig.reported("extra", rows_total=12)
    rig.board.follow({"show_locks": KNOWN["show_locks"]})
    rig.board.follow(KNOWN)

    assert rig.row("extra")["rows_total"] == 0


def test_reports_are_expected_of_its_metrics_and_the_supervisor(rig: Rig) -> None:
    rig.board.follow({"show_locks": KNOWN["show_locks"]})
    expected = [rig.board.expects(origin) for origin in (SUPERVISOR, "show_locks", "extra")]

    assert expected == [True, True, False]
