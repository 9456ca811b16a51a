"""Lines and changes as a viewer sees them: WebSockets of the running program."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import Column, SqreamEmulator, WireType
from tests.support.shipper_process import ShipperProcess, far_ends, until, write_config

PATIENCE_SECONDS = 20.0
NODES = [Column("n", WireType.BIGINT), Column("node", WireType.TEXT)]
HOSTILE = '<img src=x onerror=alert(1)> \x1b[31m \u202e \x00 \\ "quoted" Ünïcode'
METRICS: dict[str, Any] = {
    "show_locks": {"every_seconds": 0.25, "labels": {"site": "<b>"}, "label_fields": ["node"]},
    "show_conf": 3600,
    "show_version": 0.3,
    "reset_leveldb_stats": 0.3,
}


@pytest.fixture(scope="module")
def shipper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShipperProcess]:
    folder = tmp_path_factory.mktemp("live")
    config = write_config(folder, METRICS)
    with SqreamEmulator() as emulator, LogStore() as store:
        emulator.serve("show_locks", NODES, [(7, "a"), (8, "b")])
        emulator.serve("show_conf", NODES, [(1, HOSTILE), (2, "x" * 1000)])
        emulator.serve("show_version", NODES, [(1, HOSTILE)])
        with ShipperProcess(["run", *far_ends(emulator, store.url, config)], folder) as running:
            running.until_ready()
            until(lambda: all(running.polls(metric) >= 1 for metric in METRICS))
            yield running


def watching(shipper: ShipperProcess, path: str, **more: Any) -> Connection:
    return connect(shipper.address.replace("http", "ws") + path, max_size=None, **more)


def received(viewer: Connection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(viewer.recv(timeout=PATIENCE_SECONDS))
    return message


# Lines


def test_lines_are_seen_as_they_are_shipped(shipper: ShipperProcess) -> None:
    with watching(shipper, "/live?metric=show_locks") as viewer:
        before_ns = time.time_ns()
        line = received(viewer)

    assert line["metric"] == "show_locks"
    assert json.loads(line["line"])["n"] in (7, 8)
    assert line["labels"]["job"] == "show_locks"
    assert line["labels"]["site"] == "<b>"
    assert abs(int(line["time_ns"]) - before_ns) < 5 * 10**9
    assert abs(int(line["poll_ns"]) - before_ns) < 5 * 10**9
    assert line["metadata"] == {}


def test_lines_of_one_poll_tell_the_same_moment(shipper: ShipperProcess) -> None:
    with watching(shipper, "/live?metric=show_locks&last=100") as viewer:
        polls: dict[str, list[int]] = {}
        for _ in range(20):
            line = received(viewer)
            polls.setdefault(line["poll_ns"], []).append(json.loads(line["line"])["n"])

    assert [7, 8] in [sorted(rows) for rows in polls.values()]
    assert max(map(len, polls.values())) == 2


def test_without_a_metric_lines_of_all_are_seen(shipper: ShipperProcess) -> None:
    with watching(shipper, "/live") as viewer:
        seen = {received(viewer)["metric"] for _ in range(30)}

    assert seen == {"show_locks", "show_version"}


def test_only_lines_that_match_are_seen_whatever_the_case(shipper: ShipperProcess) -> None:
    with watching(shipper, "/live?metric=show_locks&match=%22NODE%22:%22B") as viewer:
        lines = [json.loads(received(viewer)["line"]) for _ in range(3)]

    assert [line["node"] for line in lines] == ["b", "b", "b"]


def test_the_newest_lines_are_seen_at_once_also_of_a_metric_that_polls_once_an_hour(
    shipper: ShipperProcess,
) -> None:
    with watching(shipper, "/live?metric=show_conf&last=1000") as viewer:
        lines = [json.loads(received(viewer)["line"])["n"] for _ in range(2)]

    assert lines == [1, 2]


def test_what_a_line_holds_arrives_as_text_whatever_it_is(shipper: ShipperProcess) -> None:
    with watching(shipper, "/live?metric=show_conf&last=1000") as viewer:
        line = json.loads(received(viewer)["line"])

    assert line["node"] == HOSTILE


def test_a_second_viewer_sees_what_the_first_has_seen(shipper: ShipperProcess) -> None:
    with watching(shipper, "/live?metric=show_version") as first:
        seen = received(first)
        with watching(shipper, "/live?metric=show_version&last=1000") as second:
            known = [received(second) for _ in range(3)]

    assert seen["time_ns"] >= known[0]["time_ns"]


def test_an_unknown_metric_closes_with_a_reason(shipper: ShipperProcess) -> None:
    with (
        watching(shipper, "/live?metric=nothing") as viewer,
        pytest.raises(ConnectionClosedError) as closed,
    ):
        viewer.recv(timeout=PATIENCE_SECONDS)

    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
        4404,
        "there is no metric nothing",
    )


@pytest.mark.parametrize("query", ["last=x", "last=1001", "last=-1", "matsch=1", "last=1&last=2"])
def test_a_bad_query_closes_with_a_reason(shipper: ShipperProcess, query: str) -> None:
    with (
        watching(shipper, f"/live?{query}") as viewer,
        pytest.raises(ConnectionClosedError) as closed,
    ):
        viewer.recv(timeout=PATIENCE_SECONDS)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400
    assert closed.value.rcvd.reason


def test_a_page_of_another_origin_is_refused(shipper: ShipperProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        watching(shipper, "/live", origin="http://evil.example")

    assert refused.value.response.status_code == 403


def test_our_own_page_is_not_refused(shipper: ShipperProcess) -> None:
    with watching(shipper, "/live", origin=shipper.address) as viewer:
        assert received(viewer)["metric"]


# Changes


def test_changes_begin_with_the_whole_state(shipper: ShipperProcess) -> None:
    with watching(shipper, "/api/updates") as viewer:
        state = received(viewer)["state"]

    assert [row["metric"] for row in state["metrics"]] == list(METRICS)
    assert state["sections"] == {"runs": False, "jobs": False}


def test_only_what_changed_follows(shipper: ShipperProcess) -> None:
    with watching(shipper, "/api/updates") as viewer:
        received(viewer)
        update = received(viewer)
        changes = {row["metric"]: row for row in update["changed"]}

    assert update["ready"] is True
    assert update["removed"] == []
    assert "order" not in update
    assert changes["show_locks"]["poll_seconds"]
    assert "instance" not in changes["show_locks"]


def test_the_state_tells_labels_streams_and_durations(shipper: ShipperProcess) -> None:
    row = until(lambda: (row := shipper.state()["show_locks"])["rows_per_second"] and row)

    assert row["waits"] is False
    assert row["labels"]["site"] == "<b>"
    assert (row["label_values"], row["streams"]) == ({"node": 2}, 2)
    assert (row["max_label_values"], row["lag_seconds"]) == (100, None)
    assert (row["bytes_waiting"], row["oldest_unsent_seconds"]) == (0, 0)
    assert 0 < row["last_poll_seconds"] < 5
    assert 0 < len(row["poll_seconds"]) <= 60
    assert 1 < row["rows_per_second"] < 50
