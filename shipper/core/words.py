"""Words for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

MOST_CHARACTERS = 200
"""So much of a foreign text is shown in a line: whoever wrote it may not have thought of that."""


def counted(number: int, noun: str, verbs: tuple[str, str] | None = None) -> str:
    """Return a number with its noun, like `1 line` and `2 lines`, and with what one does and many do."""
    one, many = ("", "") if verbs is None else (f" {verbs[0]}", f" {verbs[1]}")
    return f"{number} {noun}{one}" if number == 1 else f"{number} {noun}s{many}"


class Count(int):
    """A number that prints with its noun, as `counted` says it; in JSON it is the number."""

    _noun: str
    _verbs: tuple[str, str] | None

    def __new__(cls, number: int, noun: str, verbs: tuple[str, str] | None = None) -> Self:
        """Return the number, which remembers what is counted."""
        count = super().__new__(cls, number)
        count._noun, count._verbs = noun, verbs
        return count

    def __str__(self) -> str:
        return counted(int(self), self._noun, self._verbs)


def printable(text: str, most_characters: int = MOST_CHARACTERS) -> str:
    """Return foreign text as it may be sent to a terminal: in one line, not endless, and nothing obeys it."""
    short = text if len(text) <= most_characters else f"{text[: most_characters - 1]}…"
    return _written_out(short)


def harmless(text: str) -> str:
    """Return text with foreign words in it so that no terminal obeys them; its lines stay lines."""
    return "\n".join(_written_out(line) for line in text.split("\n"))


def size(size_bytes: int) -> str:
    """Return a size in the largest unit it fills, like `1.5 MiB`, `208 KiB` and `512 bytes`, never rounded up."""
    for unit, unit_bytes in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size_bytes >= unit_bytes:
            return f"{size_bytes * 10 // unit_bytes / 10:g} {unit}"
    return counted(size_bytes, "byte")


def unique_names(names: Iterable[str]) -> Iterator[str]:
    """Yield names in their order; one that was there before gets a number, like `name_2`."""
    taken: set[str] = set()
    for name in names:
        unique, count = name, 1
        while unique in taken:
            count += 1
            unique = f"{name}_{count}"
        taken.add(unique)
        yield unique


def _written_out(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
