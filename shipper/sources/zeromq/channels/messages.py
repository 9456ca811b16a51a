"""Makes the text that a client of a channel gets of a row."""

from __future__ import annotations

import json
from dataclasses import dataclass

from shipper.core.record import Row

CHANNEL, COMMAND, TASK_ID, TASK_STATE = "channel", "command", "task_id", "task_state"
TASK = "TASK"
TOLD = (COMMAND, TASK_ID, TASK_STATE)

# The spacing and the escapes of the standard library, which the clients have known since 2016.
_encode = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a channel.

    Attributes:
        channel: Its name: the id of a job.
        command: What happened.
        text: What clients get.
        task_state: How a task ended; empty where the message is about no task.
    """

    channel: str
    command: str
    text: str
    task_state: str = ""


def message_of(row: Row) -> Message:
    """Return the message that a row of ReCodEx is; what was not sent is not told, surplus frames are passed over."""
    command = str(row[COMMAND])
    text = _encode({key: row[key] for key in TOLD if key in row})
    task_state = str(row.get(TASK_STATE, "")) if command == TASK else ""
    return Message(str(row[CHANNEL]), command, text, task_state)
