"""What a dry run tells of streams and labels, and of what Loki would say."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from shipper.core.ports import Rejection
from shipper.core.record import Batch, Row, Stream
from shipper.pipeline.filing import Filing
from shipper.sinks.loki.limits import LokiLimits
from shipper.sinks.loki.settings import LokiSettings
from shipper.wiring import dry_run
from shipper.wiring.dry_run import UNKNOWABLE, Poll, show, show_verdict
from shipper.wiring.outlets import filing_rules
from shipper.wiring.rehearsal import Opinion
from tests.support.configuration import configuration

ADVICE = "list it under metadata_fields instead of label_fields"
LOCKS = [{"db": "a", "lock": "1"}, {"db": "a", "lock": "2"}, {"db": "b", "lock": "3"}]


def shown(folder: Path, rows: Sequence[Row], **keys: Any) -> list[str]:
    known = configuration(folder, {"metrics": {"show_locks": keys}})
    entry = known.metrics["show_locks"]
    batch = Batch(rows, 1000)
    streams = Filing(filing_rules(entry, {"job": "show_locks"}), lambda _name: None).streams(batch)
    out = io.StringIO()
    show(Console(file=out), known, Poll("show_locks", entry, batch, streams))
    return out.getvalue().splitlines()


def warnings(lines: Sequence[str]) -> list[str]:
    return [line.strip() for line in lines if line.startswith("  warning: ")]


def test_no_row_is_an_order_to_the_terminal(tmp_path: Path) -> None:
    lines = shown(tmp_path, [{"a": "\x9b2J\u202e"}], label_fields=["a"])

    assert "\\x9b2J\\u202e" in "".join(lines)
    assert [line for line in lines if not line.isprintable()] == []


def test_the_values_of_every_label_are_counted(tmp_path: Path) -> None:
    lines = shown(tmp_path, LOCKS, label_fields=["db"])
    at = lines.index(
        "streams of this poll: 2, one for each combination of labels (Loki takes 5000 of a tenant by default)"
    )

    assert lines[at + 1 : at + 4] == ["  job: 1 value", "  db: 2 values", ""]


def test_a_label_field_that_no_row_has_is_seen(tmp_path: Path) -> None:
    assert "  dbb: 0 values" in shown(tmp_path, LOCKS, label_fields=["dbb"])


def test_a_label_field_with_a_value_for_every_row_is_warned_of(tmp_path: Path) -> None:
    assert warnings(shown(tmp_path, LOCKS, label_fields=["db", "lock"])) == [
        f"warning: every row has a lock of its own; if new ones keep coming, so do new streams: {ADVICE}"
    ]


def test_a_label_field_with_more_values_than_allowed_is_warned_of_once(tmp_path: Path) -> None:
    assert warnings(shown(tmp_path, LOCKS, label_fields=["lock"], max_label_values=2)) == [
        f"warning: lock has more values than max_label_values (2), and the others became metadata: {ADVICE}"
    ]


@pytest.mark.parametrize("rows", [[], LOCKS[:1], LOCKS[:2]], ids=["none", "one", "two"])
def test_a_few_rows_are_no_reason_to_warn(tmp_path: Path, rows: Sequence[Row]) -> None:
    assert warnings(shown(tmp_path, rows, label_fields=["lock"])) == []


def told(
    monkeypatch: pytest.MonkeyPatch, found: list[Opinion], limits: LokiLimits | None = None
) -> list[str]:
    monkeypatch.setattr(LokiSettings, "limits", lambda _settings: limits)
    monkeypatch.setattr(dry_run, "opinions", lambda *_: found)
    out = io.StringIO()
    poll = Poll("m", None, Batch(), [])  # type: ignore[arg-type]
    show_verdict(Console(file=out), LokiSettings(url="http://loki"), poll)
    return out.getvalue().splitlines()


def test_refused_lines_are_told_with_reason_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream({"job": "m"}, [1, 2, 3], [b"[a]", b"b", b"c"])
    rejections = [Rejection(0, "too_old", "Loki says"), Rejection(1, "too_old", "Loki says")]
    rejections.append(Rejection(2, "too_new", "Loki says"))

    assert told(monkeypatch, [Opinion(stream, rejections)], LokiLimits()) == [
        "",
        "What Loki would say, asked of a stand-in with the limits of http://loki:",
        '  job="m": 3 of 3 lines refused',
        "    too_old: Loki says",
        "      1 [a]",
        "      2 b",
        "    too_new: Loki says",
        "      3 c",
        UNKNOWABLE,
    ]


def test_a_stream_that_would_have_to_wait_is_told_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = told(monkeypatch, [Opinion(Stream({"job": "m"}, [1], [b"a"]), waits="too much")])

    assert lines[1].endswith(
        "with Loki's default limits, because http://loki does not show its own:"
    )
    assert lines[2:4] == ['  job="m": would have to wait', "    too much"]
