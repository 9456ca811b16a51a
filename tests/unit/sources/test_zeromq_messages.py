"""What clients of channels get, letter by letter."""

from __future__ import annotations

import pytest

from shipper.sources.zeromq.channels.messages import message_of
from shipper.sources.zeromq.formats import recodex_row


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        pytest.param(["job", "STARTED"], '{"command": "STARTED"}', id="a command"),
        pytest.param(
            ["job", "TASK", "compile-1", "COMPLETED"],
            '{"command": "TASK", "task_id": "compile-1", "task_state": "COMPLETED"}',
            id="a task",
        ),
        pytest.param(
            ["job", "TASK", "compile-1"],
            '{"command": "TASK", "task_id": "compile-1"}',
            id="missing",
        ),
        pytest.param(
            ["job", "TASK", "a", "FAILED", "x", "y"],
            '{"command": "TASK", "task_id": "a", "task_state": "FAILED"}',
            id="surplus",
        ),
        pytest.param(
            ["job", "TASK", 'a"b\\', "ř"],
            r'{"command": "TASK", "task_id": "a\"b\\", "task_state": "\u0159"}',
            id="escapes",
        ),
        pytest.param(["0", "exit", "x"], '{"command": "exit", "task_id": "x"}', id="no order"),
    ],
)
def test_a_client_gets_the_frames_as_json_with_sorted_keys(frames: list[str], text: str) -> None:
    message = message_of(recodex_row([each.encode() for each in frames]))

    assert (message.channel, message.text) == (frames[0], text)


def test_only_tasks_have_a_state() -> None:
    task = message_of({"channel": "a", "command": "TASK", "task_id": "x", "task_state": "FAILED"})
    other = message_of({"channel": "a", "command": "NEWS", "task_id": "x", "task_state": "FAILED"})

    assert (task.task_state, other.task_state) == ("FAILED", "")
