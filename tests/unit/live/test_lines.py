"""How lines are written for viewers."""

from __future__ import annotations

import json

import pytest

from shipper.core.record import Stream
from shipper.live.lines import lines_address, topic_of, written
from shipper.live.newest import Part


def shown(line: bytes, **metadata: str) -> dict[str, object]:
    stream = Stream({"job": "m", "bad": "\ud800"}, [7], [line], [metadata])
    (text,) = written("m", Part(stream, 5, 0, 0))
    assert b"\n" not in text
    message: dict[str, object] = json.loads(text)
    return message


def test_a_line_has_its_metric_times_labels_and_metadata() -> None:
    assert shown(b"x", id="1") == {
        "metric": "m",
        "time_ns": "7",
        "poll_ns": "5",
        "labels": {"job": "m", "bad": "?"},
        "metadata": {"id": "1"},
        "line": "x",
    }


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"a\nb\r\0\x1b[31m", "a\nb\r\0\x1b[31m"),
        (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        ("\u2028\u202eÜ".encode(), "\u2028\u202eÜ"),
        (b"y" * 2**20, "y" * 2**20),
    ],
    ids=["control characters", "markup", "no UTF-8", "a lone surrogate", "separators", "1 MiB"],
)
def test_whatever_a_line_holds_it_is_text(line: bytes, text: str) -> None:
    assert shown(line)["line"] == text


def test_metadata_with_half_a_character_is_text_too() -> None:
    assert shown(b"", key="a\udc00")["metadata"] == {"key": "a?"}


def test_a_metric_is_not_taken_for_one_whose_name_begins_with_its_own() -> None:
    assert not topic_of("locks_2").startswith(topic_of("locks"))


def test_lines_go_beside_the_reports() -> None:
    assert lines_address("ipc:///state/feed.sock") == "ipc:///state/lines.sock"
