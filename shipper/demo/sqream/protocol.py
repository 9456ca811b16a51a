"""The framing of SQreamDB's wire protocol: a header of ten bytes, then JSON text or binary.

    offset 0, 1 byte    protocol version, 8 (pysqream accepts 6, 7 and 8)
    offset 1, 1 byte    1 = JSON text in UTF-8, 2 = binary
    offset 2, 8 bytes   length of what follows, signed, little-endian

Source: pysqream 5.0.0 to 6.3.0, `server/sqclient.py`.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping

PROTOCOL_VERSION = 8
SUPPORTED_VERSIONS = frozenset({6, 7, 8})
LONGEST_MESSAGE_BYTES = 64 * 1024 * 1024

_TEXT = 1
_BINARY = 2
_HEADER = struct.Struct("<bbq")
_LENGTH = struct.Struct("<i")


class ProtocolBroken(Exception):
    """The client sent something that is not a message of this protocol."""


class ConnectionEnded(Exception):
    """The client closed its end of the connection."""


def text_message(answer: Mapping[str, object]) -> bytes:
    """Return a JSON message with its header.

    There are no blanks in the JSON: pysqream 6 looks for `{"statementClosed":"statementClosed"}`
    exactly.
    """
    payload = json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()
    return _HEADER.pack(PROTOCOL_VERSION, _TEXT, len(payload)) + payload


def binary_message(block: bytes) -> bytes:
    """Return the binary message that follows an answer to `fetch`."""
    return _HEADER.pack(PROTOCOL_VERSION, _BINARY, len(block)) + block


def picker_message(host: str, port: int) -> bytes:
    """Return what a server picker says: the length of the address, the address, the port."""
    address = host.encode("ascii")
    return _LENGTH.pack(len(address)) + address + _LENGTH.pack(port)


def read_message(connection: socket.socket) -> dict[str, object]:
    """Wait for one message and return its JSON object.

    Raises:
        ConnectionEnded: The client went away, between messages or inside one.
        ProtocolBroken: The bytes are not a message, or its text is not a JSON object.
    """
    version, _kind, length_bytes = _HEADER.unpack(_read_exactly(connection, _HEADER.size))
    if version not in SUPPORTED_VERSIONS:
        raise ProtocolBroken(f"protocol version {version}")
    if not 0 <= length_bytes <= LONGEST_MESSAGE_BYTES:
        raise ProtocolBroken(f"a message of {length_bytes} bytes")
    payload = _read_exactly(connection, length_bytes)
    try:
        message = json.loads(payload)
    except ValueError as error:
        raise ProtocolBroken(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolBroken("not a JSON object")
    return message


def _read_exactly(connection: socket.socket, length_bytes: int) -> bytes:
    received = bytearray()
    while len(received) < length_bytes:
        part = connection.recv(min(length_bytes - len(received), 1 << 20))
        if not part:
            raise ConnectionEnded
        received += part
    return bytes(received)
