"""Framing, tried on a pair of connected sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from shipper.demo.sqream.protocol import (
    ConnectionEnded,
    ProtocolBroken,
    binary_message,
    picker_message,
    read_message,
    text_message,
)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def test_a_text_message_is_a_header_and_json_without_blanks() -> None:
    message = text_message({"statementClosed": "statementClosed"})

    assert message == b"\x08\x01\x25" + bytes(7) + b'{"statementClosed":"statementClosed"}'


def test_the_length_of_a_text_message_counts_bytes_not_characters() -> None:
    assert text_message({"error": "ł"})[2] == len('{"error":"ł"}'.encode())


def test_a_binary_message_says_so_in_its_second_byte() -> None:
    assert binary_message(b"abc") == b"\x08\x02\x03" + bytes(7) + b"abc"


def test_a_picker_tells_address_and_port_with_their_lengths() -> None:
    expected = bytes.fromhex("09 00 00 00 31 32 37 2e 30 2e 30 2e 31 88 13 00 00")

    assert picker_message("127.0.0.1", 5000) == expected


def test_a_message_is_read_whole_although_it_comes_in_pieces(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client, server = ends
    for byte in text_message({"execute": "zażółć"}):
        client.send(bytes([byte]))

    assert read_message(server) == {"execute": "zażółć"}


def test_a_client_that_leaves_inside_a_message_ends_the_connection(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client, server = ends
    client.sendall(text_message({"fetch": "fetch"})[:-1])
    client.close()

    with pytest.raises(ConnectionEnded):
        read_message(server)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", id="another protocol"),
        pytest.param(b"\x08\x01" + b"\xff" * 8, id="negative length"),
        pytest.param(b"\x08\x01\x02" + bytes(7) + b"{]", id="not JSON"),
        pytest.param(b"\x08\x01\x02" + bytes(7) + b"[]", id="not an object"),
        pytest.param(b"\x08\x01\x01" + bytes(7) + b"\xff", id="not UTF-8"),
    ],
)
def test_what_is_not_a_message_breaks_the_protocol(
    ends: tuple[socket.socket, socket.socket], sent: bytes
) -> None:
    client, server = ends
    client.sendall(sent)

    with pytest.raises(ProtocolBroken):
        read_message(server)
