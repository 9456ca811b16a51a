"""Texts as Go prints them, because Loki's answers are made of them: quotes, times, sizes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

NS_PER_SECOND: Final = 1_000_000_000
ZERO_TIME_NS: Final = -62_135_596_800 * NS_PER_SECOND
"""Go's zero time, 0001-01-01T00:00:00Z: what an entry without a timestamp has."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORT_ESCAPES = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}
_UNESCAPES = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"} | {
    b"v": b"\v",
    b"\\": b"\\",
    b'"': b'"',
    b"'": b"'",
}
_ESCAPE = re.compile(
    rb"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))", re.DOTALL
)
_SIZE_UNITS = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


def quote(text: str) -> str:
    """Return `text` as Go's strconv.Quote prints it."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_quoted_character(character) for character in text) + '"'


def unquote(literal: str) -> str:
    """Return the text of a Go string literal in double, single or back quotes.

    Raises:
        ValueError: An escape that Go does not know.
    """
    inner = literal[1:-1]
    if literal[0] == "`" or "\\" not in inner:
        return inner
    return _ESCAPE.sub(_unescaped, inner.encode()).decode("utf-8", errors="replace")


def rfc3339(time_ns: int) -> str:
    """Return whole seconds in UTC, such as 2026-11-21T22:35:41Z."""
    return _moment(time_ns).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def time_string(time_ns: int) -> str:
    """Return what Go's Time.String prints, such as 2026-11-21 22:35:41.163406564 +0000 UTC."""
    fraction = f"{time_ns % NS_PER_SECOND:09d}".rstrip("0")
    whole = _moment(time_ns).strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")
    return f"{whole}.{fraction} +0000 UTC" if fraction else f"{whole} +0000 UTC"


def byte_size(size_bytes: int) -> str:
    """Return a size in the largest unit that divides it, such as 3MB or 1001B."""
    for unit_bytes, name in _SIZE_UNITS:
        if size_bytes and size_bytes % unit_bytes == 0:
            return f"{size_bytes // unit_bytes}{name}"
    return f"{size_bytes}B"


def utf8_bytes(text: str) -> int:
    """Return the length of `text` in UTF-8 bytes."""
    return len(text) if text.isascii() else len(text.encode())


def _moment(time_ns: int) -> datetime:
    return _EPOCH + timedelta(seconds=time_ns // NS_PER_SECOND)


def _quoted_character(character: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _unescaped(match: re.Match[bytes]) -> bytes:
    hexadecimal, octal, short, long, letter = match.groups()
    if hexadecimal is not None:
        return bytes([int(hexadecimal, 16)])
    if octal is not None:
        return bytes([int(octal, 8)])
    if short is not None or long is not None:
        return chr(int(short or long, 16)).encode()
    if letter not in _UNESCAPES:
        raise ValueError("unknown escape")
    return _UNESCAPES[letter]
