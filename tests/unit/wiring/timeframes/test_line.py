"""What one message about a Time Frame looks like."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shipper.core.words import MOST_CHARACTERS, printable
from shipper.wiring.timeframes.line import coloured, line_of

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

FIRST_CLIENT = {
    "file_id": "tf-000123",
    "run_number": 12345,
    "tf_number": 7,
    "file_url": "file:///data/run_12345/swf.12345.000001_tf_007.tf",
    "file_size_bytes": 15728640,
    "checksum": "0cc175b9c0f1b6a831c399e269772661",
    "status": "registered",
    "created_at": "2025-07-31T12:00:00Z",
}
LATER_CLIENT = {
    "msg_type": "tf_file_registered",
    "tf_file_id": "0b7c",
    "tf_filename": "swf.9.000001_tf_001.tf",
    "file_size_bytes": 2048,
    "stf_filename": "swf.9.000001.stf",
    "run_number": 9,
    "status": "processed",
    "timestamp": "2025-09-04T08:30:01.5",
}


def test_a_message_of_the_first_client_is_shown() -> None:
    assert line_of(FIRST_CLIENT, NOW) == (
        "[12:00:00] TF: swf.12345.000001_tf_007.tf | Size: 15.0MB | STF: - | Run: 12345 | Status: registered"
    )


def test_a_message_of_the_later_client_is_shown() -> None:
    assert line_of(LATER_CLIENT, NOW) == (
        "[08:30:01] TF: swf.9.000001_tf_001.tf | Size: 2.0KB | STF: swf.9.000001.stf | Run: 9 | Status: processed"
    )


def test_a_message_that_says_nothing_is_shown_with_the_present_time() -> None:
    assert line_of({}, NOW) == "[05:06:07] TF: - | Size: - | STF: - | Run: - | Status: -"


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0B"),
        (1024, "1024B"),
        (1025, "1.0KB"),
        (1024 * 1024, "1024.0KB"),
        (1024 * 1024 + 1, "1.0MB"),
        (5 * 1024**3, "5120.0MB"),
        (None, "-"),
        ("12", "-"),
        (True, "-"),
    ],
)
def test_a_size_has_the_unit_that_it_is_more_than_one_of(size: Any, shown: str) -> None:
    assert f"| Size: {shown} |" in line_of({"file_size_bytes": size}, NOW)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"tf_filename": "a.tf", "file_url": "file:///b.tf", "file_id": "c"}, "a.tf"),
        ({"file_url": "file:///d/b.tf", "file_id": "c"}, "b.tf"),
        ({"file_url": "file:///d/", "file_id": "c"}, "d"),
        ({"file_url": "///", "file_id": "c"}, "c"),
        ({"file_url": 5, "file_id": "c"}, "c"),
        ({"tf_filename": "", "file_id": "c"}, "c"),
        ({"tf_file_id": "uuid"}, "uuid"),
    ],
)
def test_a_file_is_named_by_the_best_that_is_known_of_it(row: dict[str, Any], name: str) -> None:
    assert f"TF: {name} |" in line_of(row, NOW)


def test_a_parent_stands_in_for_the_name_of_its_file() -> None:
    assert "STF: p.stf |" in line_of({"parent": "p.stf"}, NOW)


def test_run_0_is_a_run() -> None:
    assert "Run: 0 |" in line_of({"run_number": 0}, NOW)


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"timestamp": "2025-01-01T23:59:58+05:00"}, "23:59:58"),
        ({"timestamp": "yesterday", "created_at": "2025-01-01T01:02:03"}, "01:02:03"),
        ({"timestamp": 1735689600}, "05:06:07"),
        ({"created_at": "x"}, "05:06:07"),
    ],
)
def test_the_time_is_the_message_s_own_where_it_can_be_read(
    row: dict[str, Any], shown: str
) -> None:
    assert line_of(row, NOW).startswith(f"[{shown}]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe", "Größe"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("a\x07", "a\\x07"),
        ("a\u202eb", "a\\u202eb"),
        ("a\x9bb", "a\\x9bb"),
        ("\ud800", "\\ud800"),
    ],
)
def test_nothing_in_a_foreign_text_reaches_the_terminal_as_an_order(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_an_endless_text_is_cut() -> None:
    assert len(printable("x" * 10_000)) == MOST_CHARACTERS


@pytest.mark.parametrize(
    ("status", "begins"),
    [
        ("registered", "\x1b[32m"),
        ("processing", "\x1b[33m"),
        ("processed", "\x1b[34m"),
        ("failed", "\x1b[31m"),
        ("done", "\x1b[35m"),
        ("Done", "\x1b[35m"),
    ],
)
def test_a_state_has_its_colour(status: str, begins: str) -> None:
    assert coloured("line", status) == f"{begins}line\x1b[0m"


@pytest.mark.parametrize("status", ["lost", None, 5, ["done"]])
def test_a_state_that_is_not_known_has_none(status: object) -> None:
    assert coloured("line", status) == "line"
