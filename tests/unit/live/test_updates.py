"""What changed on the board, told once for all who follow."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from shipper.live.board import SUPERVISOR, Board
from shipper.live.updates import EDITIONS_KEPT, Updates
from tests.support.clock import FakeClock

KNOWN = {"type": "sqream", "instance": "db:5000", "every_seconds": 2, "required": True}


class Rig:
    """A board, what changes on it, and one who follows."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.board = Board("1.2.3", {"a": KNOWN, "b": KNOWN}, self.clock, {"runs": True})
        self.updates = Updates(self.board)
        self.supervised()
        self.number = 0

    def supervised(self, **phases: str) -> None:
        workers = {
            name: {"phase": phases.get(name, "running"), "pid": 7} for name in self.board.metrics
        }
        report: Any = {"origin": SUPERVISOR, "pid": 0, "state": {"workers": workers}, "tally": {}}
        self.board.take(report)

    def reported(self, metric: str, **state: object) -> None:
        self.board.take({"origin": metric, "pid": 7, "state": state, "tally": {}})

    def begin(self) -> dict[str, Any]:
        text, self.number = self.updates.begin()
        state: dict[str, Any] = json.loads(text)["state"]
        return state

    def next(self) -> dict[str, Any] | None:
        """Let a second pass, and return what is said, if anything is."""
        self.clock.pass_seconds(1)
        self.supervised()
        self.updates.tick()
        if self.updates.number == self.number:
            return None
        text, self.number = self.updates.since(self.number)
        message: dict[str, Any] = json.loads(text)
        return message


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    follower = rig.updates.followed()
    follower.__enter__()
    return rig


def test_it_begins_with_what_the_state_says(rig: Rig) -> None:
    assert rig.begin() == json.loads(json.dumps(rig.board.state()))


def test_only_what_changed_of_a_row_is_said(rig: Rig) -> None:
    rig.begin()
    rig.reported("a", result="ok")
    first = rig.next()
    rig.reported("a", result="ok", error="x")
    second = rig.next()

    assert first is not None
    assert second is not None
    assert first["changed"][0]["result"] == "ok"
    assert second["changed"] == [{"metric": "a", "error": "x"}]
    assert (second["removed"], second["ready"], second["reasons"]) == ([], True, [])
    assert "order" not in second


def test_durations_are_said_once(rig: Rig) -> None:
    rig.reported("a", polls=1, last_poll_seconds=0.1)
    state = rig.begin()
    rig.reported("a", polls=2, last_poll_seconds=0.2)
    first = rig.next()
    rig.reported("a", polls=2, last_poll_seconds=0.2, error="x")
    second = rig.next()

    assert state["metrics"][0]["poll_seconds"] == []
    assert first is not None
    assert second is not None
    assert first["changed"][0]["poll_seconds"] == [0.1, 0.2]
    assert "poll_seconds" not in second["changed"][0]


def test_nothing_is_said_while_nothing_changes_but_for_a_sign_of_life(rig: Rig) -> None:
    rig.begin()
    said = [rig.next() is not None for _ in range(10)]

    assert said == [False, False, False, False, True] * 2


def test_a_worker_that_stops_running_is_told(rig: Rig) -> None:
    rig.begin()
    rig.clock.pass_seconds(1)
    rig.supervised(b="waiting")
    rig.updates.tick()
    update = json.loads(rig.updates.since(0)[0])

    assert update["changed"] == [{"metric": "b", "state": "waiting"}]
    assert (update["ready"], update["reasons"]) == (False, ["b: waiting"])


def test_metrics_that_come_and_go_are_told_with_the_new_order(rig: Rig) -> None:
    rig.begin()
    rig.board.follow({"c": KNOWN, "b": KNOWN})
    update = rig.next()
    after = rig.next()

    assert update is not None
    assert (update["removed"], update["order"]) == (["a"], ["c", "b"])
    assert [row["metric"] for row in update["changed"] if "instance" in row] == ["c"]
    assert after is None


def test_who_comes_later_begins_with_what_the_newest_edition_says(rig: Rig) -> None:
    rig.begin()
    rig.reported("a", rows_total=5)
    rig.next()
    rig.reported("a", rows_total=9)
    state = rig.begin()
    update = rig.next()

    assert state["metrics"][0]["rows_total"] == 5
    assert update is not None
    assert update["changed"][0]["rows_total"] == 9


def test_who_missed_too_much_begins_anew(rig: Rig) -> None:
    rig.begin()
    for number in range(EDITIONS_KEPT + 1):
        rig.clock.pass_seconds(1)
        rig.reported("a", rows_total=number + 1)
        rig.updates.tick()
    text, number = rig.updates.since(0)

    assert json.loads(text)["state"]["metrics"][0]["rows_total"] == EDITIONS_KEPT + 1
    assert number == rig.updates.number


def test_who_waits_hears_of_the_next_edition(rig: Rig) -> None:
    async def scene() -> None:
        waiting = asyncio.create_task(rig.updates.wait_beyond(0))
        await asyncio.sleep(0)
        rig.reported("a", rows_total=1)
        rig.updates.tick()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(scene())

    assert rig.updates.number == 1


def test_a_thousand_metrics_of_which_one_changed_are_not_all_looked_at(
    monkeypatch: pytest.MonkeyPatch, rig: Rig
) -> None:
    rig.board.follow({f"m{number}": KNOWN for number in range(1000)})
    rig.next()
    looked_at: list[str] = []
    row = Board.row

    def row_noted(board: Board, name: str) -> dict[str, Any]:
        looked_at.append(name)
        return row(board, name)

    monkeypatch.setattr(Board, "row", row_noted)
    rig.reported("m7", result="ok")
    rig.updates.tick()

    assert looked_at == ["m7"]
