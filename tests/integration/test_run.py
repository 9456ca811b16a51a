"""A run of the whole program: what arrives in the log store when `monitor_input.json` is polled."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import Column, Row, SqreamEmulator, WireType
from tests.support.shipper_process import ROOT, ShipperProcess, far_ends, until, write_config

MONITORED: dict[str, float] = json.loads((ROOT / "monitor_input.json").read_text())
SHIPPED = set(MONITORED) - {"reset_leveldb_stats"}

NODES = [
    Column("node id", WireType.TEXT),
    Column("port", WireType.INT),
    Column("role", WireType.TEXT),
    Column("since", WireType.DATE),
]
NODE_ROWS: list[Row] = [("n1", 5000, 'the "first"', date(2026, 1, 31)), ("n2", 5001, None, None)]
LOCKS = [Column("statement_id", WireType.TEXT)]
MANY_ROWS = 3000


@dataclass(frozen=True)
class Finished:
    """A run that was stopped, and all that its far ends saw of it."""

    store: LogStore
    instance: str
    exit_code: int
    stderr: str
    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]
    state: Mapping[str, Mapping[str, Any]]
    rows_per_poll: Mapping[str, list[int]]
    """How many rows every poll of a worker was given, by function; the gate's own calls are left out."""

    def polls(self, function: str) -> int:
        return len(self.rows_per_poll[function])

    def lines(self, job: str) -> list[str]:
        return [stored.line for stored in self.store.lines(f'{{job="{job}"}}')]


def run_until_polled(
    shipper: ShipperProcess, emulator: SqreamEmulator, store: LogStore, wanted: Mapping[str, int]
) -> Finished:
    """Let every function in `wanted` be polled so often, stop, and return what was seen."""
    served: dict[str, list[int]] = {function: [] for function in wanted}
    emulator.on_served = lambda name, rows: served.setdefault(name, []).append(len(rows))
    with shipper:
        shipper.until_ready()
        until(lambda: all(shipper.polls(name) >= count for name, count in wanted.items()))
        samples, state = shipper.metrics(), shipper.state()
        exit_code = shipper.terminate()
    emulator.on_served = None
    gate = {function: int(function != "reset_leveldb_stats") for function in wanted}
    return Finished(
        store=store,
        instance=f"{emulator.host}:{emulator.port}",
        exit_code=exit_code,
        stderr=shipper.stderr,
        samples=samples,
        state=state,
        rows_per_poll={function: served[function][gate[function] :] for function in wanted},
    )


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """A run with the six metrics of `monitor_input.json`, which is found without being named."""
    with SqreamEmulator() as emulator, LogStore() as store:
        emulator.serve("show_cluster_nodes", NODES, NODE_ROWS)
        emulator.serve("show_locks", LOCKS, [("7",), ("8",)])
        shipper = ShipperProcess(
            ["run", *far_ends(emulator, store.url)], tmp_path_factory.mktemp("monitored")
        )
        wanted = {**dict.fromkeys(MONITORED, 1), "show_locks": 2}
        yield run_until_polled(shipper, emulator, store, wanted)


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """A run in which one metric never has a row, and another has thousands."""
    folder = tmp_path_factory.mktemp("sized")
    config = write_config(folder, {"show_locks": 0.3, "show_conf": 0.5})
    with SqreamEmulator() as emulator, LogStore() as store:
        emulator.serve("show_locks", LOCKS, [])
        emulator.serve(
            "show_conf", LOCKS, [(str(number),) for number in range(MANY_ROWS)], chunk_rows=1000
        )
        flags = far_ends(emulator, store.url, config)
        shipper = ShipperProcess(["run", *flags, "--log_level", "debug"], folder)
        yield run_until_polled(shipper, emulator, store, {"show_locks": 3, "show_conf": 2})


def test_every_shipped_metric_of_monitor_input_arrives_in_the_store(monitored: Finished) -> None:
    arrived = {stored.labels["job"] for stored in monitored.store.lines()}

    assert arrived == SHIPPED


def test_every_line_has_exactly_the_labels_job_service_name_and_instance(
    monitored: Finished,
) -> None:
    labels = [dict(stored.labels) for stored in monitored.store.lines()]

    assert labels == [
        {"job": each["job"], "service_name": "sqream", "instance": monitored.instance}
        for each in labels
    ]


def test_a_line_is_the_row_as_compact_json_in_column_order(monitored: Finished) -> None:
    assert monitored.lines("show_cluster_nodes")[:2] == [
        r'{"node_id":"n1","port":5000,"role":"the \"first\"","since":"2026-01-31"}',
        '{"node_id":"n2","port":5001,"role":null,"since":null}',
    ]


@pytest.mark.parametrize("function", sorted(SHIPPED))
def test_every_row_that_was_polled_is_stored_exactly_once(
    monitored: Finished, function: str
) -> None:
    assert len(monitored.lines(function)) == sum(monitored.rows_per_poll[function])


def test_every_poll_with_rows_makes_one_push(monitored: Finished) -> None:
    polls_with_rows = sum(
        sum(1 for rows in monitored.rows_per_poll[function] if rows) for function in SHIPPED
    )

    assert [push.status for push in monitored.store.pushes] == [204] * polls_with_rows


def test_no_push_mixes_streams(monitored: Finished) -> None:
    assert Counter(push.streams for push in monitored.store.pushes).keys() == {1}


def test_pushes_are_protobuf_with_snappy_by_default(monitored: Finished) -> None:
    assert {push.content_type for push in monitored.store.pushes} == {"application/x-protobuf"}


@pytest.mark.quiet
def test_polls_keep_to_their_period(monitored: Finished) -> None:
    stored = monitored.store.lines('{job="show_locks"}')
    rows = monitored.rows_per_poll["show_locks"][0]
    between_seconds = (stored[rows].time_ns - stored[0].time_ns) / 1e9

    assert between_seconds == pytest.approx(MONITORED["show_locks"], abs=0.5)


def test_reset_leveldb_stats_is_polled_and_not_shipped(monitored: Finished) -> None:
    assert monitored.polls("reset_leveldb_stats") == 1
    assert monitored.lines("reset_leveldb_stats") == []


def test_rows_are_counted_by_metric(monitored: Finished) -> None:
    labels = frozenset({("metric", "show_cluster_nodes")})

    assert monitored.samples["shipper_rows_total", labels] >= len(NODE_ROWS)


def test_a_stopped_run_ends_with_exit_code_0_and_says_nothing_alarming(monitored: Finished) -> None:
    assert monitored.exit_code == 0
    assert "WARNING" not in monitored.stderr
    assert "ERROR" not in monitored.stderr
    assert "Traceback" not in monitored.stderr


def test_the_log_is_quiet_about_polls_that_succeed(monitored: Finished) -> None:
    told = [line.split()[2] for line in monitored.stderr.splitlines()]

    assert told == ["Serving", "Shipper", "Stopping.", "Stopped."]


def test_an_empty_result_sends_nothing(sized: Finished) -> None:
    assert sized.polls("show_locks") >= 3
    assert sized.lines("show_locks") == []


def test_an_empty_result_counts_no_rows(sized: Finished) -> None:
    assert ("shipper_rows_total", frozenset({("metric", "show_locks")})) not in sized.samples


def test_an_empty_result_is_one_debug_line(sized: Finished) -> None:
    told = [line for line in sized.stderr.splitlines() if "no rows" in line]

    assert len(told) == sized.polls("show_locks")
    assert all("DEBUG" in line and "show_locks" in line for line in told)


def test_many_rows_of_one_poll_are_never_two_pushes(sized: Finished) -> None:
    pushed = [push.entries for push in sized.store.pushes]

    # On a busy machine the rows of two polls may wait for each other, and go together.
    assert sum(pushed) == MANY_ROWS * sized.polls("show_conf")
    assert {entries % MANY_ROWS for entries in pushed} == {0}


def test_rows_of_one_poll_keep_their_order(sized: Finished) -> None:
    first_poll = [json.loads(line) for line in sized.lines("show_conf")[:MANY_ROWS]]

    assert first_poll == [{"statement_id": str(number)} for number in range(MANY_ROWS)]
