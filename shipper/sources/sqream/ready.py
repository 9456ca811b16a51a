"""Ready-made Prometheus metrics for what SQreamDB's functions answer.

Columns and their meanings: SQreamDB 4.9 documentation, utility commands. `get_leveldb_stats` and `show_cluster_nodes`
are undocumented: that the times of the one are milliseconds, and that the other tells heartbeats in seconds, is a guess
from the limits of SQreamDB's health check. Sizes of the license are in GB, taken for 10^9 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from shipper.config.column_metric import ColumnMetric

MILLISECONDS = 0.001
GIGABYTES = 1e9
METADATA_LABELS = ["server_ip", "server_port", "msg"]


class ReadyMetric(ColumnMetric):
    """A ready-made metric: it finds columns however a release spells them."""

    any_spelling: ClassVar[bool] = True


def _of(name: str, sentence: str, **keys: object) -> dict[str, object]:
    return {"name": f"sqream_{name}", "help": sentence, **keys}


def _oldest(name: str, sentence: str, time_field: str, **keys: object) -> dict[str, object]:
    """Describe a gauge of the greatest age among rows with the same labels."""
    return _of(name, sentence, value=time_field, value_is="age", aggregate="max", **keys)


READY: Mapping[str, Sequence[Mapping[str, object]]] = {
    "show_server_status": (
        _of(
            "statements",
            "Statements in the cluster.",
            labels={"service": "service", "status": "statement_status", "user": "user_name"},
        ),
        _oldest(
            "statement_age_seconds",
            "How long the oldest statement has been in the cluster.",
            "statement_start_time",
            labels={"service": "service", "status": "statement_status"},
        ),
    ),
    "show_locks": (
        _of(
            "locks",
            "Locks that are held; active is 0 when their statement has ended.",
            labels={"mode": "lock_mode", "active": "is_statement_active"},
        ),
        _oldest(
            "lock_age_seconds",
            "How long the oldest lock has been held.",
            "lock_start_time",
            labels={"mode": "lock_mode"},
        ),
        _of(
            "lock_wait_seconds",
            "The longest time from the start of a statement to its lock.",
            value="lock_start_time",
            value_is="duration",
            since="statement_start_time",
            aggregate="max",
            labels={"mode": "lock_mode"},
        ),
    ),
    "get_leveldb_stats": (
        _of(
            "metadata_calls_total",
            "Calls of the metadata store since the last reset.",
            type="counter",
            increment=False,
            value="count",
            labels=METADATA_LABELS,
        ),
        _of(
            "metadata_latency_average_seconds",
            "Average time of a call of the metadata store since the last reset.",
            value="average",
            scale=MILLISECONDS,
            labels=METADATA_LABELS,
        ),
        _of(
            "metadata_latency_max_seconds",
            "Longest time of a call of the metadata store since the last reset.",
            value="max",
            scale=MILLISECONDS,
            labels=METADATA_LABELS,
        ),
    ),
    "show_cluster_nodes": (
        _of("nodes", "Workers of the cluster.", labels={"status": "connection_status"}),
        _of(
            "node_heartbeat_age_seconds",
            "How long ago a worker last gave a sign of life.",
            value="last_heartbeat",
            labels={"node": "instance_id"},
        ),
    ),
    "get_license_info": (
        _of(
            "license_limit_bytes",
            "Size that the license allows.",
            value="cluster_size_limit",
            scale=GIGABYTES,
        ),
        _of(
            "license_left_bytes",
            "Size that the license still allows.",
            value="cluster_size_left",
            scale=GIGABYTES,
        ),
        _of(
            "license_compressed_bytes",
            "Size of the cluster, compressed.",
            value="compressed_cluster_size",
            scale=GIGABYTES,
        ),
        _of(
            "license_uncompressed_bytes",
            "Size of the cluster, uncompressed.",
            value="uncompressed_cluster_size",
            scale=GIGABYTES,
        ),
        _of(
            "license_expiry_timestamp_seconds",
            "Unix time at which the license expires.",
            value="expiration_date",
            value_is="timestamp",
        ),
        _of(
            "license_expired",
            "1 when the license has expired, else 0.",
            value="is_date_expired",
        ),
        _of(
            "license_size_exceeded",
            "1 when the cluster is larger than the license allows, else 0.",
            value="is_size_exceeded",
        ),
    ),
    "show_connections": (
        _of(
            "connections",
            "Sessions of the worker that is asked.",
        ),
        _of(
            "idle_connections",
            "Sessions of the worker that is asked that run no statement.",
            where={"stmt_id": "-1"},
        ),
        _oldest(
            "connection_age_seconds",
            "How long the oldest session of the worker that is asked has been there.",
            "conn_start_time",
        ),
    ),
    "show_subscribed_instances": (
        _of("subscribed_instances", "Workers of every service.", labels=["service"]),
    ),
    "get_open_snapshots": (
        _of(
            "open_snapshots",
            "Snapshots that are open; active is 0 when their statement has ended.",
            labels={"database": "database_name", "active": "is_statement_active"},
        ),
        _of(
            "open_snapshot_age_seconds",
            "How long the oldest snapshot has been open.",
            value="current_time",
            value_is="duration",
            since="open_time",
            aggregate="max",
            labels={"database": "database_name"},
        ),
    ),
}
"""Items of `metrics` by function; fields have the names that most releases give them."""


def ready_metrics(function: str, timezone: str) -> Sequence[ColumnMetric]:
    """Return the ready-made metrics of a function; none when there are none.

    Args:
        function: What is polled.
        timezone: The server's time zone; the times it tells have none.
    """
    return [
        ReadyMetric.model_validate({**item, "timezone": timezone})
        for item in READY.get(function, ())
    ]


def ready_table() -> str:
    """Return the ready-made metrics as a Markdown table."""
    rows = ["| function | name | type | labels | meaning |", "| --- | --- | --- | --- | --- |"]
    for function in READY:
        for item in ready_metrics(function, "UTC"):
            labels = ", ".join(f"`{label}`" for label in item.label_fields)
            rows.append(f"| `{function}` | `{item.name}` | {item.type} | {labels} | {item.help} |")
    return "\n".join(rows)
