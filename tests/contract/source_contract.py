"""What every source has to keep, whatever it reads from; inherit the class and give it a rig."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import pytest

from shipper.core.errors import SourceUnavailable
from shipper.core.ports import Source
from shipper.core.record import Batch, Row

PATIENCE_SECONDS = 10.0
READ_SECONDS = 0.5


class Rig(ABC):
    """A closed source, and a far end in the test's hands.

    Attributes:
        source: Nothing was called on it yet.
    """

    source: Source

    @abstractmethod
    def say(self, text: str) -> None:
        """Let the far end have one more row that holds `text`."""

    @abstractmethod
    def heard(self, row: Row) -> str:
        """Return the text that `say` put into this row."""

    def die(self) -> None:
        """Let the far end vanish, with all connections."""
        raise NotImplementedError

    def revive(self) -> None:
        """Let the far end come back, where it was."""
        raise NotImplementedError


class SourceContract:
    """The promises of `shipper.core.ports.Source`. The subclass has a fixture `rig`."""

    far_end_can_die: ClassVar[bool] = True
    """False where nobody notices, as with datagrams."""

    def test_reading_before_opening_is_unavailable(self, rig: Rig) -> None:
        with pytest.raises(SourceUnavailable):
            rig.source.read(READ_SECONDS)

    def test_reading_after_closing_is_unavailable(self, rig: Rig) -> None:
        rig.source.open()
        rig.source.close()

        with pytest.raises(SourceUnavailable):
            rig.source.read(READ_SECONDS)

    def test_opening_again_starts_afresh(self, rig: Rig) -> None:
        rig.source.open()
        rig.source.open()
        rig.say("after the second opening")

        assert heard_within(rig, count=1) == ["after the second opening"]

    def test_closing_a_source_that_was_never_opened_is_safe(self, rig: Rig) -> None:
        rig.source.close()

    def test_closing_twice_is_safe(self, rig: Rig) -> None:
        rig.source.open()
        rig.source.close()
        rig.source.close()

    def test_what_was_said_is_read_in_order(self, rig: Rig) -> None:
        rig.source.open()
        said = [f"row {number}" for number in range(5)]
        for text in said:
            rig.say(text)

        assert heard_within(rig, count=5) == said

    def test_nothing_said_is_an_empty_batch(self, rig: Rig) -> None:
        rig.source.open()

        assert list(rig.source.read(READ_SECONDS).rows) == []

    def test_the_moment_of_the_poll_is_in_nanoseconds_since_the_epoch(self, rig: Rig) -> None:
        rig.source.open()
        rig.say("now")
        before_ns = time.time_ns()
        batch = first_batch_with_rows(rig)

        assert before_ns <= batch.read_at_ns <= time.time_ns()

    def test_a_far_end_that_dies_is_unavailable(self, rig: Rig) -> None:
        self._skip_the_immortal()
        rig.source.open()
        rig.die()

        with pytest.raises(SourceUnavailable):
            read_until_it_fails(rig)

    def test_opening_while_the_far_end_is_dead_is_unavailable(self, rig: Rig) -> None:
        self._skip_the_immortal()
        rig.die()

        with pytest.raises(SourceUnavailable):
            rig.source.open()

    def test_a_far_end_that_came_back_can_be_opened_again(self, rig: Rig) -> None:
        self._skip_the_immortal()
        rig.source.open()
        rig.die()
        with pytest.raises(SourceUnavailable):
            read_until_it_fails(rig)
        rig.revive()
        rig.source.open()
        rig.say("back again")

        assert heard_within(rig, count=1) == ["back again"]

    def _skip_the_immortal(self) -> None:
        if not self.far_end_can_die:
            pytest.skip("nobody notices when this far end dies")


def heard_within(rig: Rig, *, count: int) -> list[str]:
    """Read until `count` rows have come, and return what they hold."""
    heard: list[str] = []

    def enough() -> bool:
        batch = rig.source.read(READ_SECONDS)
        heard.extend(rig.heard(row) for row in batch.rows)
        return len(heard) >= count

    until(enough)
    return heard


def first_batch_with_rows(rig: Rig) -> Batch:
    """Read until something comes."""
    batches: list[Batch] = []

    def something() -> bool:
        batches.append(rig.source.read(READ_SECONDS))
        return bool(batches[-1].rows)

    until(something)
    return batches[-1]


def read_until_it_fails(rig: Rig) -> None:
    """Read on until the source notices that something is wrong."""

    def never() -> bool:
        rig.source.read(READ_SECONDS)
        return False

    until(never)


def until(condition: Callable[[], bool]) -> None:
    """Try `condition` again and again until it holds.

    Raises:
        TimeoutError: It did not hold in time.
    """
    end_seconds = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end_seconds:
            raise TimeoutError(f"nothing happened within {PATIENCE_SECONDS:g} s")
