"""SQreamDB's monitoring functions, answered from a `World`.

Names and order of the columns are those of the SQreamDB 4.9 documentation; where it is silent
(the leveldb functions, show_cluster_nodes) those that monitors of 2024 read from real servers.
Wire types are not documented anywhere and are chosen to fit the documented examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from shipper.demo.sqream.catalog import Caller, CallerRows, ServedFunction, served_to_caller
from shipper.demo.sqream.columns import Column, Row, WireType
from shipper.demo.sqream.packing import ResultSet
from shipper.demo.sqream.world import NODES, Lock, Running, Status, World

LICENSED_GB = 5000
EXPIRATION_DATE = "2045-03-18"

_COMPRESSION_RATIO = 7.4


def monitoring_functions(world: World, version: str) -> list[ServedFunction]:
    """Return the functions that tell about `world`, and `1` for `select 1`."""
    cluster = _Cluster(world, version)
    tables: dict[str, tuple[tuple[Column, ...], CallerRows]] = {
        "show_server_status": (SERVER_STATUS, cluster.server_status),
        "show_locks": (LOCKS, cluster.locks),
        "get_leveldb_stats": (LEVELDB_STATS, cluster.leveldb_stats),
        "reset_leveldb_stats": (LEVELDB_RESET, cluster.reset_leveldb_stats),
        "show_cluster_nodes": (CLUSTER_NODES, cluster.cluster_nodes),
        "get_license_info": (LICENSE_INFO, cluster.license_info),
        "show_version": (VERSION, cluster.version),
        "show_connections": (CONNECTIONS, cluster.connections),
        "show_subscribed_instances": (SUBSCRIBED_INSTANCES, cluster.subscribed_instances),
        "get_open_snapshots": (OPEN_SNAPSHOTS, cluster.open_snapshots),
    }
    functions = [served_to_caller(name, columns, rows) for name, (columns, rows) in tables.items()]
    return [*functions, _select_one()]


def _select_one() -> ServedFunction:
    one = ResultSet.packed([Column("1", WireType.INT, nullable=False)], [(1,)])
    return ServedFunction("1", lambda _caller: one, needs_gpu=True)


class _Cluster:
    """The rows of each function, as they are at the moment of the call."""

    def __init__(self, world: World, version: str) -> None:
        self._world = world
        self._version = version

    def server_status(self, caller: Caller) -> list[Row]:
        """List the statements in the cluster; the one that asks is among them."""
        with self._world.moment() as now:
            rows = [_status_row(running) for running in self._world.running]
        moment, here = day_first(now), NODES[0]
        asking = (
            *(caller.service, here.instance_id, caller.connection_id, here.ip, here.port),
            *(caller.database, caller.username, caller.client_ip, caller.statement_id),
            *(caller.sql, moment, Status.EXECUTING.value, moment),
        )
        return [asking, *rows]

    def locks(self, _caller: Caller) -> list[Row]:
        """List the locks; often there are none."""
        with self._world.moment():
            return [_lock_row(lock) for lock in self._world.locks]

    def leveldb_stats(self, _caller: Caller) -> list[Row]:
        """List the response times of the metadata store."""
        with self._world.moment() as now:
            return [
                (
                    *(year_first(now), node.ip, node.port, message),
                    *(stats.count, stats.average, stats.longest),
                    None if stats.longest_at is None else year_first(stats.longest_at),
                    stats.variance,
                )
                for (node, message), stats in self._world.calls.items()
            ]

    def reset_leveldb_stats(self, _caller: Caller) -> list[Row]:
        """Zero the response times."""
        self._world.reset_calls()
        return [("leveldb statistics were reset",)]

    def cluster_nodes(self, _caller: Caller) -> list[Row]:
        """List the workers, with the seconds since each last gave a sign of life."""
        with self._world.moment() as now:
            beats = dict(self._world.last_heartbeats)
        return [
            (node.ip, node.port, node.connection_id, node.instance_id, now - beat, "connected")
            for node, beat in beats.items()
        ]

    def license_info(self, _caller: Caller) -> list[Row]:
        """Tell how much of the licensed size is used, in GB."""
        with self._world.moment() as now:
            used_gb = self._world.compressed_gb
        compressed_gb, uncompressed_gb = int(used_gb), int(used_gb * _COMPRESSION_RATIO)
        expired = year_first(now)[:10] > EXPIRATION_DATE
        exceeded = compressed_gb > LICENSED_GB
        return [
            (
                *(compressed_gb, uncompressed_gb, "compressed", LICENSED_GB, EXPIRATION_DATE),
                *(int(expired), int(exceeded), max(LICENSED_GB - compressed_gb, 0), 0, 0, 2),
            )
        ]

    def version(self, _caller: Caller) -> list[Row]:
        """Tell the server's version."""
        return [(f"v{self._version}",)]

    def connections(self, caller: Caller) -> list[Row]:
        """List the sessions of this worker: an idle one and the one that asks."""
        with self._world.moment() as now:
            moment = day_first(now)
        idle = ("192.168.4.25", 1, day_first(now - now % 86_400), -1, None, None)
        here = (caller.client_ip, caller.connection_id, moment)
        return [idle, (*here, caller.statement_id, moment, caller.sql)]

    def subscribed_instances(self, _caller: Caller) -> list[Row]:
        """List the workers of each service."""
        return [
            (service, node.instance_id, node.ip, node.port)
            for node in NODES
            for service in node.services
        ]

    def open_snapshots(self, _caller: Caller) -> list[Row]:
        """List the snapshots that executing statements hold."""
        with self._world.moment() as now:
            executing = [each for each in self._world.running if each.status is Status.EXECUTING]
        return [
            (
                *("master", "statement", year_first(running.status_since), 1000 + index),
                *(running.statement_id % 10_000, running.statement_id, year_first(now), 1),
            )
            for index, running in enumerate(executing)
        ]


def _status_row(running: Running) -> Row:
    node, work = running.node, running.work
    return (
        work.service,
        node.instance_id if node else None,
        running.connection_id,
        node.ip if node else NODES[0].ip,
        node.port if node else NODES[0].port,
        "master",
        work.username,
        running.client_ip,
        running.statement_id,
        work.sql,
        day_first(running.started_at),
        running.status.value,
        day_first(running.status_since),
    )


def _lock_row(lock: Lock) -> Row:
    running, node = lock.running, lock.running.node or NODES[0]
    return (
        str(running.statement_id),
        running.work.sql,
        running.work.username,
        node.ip,
        str(node.port),
        lock.locked_object,
        lock.mode,
        day_first(running.started_at),
        year_first(lock.taken_at),
        int(not lock.is_orphan),
        int(not lock.is_orphan),
    )


def day_first(epoch_seconds: int) -> str:
    """Return a time as most of SQreamDB's functions write it; the emulated server is on UTC."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%d-%m-%Y %H:%M:%S")


def year_first(epoch_seconds: int) -> str:
    """Return a time in the other notation SQreamDB has; `show_locks` mixes both in a row."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _columns(wire_type: WireType, *names: str) -> Iterator[Column]:
    return (Column(name, wire_type) for name in names)


SERVER_STATUS = (
    *_columns(WireType.TEXT, "service", "instanceid"),
    *_columns(WireType.INT, "connection_id"),
    *_columns(WireType.TEXT, "serverip"),
    *_columns(WireType.INT, "serverport"),
    *_columns(WireType.TEXT, "database_name", "user_name", "clientip"),
    *_columns(WireType.BIGINT, "statementid"),
    *_columns(WireType.TEXT, "statement", "statementstarttime"),
    *_columns(WireType.TEXT, "statementstatus", "statementstatusstart"),
)
LOCKS = (
    *_columns(WireType.TEXT, "statement id", "statement string", "username", "server", "port"),
    *_columns(WireType.TEXT, "locked object", "lock mode"),
    *_columns(WireType.TEXT, "statement start time", "lock start time"),
    *_columns(WireType.INT, "is_statement_active", "is_snapshot_active"),
)
LEVELDB_STATS = (
    *_columns(WireType.TEXT, "timestamp", "server_ip"),
    *_columns(WireType.INT, "server_port"),
    *_columns(WireType.TEXT, "msg"),
    *_columns(WireType.BIGINT, "count"),
    *_columns(WireType.DOUBLE, "average", "max"),
    *_columns(WireType.TEXT, "max_timestamp"),
    *_columns(WireType.DOUBLE, "variance"),
)
LEVELDB_RESET = tuple(_columns(WireType.TEXT, "reset_leveldb_stats"))
CLUSTER_NODES = (
    *_columns(WireType.TEXT, "server_ip"),
    *_columns(WireType.INT, "server_port", "connection_id"),
    *_columns(WireType.TEXT, "instance_id"),
    *_columns(WireType.INT, "last_heartbeat"),
    *_columns(WireType.TEXT, "connection_status"),
)
LICENSE_INFO = (
    *_columns(WireType.BIGINT, "compressed_cluster_size", "uncompressed_cluster_size"),
    *_columns(WireType.TEXT, "compress_type"),
    *_columns(WireType.BIGINT, "cluster_size_limit"),
    *_columns(WireType.TEXT, "expiration_date"),
    *_columns(WireType.INT, "is_date_expired", "is_size_exceeded"),
    *_columns(WireType.BIGINT, "cluster_size_left"),
    *_columns(WireType.BIGINT, "data_read_size_limit", "data_write_size_limit"),
    *_columns(WireType.INT, "gpu_limit"),
)
# The documentation's example of show_version really heads its one column so.
VERSION = tuple(_columns(WireType.TEXT, "bytesread"))
CONNECTIONS = (
    *_columns(WireType.TEXT, "ip"),
    *_columns(WireType.INT, "conn_id"),
    *_columns(WireType.TEXT, "conn_start_time"),
    *_columns(WireType.BIGINT, "stmt_id"),
    *_columns(WireType.TEXT, "stmt_start_time", "stmt"),
)
SUBSCRIBED_INSTANCES = (
    *_columns(WireType.TEXT, "service", "servernode", "serverip"),
    *_columns(WireType.INT, "serverport"),
)
OPEN_SNAPSHOTS = (
    *_columns(WireType.TEXT, "database_name", "reason", "open_time"),
    *_columns(WireType.BIGINT, "database_version", "snapshot_id", "statement_id"),
    *_columns(WireType.TEXT, "current_time"),
    *_columns(WireType.INT, "is_statement_active"),
)
