"""Shipper lines: what was shipped, searched by metric, source and text."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from tools.dashboards.board import FROM_LOKI, Board, of_loki
from tools.dashboards.shapes import BYTES, Log, Row, Text, lines, series

CHOSEN = '{service_name=~"$source", job=~"$job"} |~ "$text"'

LINES = Board(
    "shipper-lines",
    "Shipper lines",
    "The lines that were shipped, by metric and source, and those that hold a text.",
    [
        FROM_LOKI,
        of_loki("source", "Source", of="service_name", selector='{service_name=~".+"}'),
        of_loki("job", "Metric", of="job", selector='{service_name=~"$source"}'),
        dashboard.TextBoxVariable("text").label("Text (a regular expression)").default_value(""),
    ],
    [
        Row(
            "Lines",
            [
                series(
                    Text("Lines", "Lines by metric, at each step of time."),
                    Log(f"sum by (job) (count_over_time({CHOSEN} [$__interval]))", "{{job}}"),
                    span=12,
                    stacked=True,
                ),
                series(
                    Text("Bytes", "Bytes of lines by metric, at each step of time."),
                    Log(f"sum by (job) (bytes_over_time({CHOSEN} [$__interval]))", "{{job}}"),
                    unit=BYTES,
                    span=12,
                    stacked=True,
                ),
                lines(
                    Text(
                        "The lines", "The newest first. A click on one shows its labels and fields."
                    ),
                    Log(CHOSEN),
                    height=20,
                ),
            ],
        )
    ],
    since="now-1h",
)
