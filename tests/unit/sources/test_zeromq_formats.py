"""What becomes of the frames of a message."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.core.json_object import MAX_DEPTH, Unreadable
from shipper.core.record import Row
from shipper.sources.zeromq.formats import (
    MAX_MESSAGE_BYTES,
    Format,
    reader,
    refused,
    shown_sender,
)

TASK = [b"job-42", b"TASK", b"compile-1", b"COMPLETED"]


def row(form: Format, *frames: bytes) -> Row:
    return reader(form)(list(frames))


def refusal(form: Format, *frames: bytes) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        reader(form)(list(frames))
    return caught.value


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        pytest.param(
            [b"job-42", b"STARTED"], {"channel": "job-42", "command": "STARTED"}, id="two"
        ),
        pytest.param(
            TASK,
            {
                "channel": "job-42",
                "command": "TASK",
                "task_id": "compile-1",
                "task_state": "COMPLETED",
            },
            id="four",
        ),
        pytest.param(
            TASK[:3], {"channel": "job-42", "command": "TASK", "task_id": "compile-1"}, id="three"
        ),
        pytest.param(
            [b"job-42", b"TASK", b"", b"FAILED"],
            {"channel": "job-42", "command": "TASK", "task_id": "", "task_state": "FAILED"},
            id="an empty task",
        ),
        pytest.param(
            [b"j", "spuštěno".encode()], {"channel": "j", "command": "spuštěno"}, id="any command"
        ),
        pytest.param(
            [b"0", b"exit", b""],
            {"channel": "0", "command": "exit", "task_id": ""},
            id="no exit, for it has a third frame",
        ),
        pytest.param([b"1", b"exit"], {"channel": "1", "command": "exit"}, id="no exit, channel 1"),
    ],
)
def test_frames_of_recodex_are_named(frames: list[bytes], expected: dict[str, object]) -> None:
    assert row("recodex", *frames) == expected


def test_the_keys_are_in_the_order_of_the_frames() -> None:
    assert list(row("recodex", *TASK)) == ["channel", "command", "task_id", "task_state"]


def test_surplus_frames_are_kept_beside_the_others() -> None:
    assert row("recodex", *TASK, b"more", b"")["surplus"] == ["more", ""]


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        pytest.param([b""], "wrong_frame_count", id="one empty frame"),
        pytest.param([b"job-42"], "wrong_frame_count", id="a channel alone"),
        pytest.param([b"", b"STARTED"], "empty_frame", id="no channel"),
        pytest.param([b"job-42", b""], "empty_frame", id="no command"),
        pytest.param([b"job-42", b"\xff"], "not_utf8", id="no text"),
        pytest.param([*TASK, b"\xff"], "not_utf8", id="surplus that is no text"),
        pytest.param([b"0", b"exit"], "exit_refused", id="exit"),
        pytest.param([b"j", b"x" * MAX_MESSAGE_BYTES], "too_long", id="too long"),
    ],
)
def test_frames_that_are_no_message_of_recodex_are_refused(
    frames: list[bytes], reason: str
) -> None:
    assert refusal("recodex", *frames).reason == reason


@pytest.mark.parametrize("form", ["recodex", "json"])
@given(frames=st.lists(st.binary(max_size=8), max_size=7))
def test_whatever_comes_is_a_row_or_is_refused(form: Format, frames: list[bytes]) -> None:
    with suppress(Unreadable):
        assert row(form, *frames) is not None


def test_a_json_object_is_the_row() -> None:
    assert row("json", b'{"b": 1, "a": [null, "\xc4\x9b"]}') == {"b": 1, "a": [None, "ě"]}


def test_what_only_python_writes_is_read_too() -> None:
    number = row("json", b'{"n": NaN}')["n"]

    assert isinstance(number, float)
    assert math.isnan(number)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        pytest.param([], "wrong_frame_count", id="nothing"),
        pytest.param([b"{}", b"{}"], "wrong_frame_count", id="two frames"),
        pytest.param([b""], "not_json", id="an empty frame"),
        pytest.param([b"{}{}"], "not_json", id="two objects"),
        pytest.param([b'{"a": '], "not_json", id="half an object"),
        pytest.param([b"\xff\xfe"], "not_utf8", id="no text"),
        pytest.param([b"[1]"], "not_an_object", id="a list"),
        pytest.param([b'"text"'], "not_an_object", id="a text"),
        pytest.param([b'{"a":' + b"[" * 210 + b"]" * 210 + b"}"], "too_deep", id="deep"),
        pytest.param([b"[" * 100_000], "too_deep", id="bottomless"),
        pytest.param([b'{"a":"%s"}' % (b"x" * MAX_MESSAGE_BYTES)], "too_long", id="too long"),
    ],
)
def test_what_is_no_json_object_is_refused(frames: list[bytes], reason: str) -> None:
    assert refusal("json", *frames).reason == reason


def test_many_containers_beside_each_other_are_not_deep() -> None:
    assert len(row("json", json.dumps({"a": [[]] * (MAX_DEPTH + 1)}).encode())) == 1


# What is kept of the refused


def kept(frames: Sequence[bytes], sender: bytes = b"") -> tuple[bytes, dict[str, str]]:
    found = refused(Unreadable("not_json", "fault"), frames, sender)
    return found.content, dict(found.metadata)


def test_a_single_frame_is_kept_as_it_came() -> None:
    assert kept([b"\xff no JSON"]) == (b"\xff no JSON", {"frames": "1"})


def test_several_frames_are_kept_as_a_list_that_can_be_read() -> None:
    content, metadata = kept([b"job-42", b"", b"a\xff"])

    assert content == b'["job-42", "", "a\\udcff"]'
    assert metadata["frames"] == "3"


@given(st.lists(st.binary(), min_size=2))
def test_frames_can_be_had_again_to_the_last_byte(frames: list[bytes]) -> None:
    content, _ = kept(frames)

    assert [text.encode("utf-8", "surrogateescape") for text in json.loads(content)] == frames


def test_what_is_too_long_is_cut() -> None:
    content, _ = kept([b"x" * (MAX_MESSAGE_BYTES + 1)])

    assert len(content) == MAX_MESSAGE_BYTES


@pytest.mark.parametrize(
    ("sender", "shown"),
    [(b"broker-1", "broker-1"), (b"\x00k\x8bEg", "006b8b4567"), ("č".encode(), "č")],
)
def test_a_sender_is_shown_by_its_name_or_in_hexadecimal(sender: bytes, shown: str) -> None:
    assert shown_sender(sender) == shown
    assert kept([b""], sender)[1]["sender"] == shown
