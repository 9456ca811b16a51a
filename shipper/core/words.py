"""Words for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def counted(number: int, noun: str, verbs: tuple[str, str] | None = None) -> str:
    """Return a number with its noun, like `1 line` and `2 lines`, and with what one does and many do."""
    one, many = ("", "") if verbs is None else (f" {verbs[0]}", f" {verbs[1]}")
    return f"{number} {noun}{one}" if number == 1 else f"{number} {noun}s{many}"


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
