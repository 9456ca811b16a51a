"""What people and machines are shown of the dead letters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shipper.core.errors import StartupError
from shipper.pipeline.dead_letter import DeadLetter, append, path_of, replaying, write_letter
from shipper.wiring.dead_letters import SHOWN_CHARACTERS, as_json, as_text, survey

SECOND_NS = 10**9


def put(folder: Path, metric: str, seconds: int, **more: Any) -> None:
    given = {
        "time_ns": seconds * SECOND_NS,
        "line": b"line at %d" % seconds,
        "labels": {"job": metric, "instance": "db:5000"},
        "metadata": {},
        "reason": "too_old",
        "answer": "far behind",
        "sink": "loki",
        "refused_at": "2026-03-01T12:00:00.000000000Z",
    }
    append(path_of(folder, metric), [write_letter(DeadLetter(**{**given, **more}))])


def shown(folder: Path, metric: str | None = None, newest_records: int = 10) -> list[str]:
    return list(as_text(survey(folder, metric, newest_records=newest_records)))


def test_nothing_is_said_in_words(tmp_path: Path) -> None:
    assert shown(tmp_path / "missing") == ["No dead letters."]


def test_they_are_counted_by_metric_and_reason_and_the_newest_are_shown(tmp_path: Path) -> None:
    put(tmp_path, "b", 60)
    put(tmp_path, "b", 0)
    put(tmp_path, "b", 30, reason="too_long")
    put(tmp_path, "a", 90)

    assert shown(tmp_path, newest_records=2) == [
        "a: 1 too_old, from 1970-01-01T00:01:30 to 1970-01-01T00:01:30 UTC",
        "b: 1 too_long, from 1970-01-01T00:00:30 to 1970-01-01T00:00:30 UTC",
        "b: 2 too_old, from 1970-01-01T00:00:00 to 1970-01-01T00:01:00 UTC",
        "",
        '1970-01-01T00:01:00.000000000Z b {job="b", instance="db:5000"}',
        "  line at 60",
        "  too_old: far behind",
        "",
        '1970-01-01T00:01:30.000000000Z a {job="a", instance="db:5000"}',
        "  line at 90",
        "  too_old: far behind",
    ]


def test_one_metric_can_be_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "a", 1)
    put(tmp_path, "b", 2)

    assert len(shown(tmp_path, "b", 0)) == 1
    assert shown(tmp_path, "c") == ["No dead letters."]


def test_what_is_being_replayed_is_counted_too(tmp_path: Path) -> None:
    put(tmp_path, "a", 1)
    path_of(tmp_path, "a").rename(replaying(path_of(tmp_path, "a")))
    put(tmp_path, "a", 2)

    assert shown(tmp_path, newest_records=0)[0].startswith("a: 2 too_old")


def test_lines_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    append(path_of(tmp_path, "a"), [b"a note\n", b'{"time'])

    assert shown(tmp_path) == ["a: 2 lines cannot be read: torn, or not written by Shipper"]


def test_what_a_terminal_would_obey_is_written_out(tmp_path: Path) -> None:
    put(tmp_path, "a", 1, line=b"\x1b[2J\xff", answer="two\nlines")
    lines = shown(tmp_path)

    assert lines[-2:] == [r"  \x1b[2J\xff", r"  too_old: two\nlines"]


def test_long_lines_are_shortened(tmp_path: Path) -> None:
    put(tmp_path, "a", 1, line=b"x" * 1000)

    assert shown(tmp_path)[-2] == "  " + "x" * SHOWN_CHARACTERS + "..."


def test_machines_get_everything(tmp_path: Path) -> None:
    put(tmp_path, "a", 1, line=b"\xff" * 1000)
    append(path_of(tmp_path, "a"), [b"a note\n"])
    found = json.loads(as_json(survey(tmp_path, None, newest_records=1)))

    assert found["groups"] == [
        {
            "metric": "a",
            "reason": "too_old",
            "records": 1,
            "oldest": "1970-01-01T00:00:01.000000000Z",
            "newest": "1970-01-01T00:00:01.000000000Z",
        }
    ]
    assert found["unreadable"] == {"a": 1}
    assert found["newest"][0]["metric"] == "a"
    assert len(found["newest"][0]["line_base64"]) > 1000


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path_of(tmp_path, "a").mkdir(parents=True)

    with pytest.raises(StartupError, match=r"dead_letter cannot be read: Is a directory$"):
        survey(tmp_path, None, newest_records=1)
