"""Makes structured metadata legal for Loki: values sent along with a record and never indexed.

Loki 3.6 normalises the names by itself, but a name of which nothing but `_` is left makes it answer 500 to the
whole push, now and at every retry. So the names are normalised here, by the same rules, and such a one becomes
`unnamed`. Loki takes 128 pairs and 65536 bytes of names and values per record; what does not fit is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

MAX_PAIRS = 128
MAX_PAIRS_BYTES = 65536
UNNAMED = "unnamed"

CACHED_NAMES = 4096

_NOT_PLAIN = re.compile("[^a-zA-Z0-9]+")


class LegalPairs(NamedTuple):
    """Structured metadata of one record as Loki takes it; a tuple, because one is made for every record.

    Attributes:
        pairs: Names and values.
        size_bytes: The bytes of both, as Loki counts them.
        cut: How many pairs were left out.
    """

    pairs: Mapping[str, str]
    size_bytes: int
    cut: int


class MetadataRules:
    """Applies the rules to the metadata of one record after the other, remembering the names."""

    def __init__(self) -> None:
        self._legal_name = lru_cache(maxsize=CACHED_NAMES)(legal_pair_name)

    def apply(self, metadata: Mapping[str, str], moved: Mapping[str, str]) -> LegalPairs:
        """Return the legal pairs of a record.

        Args:
            metadata: The record's own pairs.
            moved: Labels that found no place in the stream's name; they come first.
        """
        given = (*moved.items(), *metadata.items())
        legal = {self._legal_name(name): value for name, value in given}
        text = "".join((*legal, *legal.values()))
        # Nearly all records end here; the careful way below costs three times as much.
        if (
            len(given) == len(legal) <= MAX_PAIRS
            and len(text) <= MAX_PAIRS_BYTES
            and text.isascii()
        ):
            return LegalPairs(legal, len(text), cut=0)
        return self._apply_with_care(given)

    def _apply_with_care(self, given: Sequence[tuple[str, str]]) -> LegalPairs:
        legal: dict[str, str] = {}
        size_bytes = 0
        for name, value in given:
            new_name = _free_name(self._legal_name(name), legal)
            new_value = value.encode("utf-8", "backslashreplace")
            pair_bytes = len(new_name) + len(new_value)
            if len(legal) < MAX_PAIRS and size_bytes + pair_bytes <= MAX_PAIRS_BYTES:
                legal[new_name] = new_value.decode()
                size_bytes += pair_bytes
        return LegalPairs(legal, size_bytes, cut=len(given) - len(legal))


def legal_pair_name(name: str) -> str:
    """Return the name Loki would give it, or `unnamed` where it would give none."""
    legal = _NOT_PLAIN.sub("_", name)
    if not legal.strip("_"):
        return UNNAMED
    return f"key_{legal}" if legal[0].isdigit() else legal


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """Return the bytes of names and values, as Loki counts them."""
    return sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())


def _free_name(name: str, taken: Mapping[str, str]) -> str:
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
