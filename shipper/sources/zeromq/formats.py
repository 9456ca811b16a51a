"""Makes rows of messages: frames as the ReCodEx broker sends them, or JSON objects.

The frames of ReCodEx are those of the broker and the worker of 2026; frame 0 of a ROUTER, the sender, is off already.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Literal

from shipper.core.json_object import Unreadable, json_object, utf8
from shipper.core.record import RefusedInput, Row

Format = Literal["recodex", "json"]

Reader = Callable[[Sequence[bytes]], Row]
"""Makes a row of the frames of a message, or raises `Unreadable`."""

RECODEX_KEYS = ("channel", "command", "task_id", "task_state")
"""What the frames of a message of ReCodEx are; the last two come with the command TASK."""

SURPLUS = "surplus"
"""The key of frames behind those; ReCodEx sends none, and its own monitor passes them over."""

RECODEX_FEWEST_FRAMES = 2
EXIT = [b"0", b"exit"]
"""These two frames and no other end the monitor of ReCodEx, whoever sends them."""

EXIT_REFUSED = "exit_refused"

MAX_MESSAGE_BYTES = 1024 * 1024
"""All frames of a message together."""


def reader(form: Format) -> Reader:
    """Return what makes rows of messages of this form."""
    match form:
        case "recodex":
            return recodex_row
        case "json":
            return json_row


def recodex_row(frames: Sequence[bytes]) -> dict[str, object]:
    """Return the frames under their names; frames that are not there have no key.

    Raises:
        Unreadable: No command, not UTF-8, too long, or the order to exit.
    """
    _refuse_too_long(frames)
    if len(frames) < RECODEX_FEWEST_FRAMES:
        raise Unreadable("wrong_frame_count", "a channel and a command are needed")
    if frames == EXIT:
        raise Unreadable(EXIT_REFUSED)
    texts = [utf8(frame) for frame in frames]
    if not texts[0] or not texts[1]:
        raise Unreadable("empty_frame", "the channel" if not texts[0] else "the command")
    row: dict[str, object] = dict(zip(RECODEX_KEYS, texts, strict=False))
    if len(texts) > len(RECODEX_KEYS):
        row[SURPLUS] = texts[len(RECODEX_KEYS) :]
    return row


def json_row(frames: Sequence[bytes]) -> dict[str, object]:
    """Return the JSON object that the only frame holds.

    Raises:
        Unreadable: It is no JSON, no object, too long, or nested too deep, or there are more frames.
    """
    _refuse_too_long(frames)
    if len(frames) != 1:
        raise Unreadable("wrong_frame_count", "one frame with an object is needed")
    return json_object(frames[0])


def refused(refusal: Unreadable, frames: Sequence[bytes], sender: bytes) -> RefusedInput:
    r"""Return what is kept of a message that is no row.

    A single frame is kept as it came, several as a JSON list of texts. A byte that is no UTF-8 is there as `\udc80` to
    `\udcff`, which no text has, so that the frames can be had again with Python's `surrogateescape`.
    """
    metadata = {"frames": str(len(frames))}
    if sender:
        metadata["sender"] = shown_sender(sender)
    content = frames[0] if len(frames) == 1 else _listed(frames)
    return RefusedInput(refusal.reason, content[:MAX_MESSAGE_BYTES], metadata, refusal.fault)


def shown_sender(sender: bytes) -> str:
    """Return the name of a sender, or its bytes in hexadecimal when ZeroMQ gave it one that is no text."""
    name = sender.decode("utf-8", "replace")
    return name if name.isprintable() and "\ufffd" not in name else sender.hex()


def _listed(frames: Sequence[bytes]) -> bytes:
    texts = [frame.decode("utf-8", "surrogateescape") for frame in frames]
    return json.dumps(texts).encode("ascii")


def _refuse_too_long(frames: Sequence[bytes]) -> None:
    length_bytes = sum(map(len, frames))
    if length_bytes > MAX_MESSAGE_BYTES:
        raise Unreadable("too_long", f"{length_bytes} bytes, at most {MAX_MESSAGE_BYTES}")
