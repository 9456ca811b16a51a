"""Jobs: batch jobs by state, their progress and their events; and the channels of ReCodEx."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from tools.dashboards.board import ENTRIES, FROM_LOKI, FROM_PROMETHEUS, INSTANCE, METRIC, Board
from tools.dashboards.queries import gone_up
from tools.dashboards.shapes import RED, SHARE, Log, Prom, Row, Text, bars, lines, number, series

EVENTS = '{service_name="jobs", job=~"$metric"}'
FIELDS = (
    '| json at="receivedAt", of="task", part="process", nr="index", what="eventClass", share="progress",'
    ' where="hostname"'
)
OF_TASKS = f'{EVENTS} {FIELDS} | of =~ "$task"'
SHOWN = "| line_format `{{.at}} {{.of}}/{{.part}}[{{.nr}}] {{.what}} {{.share}} on {{.where}}`"


def in_state(state: str) -> Prom:
    """Return how many jobs are in a state."""
    return Prom(f'sum(shipper_jobs{{{ENTRIES}, state="{state}"}})', instant=True)


JOBS = Board(
    "shipper-jobs",
    "Jobs",
    "Batch jobs by state, how far their tasks are, what failed where, and the channels of ReCodEx.",
    [
        FROM_PROMETHEUS,
        FROM_LOKI,
        INSTANCE,
        METRIC,
        dashboard.TextBoxVariable("task").label("Task (a regular expression)").default_value(".*"),
    ],
    [
        Row(
            "At a glance",
            [
                number(
                    Text("Waiting", "Jobs that have sent no event yet."),
                    in_state("PENDING"),
                    span=6,
                ),
                number(
                    Text("Running", "Jobs that have begun and not ended."),
                    in_state("RUNNING"),
                    span=6,
                ),
                number(Text("Done", "Jobs that have ended well."), in_state("DONE"), span=6),
                number(
                    Text(
                        "Failed",
                        "Jobs whose newest event is FAILED. The lines below tell which, and where.",
                    ),
                    in_state("FAILED"),
                    limits={1: RED},
                    span=6,
                ),
            ],
        ),
        Row(
            "Tasks",
            [
                bars(
                    Text(
                        "Progress",
                        "Of the processes of the newest unfinished tasks; 100 % is all of it, more is possible.",
                    ),
                    Prom(
                        f'max by (task, process) (shipper_job_progress_ratio{{{ENTRIES}, task=~"$task"}})',
                        "{{task}}/{{process}}",
                        instant=True,
                    ),
                    unit=SHARE,
                ),
                series(
                    Text(
                        "Progress over time",
                        "A line that stays flat is a process that does not get on.",
                    ),
                    Prom(
                        f'max by (task, process) (shipper_job_progress_ratio{{{ENTRIES}, task=~"$task"}})',
                        "{{task}}/{{process}}",
                    ),
                    unit=SHARE,
                ),
                series(
                    Text("Jobs by state", "Of everything in the tables."),
                    Prom(f"sum by (state) (shipper_jobs{{{ENTRIES}}})", "{{state}}"),
                    stacked=True,
                ),
            ],
        ),
        Row(
            "Events",
            [
                series(
                    Text(
                        "Events by class",
                        "What was read from the outbox; unusual words are `other`.",
                    ),
                    gone_up("shipper_job_events_total", ENTRIES, "class"),
                    stacked=True,
                ),
                series(
                    Text(
                        "Events of the tasks chosen",
                        "From the lines, by class, at each step of time.",
                    ),
                    Log(f"sum by (what) (count_over_time({OF_TASKS} [$__interval]))", "{{what}}"),
                    stacked=True,
                ),
                bars(
                    Text(
                        "Hosts with failures",
                        "The ten hosts with most FAILED events, in the time shown.",
                    ),
                    Log(
                        f'topk(10, sum by (where) (count_over_time({OF_TASKS} | what = "FAILED" [$__range])))',
                        "{{where}}",
                        instant=True,
                    ),
                ),
                lines(
                    Text("Failures", "Every FAILED event, with its job and host."),
                    Log(f'{OF_TASKS} | what = "FAILED" {SHOWN}'),
                    span=12,
                ),
                lines(
                    Text("All events", "The newest first."),
                    Log(f"{OF_TASKS} {SHOWN}"),
                    span=12,
                ),
            ],
        ),
        Row(
            "Channels of ReCodEx",
            [
                series(
                    Text(
                        "Channels and clients", "Channels that are kept, and clients that listen."
                    ),
                    Prom(f"sum by (metric) (shipper_channels{{{ENTRIES}}})", "{{metric}} channels"),
                    Prom(
                        f"sum by (metric) (shipper_channel_clients{{{ENTRIES}}})",
                        "{{metric}} clients",
                    ),
                ),
                series(
                    Text(
                        "Jobs and tasks", "Attempts at jobs by how they ended, and tasks by state."
                    ),
                    gone_up("shipper_channel_jobs_total", ENTRIES, "outcome"),
                    gone_up("shipper_channel_tasks_total", ENTRIES, "state"),
                ),
                series(
                    Text(
                        "What clients do not get",
                        "Channels forgotten, messages passed over, connections ended, by reason.",
                    ),
                    gone_up(
                        "shipper_channels_forgotten_total", ENTRIES, "reason", called="forgotten"
                    ),
                    gone_up(
                        "shipper_channel_messages_dropped_total",
                        ENTRIES,
                        "reason",
                        called="passed over",
                    ),
                    gone_up(
                        "shipper_channel_clients_closed_total", ENTRIES, "reason", called="closed"
                    ),
                ),
            ],
        ),
    ],
)
