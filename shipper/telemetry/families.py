"""The names Prometheus scrapes: what Shipper counts about itself, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SECONDS_BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
)


@dataclass(frozen=True, slots=True)
class Family:
    """One name on the metrics page.

    Attributes:
        name: As Prometheus sees it; counters end in `_total`.
        kind: What the value may do.
        help: The sentence beside the name.
        labels: Names of its labels, in order.
        buckets: Upper bounds of a histogram's buckets, ascending, without infinity.
        absolute: Whether a counter shows what the far end has counted, and not what we have.
        stale_after_seconds: After how long without news a series is not shown any more.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ("metric",)
    buckets: tuple[float, ...] = ()
    absolute: bool = False
    stale_after_seconds: float | None = None

    @property
    def vanishes(self) -> bool:
        """Whether a series is gone with the process that told it; what we have counted is carried over instead."""
        return self.kind == "gauge" or self.absolute


def _counter(name: str, sentence: str, *labels: str) -> Family:
    return Family(name, "counter", sentence, ("metric", *labels))


def _gauge(name: str, sentence: str, *labels: str) -> Family:
    return Family(name, "gauge", sentence, ("metric", *labels))


def _histogram(name: str, sentence: str, *labels: str) -> Family:
    return Family(name, "histogram", sentence, ("metric", *labels), SECONDS_BUCKETS)


POLLS = _counter("shipper_polls_total", "Polls by how they ended: ok, error, timeout.", "result")
POLL_SECONDS = _histogram("shipper_poll_duration_seconds", "How long a poll took.")
POLL_LATENESS = _histogram("shipper_poll_lateness_seconds", "How long after its tick a poll began.")
MISSED_POLLS = _counter("shipper_missed_polls_total", "Ticks skipped because a poll overran.")
RECONNECTS = _counter("shipper_reconnects_total", "Attempts to connect to the source again.")
ROWS = _counter("shipper_rows_total", "Rows, messages or datagrams received.")
LINES_DELIVERED = _counter("shipper_lines_delivered_total", "Lines a sink took.", "sink")
BYTES_DELIVERED = _counter("shipper_bytes_delivered_total", "Bytes of lines a sink took.", "sink")
LINES_REJECTED = _counter(
    "shipper_lines_rejected_total", "Lines a sink will never take.", "sink", "reason"
)
LINES_DROPPED = _counter("shipper_lines_dropped_total", "Lines lost, and why.", "reason")
LINES_CUT = _counter("shipper_lines_cut_total", "Lines shortened to the sink's limit.", "sink")
SEQUENCE_GAPS = _counter(
    "shipper_sequence_gaps_total", "Messages a sender numbered and we never saw."
)
LABEL_OVERFLOWS = _counter(
    "shipper_label_overflows_total",
    "Values of a label field beyond max_label_values, sent as structured metadata.",
    "field",
)
METRIC_SERIES_DROPPED = _counter(
    "shipper_metric_series_dropped_total",
    "Numbers from columns that were left out because their series would have been beyond max_series.",
    "name",
)
PUSH_SECONDS = _histogram(
    "shipper_push_duration_seconds", "How long one push to a sink took.", "sink"
)
PUSH_RETRIES = _counter("shipper_push_retries_total", "Pushes tried again.", "sink", "reason")
DEAD_LETTERS = _counter(
    "shipper_dead_letters_total", "Rejected lines kept in the dead-letter file.", "sink"
)
DEAD_LETTERS_LOST = _counter(
    "shipper_dead_letters_lost_total", "Rejected lines that could not be kept, and why.", "reason"
)
SPOOL_LINES = _gauge(
    "shipper_spool_lines", "Lines waiting for a sink, on disk and in memory.", "sink"
)
SPOOL_BYTES = _gauge("shipper_spool_bytes", "Bytes of lines waiting for a sink.", "sink")
SPOOL_LIMIT = _gauge(
    "shipper_spool_limit_bytes", "How many bytes of lines may wait on disk for a sink.", "sink"
)
MEMORY_LINES = _gauge(
    "shipper_memory_lines", "Those of the waiting lines that are not on disk.", "sink"
)
LINES_RECOVERED = _counter(
    "shipper_lines_recovered_total", "Lines of an earlier run that were found on disk.", "sink"
)
SPOOL_DAMAGED = _counter(
    "shipper_spool_damaged_total", "Parts of the spool that were unreadable and set aside."
)
OLDEST_UNSENT = _gauge(
    "shipper_oldest_unsent_seconds", "Age of the oldest line that waits for a sink.", "sink"
)
CURSOR_LAG = _gauge("shipper_cursor_lag_seconds", "How far the cursor is behind the newest row.")
LAST_SUCCESS = _gauge(
    "shipper_last_success_timestamp_seconds", "Unix time of the last poll that succeeded."
)
CHANNELS = _gauge("shipper_channels", "Channels whose messages are kept for clients.")
CHANNEL_CLIENTS = _gauge("shipper_channel_clients", "Clients of channels that are connected.")
CHANNEL_JOBS = _counter(
    "shipper_channel_jobs_total",
    "Attempts at jobs that ended: finished, failed, aborted.",
    "outcome",
)
CHANNEL_TASKS = _counter(
    "shipper_channel_tasks_total",
    "Tasks of jobs by state: COMPLETED, FAILED, SKIPPED, other.",
    "state",
)
CHANNELS_FORGOTTEN = _counter(
    "shipper_channels_forgotten_total", "Channels that are not kept any more, and why.", "reason"
)
CHANNEL_MESSAGES_DROPPED = _counter(
    "shipper_channel_messages_dropped_total",
    "Messages that clients of channels cannot get any more, and why.",
    "reason",
)
CHANNEL_CLIENTS_CLOSED = _counter(
    "shipper_channel_clients_closed_total",
    "Connections of clients of channels that ended, and why.",
    "reason",
)
WORKER_UP = _gauge("shipper_worker_up", "1 while the worker's process runs, else 0.")
WORKER_RESTARTS = _counter("shipper_worker_restarts_total", "Workers started again.")
JOB_PROGRESS = Family(
    "shipper_job_progress_ratio",
    "gauge",
    "How far the processes of the newest unfinished tasks are, 1 for all; may be more.",
    ("metric", "task", "process"),
)
JOBS = Family("shipper_jobs", "gauge", "Jobs in the tables, by their state.", ("metric", "state"))
JOB_EVENTS = Family(
    "shipper_job_events_total",
    "counter",
    "Events read from the outbox, by class; words that are not usual are counted as `other`.",
    ("metric", "class"),
)
STATE_DIR_FREE = Family(
    "shipper_state_dir_free_bytes", "gauge", "Room on the disk of the state directory.", ()
)
BUILD = Family(
    "shipper_build_info",
    "gauge",
    "Always 1; the labels say which Shipper this is.",
    ("version", "python"),
)

FAMILIES = (
    POLLS,
    POLL_SECONDS,
    POLL_LATENESS,
    MISSED_POLLS,
    RECONNECTS,
    ROWS,
    LINES_DELIVERED,
    BYTES_DELIVERED,
    LINES_REJECTED,
    LINES_DROPPED,
    LINES_CUT,
    SEQUENCE_GAPS,
    LABEL_OVERFLOWS,
    METRIC_SERIES_DROPPED,
    PUSH_SECONDS,
    PUSH_RETRIES,
    DEAD_LETTERS,
    DEAD_LETTERS_LOST,
    SPOOL_LINES,
    SPOOL_BYTES,
    SPOOL_LIMIT,
    MEMORY_LINES,
    LINES_RECOVERED,
    SPOOL_DAMAGED,
    OLDEST_UNSENT,
    CURSOR_LAG,
    LAST_SUCCESS,
    CHANNELS,
    CHANNEL_CLIENTS,
    CHANNEL_JOBS,
    CHANNEL_TASKS,
    CHANNELS_FORGOTTEN,
    CHANNEL_MESSAGES_DROPPED,
    CHANNEL_CLIENTS_CLOSED,
    WORKER_UP,
    WORKER_RESTARTS,
    JOB_PROGRESS,
    JOBS,
    JOB_EVENTS,
    STATE_DIR_FREE,
    BUILD,
)

_BY_NAME = {family.name: family for family in FAMILIES}


def named(name: str) -> Family:
    """Return the family of this name.

    Raises:
        KeyError: We have none of this name.
    """
    return _BY_NAME[name]


def families_table() -> str:
    """Return what Prometheus scrapes as a Markdown table."""
    rows = ["| name | type | labels | meaning |", "| --- | --- | --- | --- |"]
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{family.name}` | {family.kind} | {labels} | {family.help} |")
    return "\n".join(rows)
