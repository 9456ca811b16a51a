"""Rows of Shipper health about what is done all the time: polls and deliveries."""

from __future__ import annotations

from tools.dashboards.board import DESTINATIONS, ENTRIES
from tools.dashboards.queries import gone_up, quantile, rate
from tools.dashboards.shapes import (
    BYTES_PER_SECOND,
    PER_SECOND,
    SECONDS,
    Row,
    Text,
    leading_to,
    series,
)

LINES_OF_METRIC = leading_to(
    "shipper-lines", "Lines of ${__field.labels.metric}", "var-job=${__field.labels.metric}"
)
POLLS = Row(
    "Polls",
    [
        series(
            Text(
                "Polls by how they ended",
                "`timeout`: the poll passed its deadline and its worker was killed.",
            ),
            rate("shipper_polls_total", ENTRIES, "result"),
            unit=PER_SECOND,
        ),
        series(
            Text("Polls that failed", "By metric; the page and the log tell the error."),
            gone_up("shipper_polls_total", f'{ENTRIES}, result!="ok"', "metric, result"),
        ),
        series(
            Text(
                "Duration of polls",
                "Half of the polls were faster than p50, all but one in a hundred than p99.",
            ),
            quantile(0.5, "shipper_poll_duration_seconds", ENTRIES, "metric"),
            quantile(0.99, "shipper_poll_duration_seconds", ENTRIES, "metric"),
            unit=SECONDS,
        ),
        series(
            Text(
                "Lateness of polls",
                "How long after its tick a poll began; large values: too little CPU.",
            ),
            quantile(0.99, "shipper_poll_lateness_seconds", ENTRIES, "metric"),
            unit=SECONDS,
        ),
        series(
            Text(
                "Ticks missed",
                "Polls that did not take place because the one before took longer than the period.",
            ),
            gone_up("shipper_missed_polls_total", ENTRIES, "metric"),
        ),
        series(
            Text(
                "Restarts and reconnects",
                "Workers started again, and connections to the source tried again.",
            ),
            gone_up("shipper_worker_restarts_total", ENTRIES, "metric", called="restarts"),
            gone_up("shipper_reconnects_total", ENTRIES, "metric", called="reconnects"),
        ),
    ],
)
DELIVERY = Row(
    "Delivery",
    [
        series(
            Text("Received", "Rows, messages and datagrams by metric."),
            rate("shipper_rows_total", ENTRIES, "metric"),
            unit=PER_SECOND,
            stacked=True,
        ).data_links([LINES_OF_METRIC]),
        series(
            Text("Delivered", "Lines that a destination took."),
            rate("shipper_lines_delivered_total", DESTINATIONS, "metric, sink"),
            unit=PER_SECOND,
            stacked=True,
        ).data_links([LINES_OF_METRIC]),
        series(
            Text("Bytes delivered", "Bytes of these lines, before compression."),
            rate("shipper_bytes_delivered_total", DESTINATIONS, "sink"),
            unit=BYTES_PER_SECOND,
            stacked=True,
        ),
        series(
            Text("Duration of pushes", "How long a destination takes to answer."),
            quantile(0.5, "shipper_push_duration_seconds", DESTINATIONS, "sink"),
            quantile(0.99, "shipper_push_duration_seconds", DESTINATIONS, "sink"),
            unit=SECONDS,
            span=12,
        ),
        series(
            Text(
                "Pushes tried again",
                "Because a destination was away or asked for less; nothing is lost by it.",
            ),
            rate("shipper_push_retries_total", DESTINATIONS, "sink, reason"),
            unit=PER_SECOND,
            span=12,
        ),
    ],
)
