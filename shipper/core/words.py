"""Words for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, like `1 line` and `2 lines`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
