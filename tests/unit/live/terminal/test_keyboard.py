"""Keys made of the bytes of a terminal."""

from __future__ import annotations

import pytest

from shipper.live.terminal.keyboard import Keys


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        (b"q", ["q"]),
        (b"\r", ["enter"]),
        (b"\x7f", ["backspace"]),
        (b"\x1b[A\x1b[B", ["up", "down"]),
        (b"\x1bOA", ["up"]),
        (b"\x1b[5~\x1b[6~", ["page up", "page down"]),
        (b"\x1b[H\x1b[4~", ["home", "end"]),
        (b"\x1b/x", ["escape", "/", "x"]),
        (b"\x1b[200~x\x1b[<35;1;1M", ["x"]),
        ("é".encode(), ["é"]),
        (b"\x01\x02", []),
    ],
    ids=repr,
)
def test_bytes_are_keys(sent: bytes, keys: list[str]) -> None:
    assert Keys().take(sent) == keys


def test_a_key_may_come_in_pieces() -> None:
    keys = Keys()

    assert [keys.take(piece) for piece in (b"\x1b", b"[", b"A", b"\xc3", b"\xa9")] == [
        [], [], ["up"], [], ["é"]
    ]  # fmt: skip


def test_escape_is_a_key_when_nothing_follows() -> None:
    keys = Keys()

    assert keys.take(b"\x1b") == []
    assert keys.unfinished()
    assert keys.rest() == ["escape"]
    assert not keys.unfinished()


def test_the_beginning_of_a_sequence_without_an_end_is_no_key() -> None:
    keys = Keys()
    keys.take(b"\x1b[1")

    assert keys.rest() == []
