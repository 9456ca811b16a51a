"""pysmurf files: what publishers announce, what was lost on the way, and what did not become a row."""

from __future__ import annotations

from tools.dashboards.board import FROM_LOKI, FROM_PROMETHEUS, INSTANCE, SHIPPERS, Board, of_loki
from tools.dashboards.queries import gone_up, in_range, rate
from tools.dashboards.shapes import (
    PER_SECOND,
    RED,
    YELLOW,
    Log,
    Row,
    Text,
    lines,
    number,
    series,
)

PUBLISHERS = '{service_name="udp", job=~"$job", pub_id=~"$publisher"}'
FILES = f'{PUBLISHERS} | json kind="type" | kind =~ "data_file|g3_file"'
SENDERS = f'{SHIPPERS}, metric=~"$job"'


def of_kind(kinds: str) -> str:
    """Return the lines of some types of messages; `type` is a label in some set-ups and a field in all."""
    return f'{PUBLISHERS} | json kind="type" | kind =~ "{kinds}"'


PYSMURF = Board(
    "shipper-pysmurf",
    "pysmurf files",
    "Files, sessions, registers and errors that pysmurf publishers tell, and what was lost on the way.",
    [
        FROM_PROMETHEUS,
        FROM_LOKI,
        INSTANCE,
        of_loki("job", "Metric", of="job", selector='{service_name="udp", pub_id=~".+"}'),
        of_loki(
            "publisher", "Publisher", of="pub_id", selector='{service_name="udp", job=~"$job"}'
        ),
    ],
    [
        Row(
            "At a glance",
            [
                number(
                    Text("Files announced", "In the time shown."),
                    Log(f"sum(count_over_time({FILES} [$__range]))", instant=True),
                    span=6,
                ),
                number(
                    Text(
                        "Files not kept",
                        "Announced, and never a row: missing, unreadable or changing. See `dead-letter list`.",
                    ),
                    in_range("shipper_lines_rejected_total", f'{SENDERS}, sink="store"'),
                    limits={1: RED},
                    span=6,
                ),
                number(
                    Text(
                        "Messages missing",
                        "Numbers that publishers used and that never came, in the time shown.",
                    ),
                    in_range("shipper_sequence_gaps_total", SENDERS),
                    limits={1: YELLOW, 100: RED},
                    span=6,
                ),
                number(
                    Text(
                        "Dropped by the kernel",
                        "Datagrams that found the receive buffer full: raise `net.core.rmem_max`.",
                    ),
                    in_range("shipper_lines_dropped_total", f'{SENDERS}, reason="kernel"'),
                    limits={1: RED},
                    span=6,
                ),
            ],
        ),
        Row(
            "Messages",
            [
                series(
                    Text("By type", "At each step of time."),
                    Log(
                        f'sum by (kind) (count_over_time({PUBLISHERS} | json kind="type" [$__interval]))',
                        "{{kind}}",
                    ),
                    stacked=True,
                ),
                series(
                    Text("By publisher", "At each step of time."),
                    Log(
                        f"sum by (pub_id) (count_over_time({PUBLISHERS} [$__interval]))",
                        "{{pub_id}}",
                    ),
                    stacked=True,
                ),
                series(
                    Text(
                        "Registers",
                        "Numbers that `metadata` messages tell, the largest at each step, by field.",
                    ),
                    Log(
                        f'max_over_time({PUBLISHERS} | json kind="type", name="field", number="payload.value"'
                        ' | kind = "metadata" | number =~ "-?[0-9.]+" | unwrap number [$__interval]) by (name)',
                        "{{name}}",
                    ),
                ),
                lines(
                    Text("Files", "Every file that was announced."),
                    Log(
                        f'{FILES} | json path="payload.path", action="payload.action", form="payload.format"'
                        " | line_format `{{.pub_id}} {{.action}} {{.form}} {{.path}}`"
                    ),
                    span=12,
                ),
                lines(
                    Text("Logs, sessions and errors", "What scripts and servers say."),
                    Log(of_kind("log|session_log|session_data|backend_error")),
                    span=12,
                ),
            ],
        ),
        Row(
            "Losses, and the way here",
            [
                series(
                    Text("Received", "Datagrams that became rows."),
                    rate("shipper_rows_total", SENDERS, "metric"),
                    unit=PER_SECOND,
                ),
                series(
                    Text(
                        "Lost",
                        "Numbers missing, and datagrams dropped by reason. The kernel's are in both.",
                    ),
                    gone_up("shipper_sequence_gaps_total", SENDERS, "metric"),
                    gone_up("shipper_lines_dropped_total", SENDERS, "metric, reason"),
                ),
                series(
                    Text(
                        "Refused",
                        "By destination and reason; `store`: files that did not become rows.",
                    ),
                    gone_up("shipper_lines_rejected_total", SENDERS, "sink, reason"),
                ),
            ],
        ),
    ],
)
