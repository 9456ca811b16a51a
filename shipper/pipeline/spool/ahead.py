"""What is known of the parcels at the front of a sink's part of the spool, so that the file is not asked each time.

A push holds the records of one stream, and parcels of many streams lie mixed in the file: the next ones of a stream are
looked for among these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

PARCELS_LOOKED_AT = 10_000
"""How far ahead parcels of the same stream are looked for; about 2 MB of memory."""


@dataclass(frozen=True, slots=True)
class Head:
    """What can be known of a parcel without opening it."""

    number: int
    labels: str
    weight_bytes: int


class Ahead:
    """The heads of the oldest parcels of one sink; not all of them, but none is left out in between."""

    def __init__(self) -> None:
        self._heads: dict[int, Head] = {}
        self._complete = False

    @property
    def runs_short(self) -> bool:
        """Whether it is time to `fill` it."""
        return not self._complete and len(self._heads) < PARCELS_LOOKED_AT // 2

    def fill(self, heads: Sequence[Head], without: Collection[int]) -> None:
        """Take what the file has, oldest first, as far as one looks, but not those that are settled."""
        self._complete = len(heads) < PARCELS_LOOKED_AT + len(without)
        # Few different labels stand in many heads; each is remembered once.
        texts = {head.labels: head.labels for head in heads}
        self._heads = {
            head.number: Head(head.number, texts[head.labels], head.weight_bytes)
            for head in heads
            if head.number not in without
        }

    def grew(self) -> None:
        """Know that there is more behind."""
        self._complete = False

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget parcels that are not to be taken any more."""
        for number in numbers:
            self._heads.pop(number, None)

    def next_numbers(self, max_weight_bytes: int, passed_over: str | None = None) -> list[int]:
        """Return the oldest and others of its stream that fit into one push with it, in their order.

        Args:
            max_weight_bytes: The most that a push may weigh.
            passed_over: Labels of a stream that lets others go first, if there are others.
        """
        wanted: list[int] = []
        weight_bytes = 0
        every_labels = (head.labels for head in self._heads.values())
        labels = next((each for each in every_labels if each != passed_over), passed_over)
        for head in self._heads.values():
            if head.labels != labels:
                continue
            weight_bytes += head.weight_bytes
            if wanted and weight_bytes > max_weight_bytes:
                break
            wanted.append(head.number)
        return wanted
