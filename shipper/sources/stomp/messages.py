"""Makes rows of the bodies of messages: JSON objects in UTF-8; what is none becomes refused input with a reason.

Reasons: `not_utf8`, `not_json`, `not_an_object` and `too_deep`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from shipper.core.json_object import Unreadable, json_object
from shipper.core.record import RefusedInput, Row


class Frame(Protocol):
    """A frame as stomp.py parses it, its headers unescaped and its body as it came."""

    cmd: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Harvest:
    """What became of some messages.

    Attributes:
        rows: The objects that came.
        metadata: What is known about each row beside its fields.
        refused: The messages that are no rows.
    """

    rows: list[Row] = field(default_factory=list)
    metadata: list[Mapping[str, str]] = field(default_factory=list)
    refused: list[RefusedInput] = field(default_factory=list)


def harvest(frames: Iterable[Frame]) -> Harvest:
    """Sort messages into rows and refused input, each in the order in which they came."""
    reaped = Harvest()
    for frame in frames:
        try:
            row = json_object(frame.body)
        except Unreadable as unreadable:
            known = metadata(frame.headers)
            refused = RefusedInput(unreadable.reason, frame.body, known, unreadable.fault)
            reaped.refused.append(refused)
        else:
            reaped.rows.append(row)
            reaped.metadata.append(metadata(frame.headers))
    return reaped


def metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what a message's headers say about it.

    RabbitMQ's `message-id` is only its place in the session; the sender's own comes as `amqp-message-id`.
    """
    known = {
        "message_id": headers.get("amqp-message-id") or headers.get("message-id", ""),
        "destination": headers.get("destination", ""),
    }
    if headers.get("redelivered") == "true":
        known["redelivered"] = "true"
    return known
