"""The rules of Time Frames as the store's sink uses them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from shipper.store.table_set import Readied
from shipper.store.timeframes.table_set import TimeFrames
from shipper.store.timeframes.time_frame import TimeFrame
from tests.support.clock import FakeClock
from tests.unit.store.timeframes.messages import arrival, message, without

LOG = logging.getLogger("time frames under test")


def readied(rules: TimeFrames, *rows: Mapping[str, Any]) -> Readied[TimeFrame]:
    (only,) = rules.ready([arrival(row, index) for index, row in enumerate(rows)])
    return only


def test_every_record_is_meant_for_the_tables() -> None:
    assert TimeFrames.wants({})


def test_all_rows_are_ready_at_once_and_what_is_none_is_named() -> None:
    turn = readied(
        TimeFrames(log=LOG), message(file_id="a"), without("run_number"), message(file_id="b")
    )

    assert [row.file_id for row in turn.rows] == ["a", "b"]
    assert [(each.index, each.reason) for each in turn.rejections] == [(1, "no_run_number")]


def test_times_that_cannot_be_read_are_warned_of_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    rules = TimeFrames(log=LOG, clock=clock)
    readied(rules, message(created_at="soon"), message(created_at="later"))
    clock.pass_seconds(59)
    readied(rules, message(created_at="never"))
    first = [record.getMessage() for record in caplog.records]
    clock.pass_seconds(1)
    readied(rules, message(created_at="now"))

    assert first == ["created_at is 'soon', which is no ISO 8601 time: stored as NULL (1 so far)."]
    assert caplog.messages[1:] == [
        "created_at is 'now', which is no ISO 8601 time: stored as NULL (4 so far)."
    ]
