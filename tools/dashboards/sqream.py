"""SQream overview: statements, locks, nodes, license and metadata store, and the lines behind the numbers."""

from __future__ import annotations

from math import inf

from tools.dashboards.board import (
    FROM_LOKI,
    FROM_PROMETHEUS,
    INSTANCE,
    SHIPPERS,
    Board,
    of_prometheus,
)
from tools.dashboards.queries import total
from tools.dashboards.shapes import (
    BYTES,
    GREEN,
    MOMENT,
    PER_SECOND,
    RED,
    SECONDS,
    SHARE,
    YELLOW,
    Log,
    Prom,
    Row,
    Text,
    bars,
    lines,
    number,
    series,
)

SERVICE = f'{SHIPPERS}, service=~"$service"'
DAY_SECONDS = 86_400
STATUS_LINES = '{service_name="sqream", job="show_server_status"}'
LOCK_LINES = '{service_name="sqream", job="show_locks"}'
RUNNING = (
    f'{STATUS_LINES} | json queue="service", who="user_name", state="statementstatus", since="statementstarttime",'
    ' id="statementid", sql="statement" | queue =~ "$service"'
)
SHOWN = "| line_format `{{.state}} since {{.since}} {{.queue}} {{.who}} #{{.id}}: {{.sql}}`"

GLANCE = Row(
    "At a glance",
    [
        number(
            Text(
                "Executing",
                "Statements that workers execute now, those that poll for Shipper included.",
            ),
            total(f'sum(sqream_statements{{{SERVICE}, status="Executing"}})'),
        ),
        number(
            Text(
                "In queue",
                "Statements that wait for a worker. Many for long: too few workers for this service.",
            ),
            total(f'sum(sqream_statements{{{SERVICE}, status=~"(?i)in queue"}})'),
            limits={5: YELLOW, 20: RED},
        ),
        number(
            Text("Longest statement", "How long the oldest statement has been in the cluster."),
            total(f"max(sqream_statement_age_seconds{{{SERVICE}}})"),
            unit=SECONDS,
            limits={600: YELLOW, 3600: RED},
        ),
        number(
            Text("Oldest lock", "How long the oldest lock has been held."),
            total(f"max(sqream_lock_age_seconds{{{SHIPPERS}}})"),
            unit=SECONDS,
            limits={300: YELLOW, 1800: RED},
        ),
        number(
            Text(
                "Orphaned locks",
                "Locks whose statement has ended; they go only when somebody removes them.",
            ),
            total(f'sum(sqream_locks{{{SHIPPERS}, active="0"}})'),
            limits={1: RED},
        ),
        number(
            Text("Nodes", "Workers of the cluster that are connected."),
            total(f'sum(sqream_nodes{{{SHIPPERS}, status=~"(?i)connected"}})'),
            limits={-inf: RED, 1: GREEN},
        ),
        number(
            Text("License expires in", "Time until the license expires."),
            Prom(
                f"min(sqream_license_expiry_timestamp_seconds{{{SHIPPERS}}}) - time()", instant=True
            ),
            unit=SECONDS,
            limits={-inf: RED, 7 * DAY_SECONDS: YELLOW, 30 * DAY_SECONDS: GREEN},
        ),
        number(
            Text("License used", "The share of the licensed size that is used."),
            Prom(
                f"max(1 - sqream_license_left_bytes{{{SHIPPERS}}} / sqream_license_limit_bytes{{{SHIPPERS}}})",
                instant=True,
            ),
            unit=SHARE,
            limits={0.8: YELLOW, 0.9: RED},
        ),
    ],
)
STATEMENTS = Row(
    "Statements",
    [
        series(
            Text("By status", "Statements of the cluster, by status."),
            Prom(f"sum by (status) (sqream_statements{{{SERVICE}}})", "{{status}}"),
            stacked=True,
        ),
        series(
            Text("By service and user", "Who keeps the cluster busy."),
            Prom(
                f"sum by (service, user) (sqream_statements{{{SERVICE}}})", "{{service}} {{user}}"
            ),
            stacked=True,
        ),
        series(
            Text(
                "Age of the oldest",
                "By service and status; a line that only climbs is a statement that does not end.",
            ),
            Prom(
                f"max by (service, status) (sqream_statement_age_seconds{{{SERVICE}}})",
                "{{service}} {{status}}",
            ),
            unit=SECONDS,
        ),
        lines(
            Text(
                "Statements that were executed",
                "As each poll saw them, from the lines of `show_server_status`.",
            ),
            Log(f'{RUNNING} | state = "Executing" {SHOWN}'),
            span=12,
        ),
        lines(
            Text(
                "Statements that waited", "Everything but what was executed, from the same lines."
            ),
            Log(f'{RUNNING} | state != "Executing" {SHOWN}'),
            span=12,
        ),
    ],
)
LOCKS = Row(
    "Locks",
    [
        series(
            Text("Held", "Locks by mode; `active 0` have lost their statement."),
            Prom(
                f"sum by (mode, active) (sqream_locks{{{SHIPPERS}}})", "{{mode}}, active {{active}}"
            ),
            stacked=True,
        ),
        series(
            Text("Age of the oldest", "By mode. Exclusive ones keep everybody else out."),
            Prom(f"max by (mode) (sqream_lock_age_seconds{{{SHIPPERS}}})", "{{mode}}"),
            unit=SECONDS,
        ),
        series(
            Text("Longest wait", "The longest time from the start of a statement to its lock."),
            Prom(f"max by (mode) (sqream_lock_wait_seconds{{{SHIPPERS}}})", "{{mode}}"),
            unit=SECONDS,
        ),
        lines(
            Text("Locks", "As each poll saw them, from the lines of `show_locks`."),
            Log(
                f'{LOCK_LINES} | json mode="lock_mode", what="locked_object", who="username", since="lock_start_time",'
                ' id="statement_id", active="is_statement_active"'
                " | line_format `{{.mode}} on {{.what}} since {{.since}} {{.who}} #{{.id}} (active {{.active}})`"
            ),
        ),
    ],
)
CLUSTER = Row(
    "Nodes and sessions",
    [
        series(
            Text("Nodes", "Workers by status of their connection."),
            Prom(f"sum by (status) (sqream_nodes{{{SHIPPERS}}})", "{{status}}"),
        ),
        series(
            Text("Heartbeats", "How long ago each worker last gave a sign of life."),
            Prom(f"max by (node) (sqream_node_heartbeat_age_seconds{{{SHIPPERS}}})", "{{node}}"),
            unit=SECONDS,
        ),
        series(
            Text(
                "Workers of each service",
                "What `show_subscribed_instances` tells, where it is polled.",
            ),
            Prom(f"sum by (service) (sqream_subscribed_instances{{{SERVICE}}})", "{{service}}"),
        ),
        series(
            Text(
                "Sessions",
                "Of the worker that is asked, all and idle ones, where `show_connections` is polled.",
            ),
            Prom(f"sum by (instance) (sqream_connections{{{SHIPPERS}}})", "{{instance}} all"),
            Prom(f"sum by (instance) (sqream_idle_connections{{{SHIPPERS}}})", "{{instance}} idle"),
            span=6,
        ),
        series(
            Text("Age of the oldest session", "Sessions that never end are often forgotten ones."),
            Prom(
                f"max by (instance) (sqream_connection_age_seconds{{{SHIPPERS}}})", "{{instance}}"
            ),
            unit=SECONDS,
            span=6,
        ),
        series(
            Text("Snapshots", "Open snapshots by database, where `get_open_snapshots` is polled."),
            Prom(
                f"sum by (database, active) (sqream_open_snapshots{{{SHIPPERS}}})",
                "{{database}}, active {{active}}",
            ),
            span=6,
        ),
        series(
            Text(
                "Age of the oldest snapshot",
                "A snapshot that never closes keeps old data from being cleaned.",
            ),
            Prom(
                f"max by (database) (sqream_open_snapshot_age_seconds{{{SHIPPERS}}})",
                "{{database}}",
            ),
            unit=SECONDS,
            span=6,
        ),
    ],
)
LICENSE = Row(
    "License",
    [
        series(
            Text("Size", "What is stored, compressed and not, and what the license allows."),
            Prom(f"max(sqream_license_compressed_bytes{{{SHIPPERS}}})", "compressed"),
            Prom(f"max(sqream_license_uncompressed_bytes{{{SHIPPERS}}})", "uncompressed"),
            Prom(f"max(sqream_license_limit_bytes{{{SHIPPERS}}})", "limit"),
            unit=BYTES,
            span=12,
        ),
        number(
            Text("Expires", "When the license expires."),
            Prom(
                f"1000 * min(sqream_license_expiry_timestamp_seconds{{{SHIPPERS}}})", instant=True
            ),
            unit=MOMENT,
            span=6,
        ),
        number(
            Text("Expired or exceeded", "0 is well; the server refuses work when it is not."),
            total(
                f"max(sqream_license_expired{{{SHIPPERS}}}) + max(sqream_license_size_exceeded{{{SHIPPERS}}})"
            ),
            limits={1: RED},
            span=6,
        ),
    ],
)
METADATA = Row(
    "Metadata store",
    [
        series(
            Text(
                "Calls",
                "Calls of the metadata store by kind of message. A reset of the statistics is no gap.",
            ),
            Prom(
                f"sum by (msg) (rate(sqream_metadata_calls_total{{{SHIPPERS}}}[$__rate_interval]))",
                "{{msg}}",
            ),
            unit=PER_SECOND,
        ),
        series(
            Text("Average time of a call", "Since the last reset of the statistics."),
            Prom(
                f"max by (server_ip, server_port, msg) (sqream_metadata_latency_average_seconds{{{SHIPPERS}}})",
                "{{server_ip}}:{{server_port}} {{msg}}",
            ),
            unit=SECONDS,
        ),
        bars(
            Text(
                "Longest time of a call",
                "Since the last reset, by kind of message; over 1 s is a warning to heed.",
            ),
            Prom(
                f"max by (msg) (sqream_metadata_latency_max_seconds{{{SHIPPERS}}})",
                "{{msg}}",
                instant=True,
            ),
            unit=SECONDS,
        ),
    ],
)

SQREAM = Board(
    "shipper-sqream",
    "SQream overview",
    "Statements, locks, nodes, license and metadata store of SQreamDB, as Shipper polls them.",
    [
        FROM_PROMETHEUS,
        FROM_LOKI,
        INSTANCE,
        of_prometheus(
            "service",
            "Service",
            f"label_values(sqream_statements{{{SHIPPERS}}}, service)",
            everything=".*",
        ),
    ],
    [GLANCE, STATEMENTS, LOCKS, CLUSTER, LICENSE, METADATA],
)
