"""Shipper health: what is down, what is behind, what was lost or refused, and how the polls do."""

from __future__ import annotations

from math import inf

from tools.dashboards.board import (
    DESTINATIONS,
    ENTRIES,
    FROM_PROMETHEUS,
    INSTANCE,
    KILLS,
    METRIC,
    RESTARTS,
    SHIPPERS,
    SINK,
    VERSIONS,
    Board,
)
from tools.dashboards.doings import DELIVERY, LINES_OF_METRIC, POLLS
from tools.dashboards.queries import gone_up, in_range, risen, total
from tools.dashboards.shapes import (
    BYTES,
    GREEN,
    RED,
    SECONDS,
    SHARE,
    YELLOW,
    Prom,
    Row,
    Text,
    leading_to,
    number,
    rows_of,
    series,
    up_and_down,
)

LINES_OF_ROW = leading_to(
    "shipper-lines", "Lines of ${__data.fields.metric}", "var-job=${__data.fields.metric}"
)


def _column(family: str, labels: str) -> Prom:
    """Return a column of the books: how far a counter of each metric went up in the time shown."""
    expr = f"sum by (instance, metric) ({risen(family, labels, '$__range')})"
    return Prom(expr, instant=True, rows=True)


BOOKS = {
    "received": _column("shipper_rows_total", ENTRIES),
    "delivered": _column("shipper_lines_delivered_total", DESTINATIONS),
    "waiting now": Prom(
        f"sum by (instance, metric) (shipper_spool_lines{{{DESTINATIONS}}})",
        instant=True,
        rows=True,
    ),
    "refused": _column("shipper_lines_rejected_total", DESTINATIONS),
    "dead letters": _column("shipper_dead_letters_total", DESTINATIONS),
    "lost": _column("shipper_lines_dropped_total", ENTRIES),
    "since the last good poll": Prom(
        f"time() - max by (instance, metric) (shipper_last_success_timestamp_seconds{{{ENTRIES}}})",
        instant=True,
        rows=True,
    ),
}
GLANCE = Row(
    "At a glance",
    [
        number(
            Text(
                "Workers down",
                "Workers whose process does not run. Look at *Up and down* below, and at `/ready`.",
            ),
            total(f"count(shipper_worker_up{{{ENTRIES}}} == 0)"),
            limits={1: RED},
        ),
        number(
            Text(
                "Failing now",
                "Metrics with polls that failed, and none that succeeded, in ten minutes.",
            ),
            total(
                f'count(sum by (instance, metric) (increase(shipper_polls_total{{{ENTRIES}, result!="ok"}}[10m])) > 0'
                f" unless on (instance, metric)"
                f' sum by (instance, metric) (increase(shipper_polls_total{{{ENTRIES}, result="ok"}}[10m])) > 0)'
            ),
            limits={1: RED},
        ),
        number(
            Text(
                "Oldest unsent",
                "How long the oldest line has waited for its destination. Normal is below a second.",
            ),
            total(f"max(shipper_oldest_unsent_seconds{{{DESTINATIONS}}})"),
            unit=SECONDS,
            limits={30: YELLOW, 120: RED},
        ),
        number(
            Text(
                "Fullest spool",
                "The share of what may wait on disk that does, of the fullest spool.",
            ),
            total(
                f"max(shipper_spool_bytes{{{DESTINATIONS}}} / shipper_spool_limit_bytes{{{DESTINATIONS}}})"
            ),
            unit=SHARE,
            limits={0.5: YELLOW, 0.8: RED},
        ),
        number(
            Text(
                "Lost",
                "Lines dropped, datagrams the kernel dropped included, in the time shown. Reasons are below.",
            ),
            in_range("shipper_lines_dropped_total", ENTRIES),
            limits={1: RED},
        ),
        number(
            Text(
                "Refused",
                "Lines that a destination will never take, in the time shown. See `dead-letter list`.",
            ),
            in_range("shipper_lines_rejected_total", DESTINATIONS),
            limits={1: YELLOW},
        ),
        number(
            Text(
                "Room on disk",
                "What is free on the disk of the state directory; below 16 MiB lines wait in memory.",
            ),
            Prom(f"min(shipper_state_dir_free_bytes{{{SHIPPERS}}})", instant=True),
            unit=BYTES,
            limits={-inf: RED, 1e9: YELLOW, 5e9: GREEN},
        ),
        number(
            Text("Version", "The version of every Shipper that is chosen."),
            Prom(f"shipper_build_info{{{SHIPPERS}}}", "{{version}}", instant=True),
            names=True,
        ),
    ],
)
OURS = 'alertname=~"(Shipper|Sqream).*"'
FIRING = (
    f'ALERTS_FOR_STATE{{{OURS}}} and ignoring (alertstate) ALERTS{{{OURS}, alertstate="firing"}}'
)
ALERTS = Row(
    "Alerts",
    [
        rows_of(
            Text(
                "Alerts that fire",
                "Where this Prometheus evaluates `rules/shipper.yml`; a runbook has its name. Empty is well.",
            ),
            {
                "for": Prom(
                    f"max by (severity, alertname, instance, metric) (time() - ({FIRING})) > 0",
                    instant=True,
                    rows=True,
                )
            },
            by=["severity", "alertname", "instance", "metric"],
            units={"for": SECONDS},
        ),
    ],
)
UP = Row(
    "Up and down",
    [
        up_and_down(
            Text(
                "Workers",
                "Whether the worker of each metric ran. Gaps: Prometheus could not scrape.",
            ),
            Prom(f"shipper_worker_up{{{ENTRIES}}}", "{{metric}} on {{instance}}"),
        ),
        rows_of(
            Text(
                "Books of lines",
                "What came in and what became of it, in the time shown. A metric with two destinations delivers "
                "every row twice. A row that is in no column is on its way, or was lost with a killed process.",
            ),
            BOOKS,
            by=["instance", "metric"],
            units={"since the last good poll": SECONDS},
        ).data_links([LINES_OF_ROW]),
    ],
)
BEHIND = Row(
    "What is behind",
    [
        series(
            Text(
                "Oldest unsent",
                "How long the oldest line of each queue has waited; grows while a destination is away.",
            ),
            Prom(f"shipper_oldest_unsent_seconds{{{DESTINATIONS}}}", "{{metric}} to {{sink}}"),
            unit=SECONDS,
        ).data_links([LINES_OF_METRIC]),
        series(
            Text("Lines waiting", "Lines on their way to a destination, on disk and in memory."),
            Prom(f"shipper_spool_lines{{{DESTINATIONS}}}", "{{metric}} to {{sink}}"),
        ).data_links([LINES_OF_METRIC]),
        series(
            Text(
                "Behind the newest row",
                "How far the cursor of a source that is read by one is behind.",
            ),
            Prom(f"shipper_cursor_lag_seconds{{{ENTRIES}}}", "{{metric}}"),
            unit=SECONDS,
        ).data_links([LINES_OF_METRIC]),
        series(
            Text(
                "Share of the spool in use",
                "At 100 % lines are dropped, or the source is not read (`spool_full`).",
            ),
            Prom(
                f"shipper_spool_bytes{{{DESTINATIONS}}} / shipper_spool_limit_bytes{{{DESTINATIONS}}}",
                "{{metric}} to {{sink}}",
            ),
            unit=SHARE,
        ),
        series(
            Text(
                "Lines in memory alone",
                "More than 0 for minutes: the disk of the state directory takes nothing.",
            ),
            Prom(f"shipper_memory_lines{{{DESTINATIONS}}}", "{{metric}} to {{sink}}"),
        ),
        series(
            Text(
                "Since the last good poll",
                "Grows while polls fail; a saw tooth as high as the period is normal.",
            ),
            Prom(f"time() - shipper_last_success_timestamp_seconds{{{ENTRIES}}}", "{{metric}}"),
            unit=SECONDS,
        ).data_links([LINES_OF_METRIC]),
    ],
)
LOST = Row(
    "What was lost or refused, and why",
    [
        series(
            Text(
                "Dropped",
                "`spool_full`: the destination was away too long. `kernel`: datagrams came too fast.",
            ),
            gone_up("shipper_lines_dropped_total", ENTRIES, "metric, reason"),
        ),
        series(
            Text(
                "Refused by a destination", "Lines that will never be taken as they are, by reason."
            ),
            gone_up("shipper_lines_rejected_total", DESTINATIONS, "metric, sink, reason"),
        ),
        series(
            Text(
                "Dead letters",
                "Refused lines that were kept, and those that could not be kept, by reason.",
            ),
            gone_up("shipper_dead_letters_total", DESTINATIONS, "metric, sink"),
            gone_up(
                "shipper_dead_letters_lost_total", ENTRIES, "metric, reason", called="not kept"
            ),
        ),
        series(
            Text("Lines cut", "Lines that were longer than the destination takes."),
            gone_up("shipper_lines_cut_total", DESTINATIONS, "metric, sink"),
            span=8,
        ),
        series(
            Text("Numbers missing", "Messages that a sender numbered and that never came."),
            gone_up("shipper_sequence_gaps_total", ENTRIES, "metric"),
            span=8,
        ),
        series(
            Text(
                "Label values too many",
                "Values beyond `max_label_values`, sent as structured metadata.",
            ),
            gone_up("shipper_label_overflows_total", ENTRIES, "metric, field"),
            span=8,
        ),
        series(
            Text(
                "Damaged spools",
                "Parts of a spool that were unreadable and set aside; and lines found after a start.",
            ),
            gone_up("shipper_spool_damaged_total", ENTRIES, "metric"),
            gone_up("shipper_lines_recovered_total", DESTINATIONS, "metric", called="recovered"),
            span=12,
        ),
        series(
            Text(
                "Numbers left out",
                "Numbers made of columns whose series would be more than `max_series`.",
            ),
            gone_up("shipper_metric_series_dropped_total", ENTRIES, "metric, name"),
            span=12,
        ),
    ],
)

HEALTH = Board(
    "shipper-health",
    "Shipper health",
    "What is down, what is behind, what was lost or refused and why, and how polls and deliveries do.",
    [FROM_PROMETHEUS, INSTANCE, METRIC, SINK],
    [GLANCE, ALERTS, UP, BEHIND, LOST, POLLS, DELIVERY],
    [RESTARTS, KILLS, VERSIONS],
)
