"""Time Frame runs: what brokers announce of Time Frames, by status and run."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from tools.dashboards.board import FROM_LOKI, FROM_PROMETHEUS, INSTANCE, SHIPPERS, Board, of_loki
from tools.dashboards.queries import in_range, rate
from tools.dashboards.shapes import (
    BYTES,
    PER_SECOND,
    RED,
    SECONDS,
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

FRAMES = '{service_name="stomp", job=~"$job"}'
FIELDS = '| json run="run_number", state="status", file="file_id", size="file_size_bytes"'
OF_RUNS = f'{FRAMES} {FIELDS} | __error__ = "" | run =~ "$run"'
SIZES = f'{OF_RUNS} | size != "" | unwrap size'
SHOWN = "| line_format `run {{.run}} {{.file}} {{.state}} {{.size}} bytes`"
BROKERS = f'{SHIPPERS}, metric=~"$job"'

TIME_FRAMES = Board(
    "shipper-timeframes",
    "Time Frame runs",
    "Time Frames by status and run, their sizes, and how far Shipper is behind the broker.",
    [
        FROM_PROMETHEUS,
        FROM_LOKI,
        INSTANCE,
        of_loki("job", "Metric", of="job", selector='{service_name="stomp"}'),
        dashboard.TextBoxVariable("run").label("Run (a regular expression)").default_value(".*"),
    ],
    [
        Row(
            "At a glance",
            [
                number(
                    Text("Messages", "Messages about Time Frames in the time shown."),
                    Log(f"sum(count_over_time({OF_RUNS} [$__range]))", instant=True),
                    span=6,
                ),
                number(
                    Text(
                        "Bytes",
                        "What the sizes in these messages add up to; a Time Frame of two messages counts twice.",
                    ),
                    Log(f"sum(sum_over_time({SIZES} [$__range]))", instant=True),
                    unit=BYTES,
                    span=6,
                ),
                number(
                    Text("Failed", "Messages with the status `failed` in the time shown."),
                    Log(
                        f'sum(count_over_time({OF_RUNS} | state = "failed" [$__range]))',
                        instant=True,
                    ),
                    limits={1: RED},
                    span=6,
                ),
                number(
                    Text(
                        "Not kept",
                        "Messages that the store refused in the time shown, like those without a `file_id`.",
                    ),
                    in_range("shipper_lines_rejected_total", BROKERS),
                    limits={1: YELLOW},
                    span=6,
                ),
            ],
        ),
        Row(
            "Runs",
            [
                series(
                    Text("Messages by status", "At each step of time."),
                    Log(f"sum by (state) (count_over_time({OF_RUNS} [$__interval]))", "{{state}}"),
                    stacked=True,
                ),
                series(
                    Text("Messages by run", "At each step of time, of the ten runs with most."),
                    Log(
                        f"topk(10, sum by (run) (count_over_time({OF_RUNS} [$__interval])))",
                        "run {{run}}",
                    ),
                    stacked=True,
                ),
                series(
                    Text("Size of Time Frames", "The mean and the largest at each step of time."),
                    Log(f"avg_over_time({SIZES} [$__interval]) by (run)", "run {{run}}, mean"),
                    Log(f"max_over_time({SIZES} [$__interval]) by (run)", "run {{run}}, largest"),
                    unit=BYTES,
                ),
                bars(
                    Text("Messages of each run", "The ten runs with most, in the time shown."),
                    Log(
                        f"topk(10, sum by (run) (count_over_time({OF_RUNS} [$__range])))",
                        "run {{run}}",
                        instant=True,
                    ),
                    span=12,
                ),
                bars(
                    Text("Bytes of each run", "The ten runs with most, in the time shown."),
                    Log(
                        f"topk(10, sum by (run) (sum_over_time({SIZES} [$__range])))",
                        "run {{run}}",
                        instant=True,
                    ),
                    unit=BYTES,
                    span=12,
                ),
            ],
        ),
        Row(
            "Messages",
            [
                lines(
                    Text("Failed", "Time Frames of which somebody said that they failed."),
                    Log(f'{OF_RUNS} | state = "failed" {SHOWN}'),
                    span=12,
                ),
                lines(
                    Text("All", "What was announced, the newest first."),
                    Log(f"{OF_RUNS} {SHOWN}"),
                    span=12,
                ),
            ],
        ),
        Row(
            "The way here",
            [
                series(
                    Text("Received", "Messages that came from the broker."),
                    rate("shipper_rows_total", BROKERS, "metric"),
                    unit=PER_SECOND,
                ),
                series(
                    Text("Delivered", "By destination: lines in Loki, rows in the store."),
                    rate("shipper_lines_delivered_total", BROKERS, "metric, sink"),
                    unit=PER_SECOND,
                ),
                series(
                    Text(
                        "Oldest unsent", "How long the oldest message has waited for a destination."
                    ),
                    Prom(f"shipper_oldest_unsent_seconds{{{BROKERS}}}", "{{metric}} to {{sink}}"),
                    unit=SECONDS,
                ),
            ],
        ),
    ],
)
