"""The tables that the monitoring functions answer with."""

from __future__ import annotations

import re
from random import Random
from typing import Any

import pytest

from shipper.demo.sqream.catalog import Caller, ServedFunction
from shipper.demo.sqream.functions import day_first, monitoring_functions, year_first
from shipper.demo.sqream.packing import ResultSet
from shipper.demo.sqream.world import NODES, World

NOON = 1_790_000_000.0
CALLER = Caller(8, 9, "10.0.0.7", "sqream", "master", "monitor", "select show_server_status()")
DAY_FIRST = re.compile(r"\d\d-\d\d-\d{4} \d\d:\d\d:\d\d")
YEAR_FIRST = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


class TurnedClock:
    """Stands still unless told."""

    def __init__(self) -> None:
        self.now_seconds = NOON

    def __call__(self) -> float:
        return self.now_seconds


class Cluster:
    """The functions, the world they tell about and its clock."""

    def __init__(self) -> None:
        self.clock = TurnedClock()
        self.world = World(Random(7), self.clock)
        self.functions: dict[str, ServedFunction] = {
            function.name: function for function in monitoring_functions(self.world, "4.9.0")
        }

    def answer(self, name: str) -> ResultSet:
        return self.functions[name].answer(CALLER)

    def rows(self, name: str) -> list[dict[str, Any]]:
        result = self.answer(name)
        names = [column.name for column in result.columns]
        return [dict(zip(names, row, strict=True)) for row in result.rows]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def _until_locked(cluster: Cluster) -> dict[str, Any]:
    for _ in range(600):
        if rows := cluster.rows("show_locks"):
            return rows[0]
        cluster.clock.now_seconds += 1
    pytest.fail("no lock in ten minutes")


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        pytest.param(
            "show_server_status",
            "service,instanceid,connection_id,serverip,serverport,database_name,user_name,clientip,"
            "statementid,statement,statementstarttime,statementstatus,statementstatusstart",
            id="show_server_status",
        ),
        pytest.param(
            "show_locks",
            "statement id,statement string,username,server,port,locked object,lock mode,"
            "statement start time,lock start time,is_statement_active,is_snapshot_active",
            id="show_locks",
        ),
        pytest.param(
            "get_leveldb_stats",
            "timestamp,server_ip,server_port,msg,count,average,max,max_timestamp,variance",
            id="get_leveldb_stats",
        ),
        pytest.param(
            "show_cluster_nodes",
            "server_ip,server_port,connection_id,instance_id,last_heartbeat,connection_status",
            id="show_cluster_nodes",
        ),
        pytest.param(
            "get_license_info",
            "compressed_cluster_size,uncompressed_cluster_size,compress_type,cluster_size_limit,"
            "expiration_date,is_date_expired,is_size_exceeded,cluster_size_left,"
            "data_read_size_limit,data_write_size_limit,gpu_limit",
            id="get_license_info",
        ),
        pytest.param(
            "show_connections",
            "ip,conn_id,conn_start_time,stmt_id,stmt_start_time,stmt",
            id="show_connections",
        ),
        pytest.param(
            "show_subscribed_instances",
            "service,servernode,serverip,serverport",
            id="show_subscribed_instances",
        ),
        pytest.param(
            "get_open_snapshots",
            "database_name,reason,open_time,database_version,snapshot_id,statement_id,"
            "current_time,is_statement_active",
            id="get_open_snapshots",
        ),
    ],
)
def test_a_function_has_the_documented_columns(cluster: Cluster, name: str, columns: str) -> None:
    assert [column.name for column in cluster.answer(name).columns] == columns.split(",")


def test_the_statement_that_asks_is_in_the_server_status(cluster: Cluster) -> None:
    own = [row for row in cluster.rows("show_server_status") if row["statementid"] == 9]

    assert len(own) == 1
    assert own[0]["statement"] == "select show_server_status()"
    assert own[0]["clientip"] == "10.0.0.7"
    assert own[0]["statementstatus"] == "Executing"


def test_server_status_changes_with_time(cluster: Cluster) -> None:
    before = cluster.rows("show_server_status")
    cluster.clock.now_seconds += 60

    assert cluster.rows("show_server_status") != before


def test_a_lock_has_its_times_in_both_notations(cluster: Cluster) -> None:
    lock = _until_locked(cluster)

    assert DAY_FIRST.fullmatch(lock["statement start time"])
    assert YEAR_FIRST.fullmatch(lock["lock start time"])


def test_a_lock_names_its_object_and_mode(cluster: Cluster) -> None:
    lock = _until_locked(cluster)

    assert "$" in lock["locked object"]
    assert lock["lock mode"] in ("Inclusive", "Exclusive")


def test_reset_answers_one_row_and_zeroes_the_statistics(cluster: Cluster) -> None:
    before = sum(row["count"] for row in cluster.rows("get_leveldb_stats"))
    answer = cluster.rows("reset_leveldb_stats")
    after = cluster.rows("get_leveldb_stats")

    assert before > 0
    assert len(answer) == 1
    assert {row["count"] for row in after} == {0}
    assert {row["max_timestamp"] for row in after} == {None}


def test_each_worker_is_a_cluster_node(cluster: Cluster) -> None:
    rows = cluster.rows("show_cluster_nodes")

    assert [row["instance_id"] for row in rows] == [node.instance_id for node in NODES]


def test_the_used_and_the_left_part_of_the_licence_make_the_whole(cluster: Cluster) -> None:
    licence = cluster.rows("get_license_info")[0]

    used_and_left = licence["compressed_cluster_size"] + licence["cluster_size_left"]
    assert used_and_left == licence["cluster_size_limit"]
    assert (licence["is_date_expired"], licence["is_size_exceeded"]) == (0, 0)


def test_only_select_1_needs_a_gpu(cluster: Cluster) -> None:
    assert [name for name, each in cluster.functions.items() if each.needs_gpu] == ["1"]


def test_times_are_written_in_both_notations() -> None:
    assert day_first(1_716_227_274) == "20-05-2024 17:47:54"
    assert year_first(1_716_227_274) == "2024-05-20 17:47:54"
