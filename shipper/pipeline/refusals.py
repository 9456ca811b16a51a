"""What becomes of lines that a sink will never take: counted, told, and kept as dead letters or given a new time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from logging import Logger
from typing import Literal, Protocol

from shipper.core.clock import Clock
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.core.words import Count
from shipper.pipeline.dead_letter import rfc3339
from shipper.telemetry import families
from shipper.telemetry.tally import Tally

TooOld = Literal["dead_letter", "restamp", "drop"]

TOO_OLD_REASONS = ("too_old", "too_far_behind")
UNWRITTEN_LINES = 10_000
"""How many refused lines wait in memory for a disk that cannot be written."""

TOLD_AGAIN_SECONDS = 60.0


class Letterbox(Protocol):
    """Where dead letters are kept."""

    def add(self, stream: Stream, rejections: Sequence[Rejection], *, sink: str) -> int:
        """Keep refused records on disk and return for how many there was room.

        Raises:
            OSError: The disk does not take them now.
        """


@dataclass(slots=True)
class Refusals:
    """The refused lines of one metric at one sink.

    Attributes:
        metric: The metric.
        sink: The sink's name.
        too_old: What becomes of lines that come too late.
        letterbox: Where the others are kept; `None`: they are only counted.
        tally: Where they are counted.
        log: Where they are told, each reason at most once a minute.
        clock: Time.
        received: Of how many they are some, where that is more than the lines they come with.
    """

    metric: str
    sink: str
    tally: Tally
    log: Logger
    clock: Clock
    too_old: TooOld = "dead_letter"
    letterbox: Letterbox | None = None
    received: int = 0
    _unwritten: deque[tuple[Stream, Sequence[Rejection]]] = field(default_factory=deque)
    _unwritten_lines: int = 0
    _told_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def all_written(self) -> bool:
        """Whether the disk took every dead letter so far."""
        return not self._unwritten

    def take(
        self, stream: Stream, rejections: Sequence[Rejection], *, again: bool
    ) -> Stream | None:
        """Take in what was refused of a stream.

        Args:
            stream: What was written.
            rejections: Which of its records were refused.
            again: Whether they were sent with a new time before, so that they are not given another.

        Returns:
            The records to be written once more, with the present time; `None` for none.
        """
        late = [one for one in rejections if one.reason in TOO_OLD_REASONS]
        if late and self.too_old == "restamp" and not again:
            final = [one for one in rejections if one.reason not in TOO_OLD_REASONS]
            self._refuse(stream, final)
            return self._restamped(stream, late)
        self._refuse(stream, rejections)
        return None

    def write_waiting(self) -> None:
        """Try again to keep what the disk did not take."""
        while self._unwritten:
            if not self._written(*self._unwritten[0]):
                return
            _, written = self._unwritten.popleft()
            self._unwritten_lines -= len(written)

    def give_up_waiting(self) -> None:
        """Try a last time to keep what the disk did not take, and count what it does not take now as lost."""
        self.write_waiting()
        self._lost(self._unwritten_lines, "disk", "we stop")
        self._unwritten.clear()
        self._unwritten_lines = 0

    def _refuse(self, stream: Stream, rejections: Sequence[Rejection]) -> None:
        for one in rejections:
            self.tally.count(families.LINES_REJECTED, self.metric, self.sink, one.reason)
        if self.too_old == "drop":
            rejections = [one for one in rejections if one.reason not in TOO_OLD_REASONS]
        if not rejections:
            return
        self._tell(len(stream), rejections)
        if self.letterbox is None:
            return
        self.write_waiting()
        if self._unwritten or not self._written(stream, rejections):
            self._wait_for_disk(stream, rejections)

    def _written(self, stream: Stream, rejections: Sequence[Rejection]) -> bool:
        """Keep refused records; False when the disk does not take them now."""
        if self.letterbox is None:
            return True
        try:
            kept = self.letterbox.add(stream, rejections, sink=self.sink)
        except OSError as error:
            if not self._unwritten:
                text = "Dead letters cannot be written: %(error)s. They wait in memory."
                fields = {"event": "dead_letters_unwritten", "error": error.strerror}
                self.log.error(text, fields)  # noqa: TRY400 - no traceback for operators
            return False
        self.tally.count(families.DEAD_LETTERS, self.metric, self.sink, by=kept)
        self._lost(len(rejections) - kept, "full", "there is no room for them any more")
        return True

    def _wait_for_disk(self, stream: Stream, rejections: Sequence[Rejection]) -> None:
        if self._unwritten_lines + len(rejections) > UNWRITTEN_LINES:
            self._lost(len(rejections), "disk", "the disk does not take them")
        else:
            self._unwritten.append((stream, rejections))
            self._unwritten_lines += len(rejections)

    def _lost(self, lines: int, reason: str, why: str) -> None:
        if lines:
            self.tally.count(families.DEAD_LETTERS_LOST, self.metric, reason, by=lines)
            if self._is_news(f"lost {reason}"):
                self.log.error(
                    "%(lines)d dead letters are lost: %(reason)s.",
                    {"event": "dead_letters_lost", "lines": lines, "reason": why},
                )

    def _tell(self, written: int, rejections: Sequence[Rejection]) -> None:
        alike: dict[str, list[Rejection]] = {}
        for one in rejections:
            alike.setdefault(one.reason, []).append(one)
        for reason, members in alike.items():
            if self._is_news(reason):
                self.log.warning(
                    "%(sink)s refused %(lines)d of %(of)s for good: %(error)s",
                    {
                        "event": "lines_refused",
                        "sink": self.sink,
                        "lines": len(members),
                        "of": Count(max(written, self.received), "line"),
                        "reason": reason,
                        "error": ": ".join(filter(None, (reason, members[0].answer.rstrip(".")))),
                    },
                )

    def _is_news(self, topic: str) -> bool:
        now = self.clock.monotonic_seconds()
        if now - self._told_seconds.get(topic, -TOLD_AGAIN_SECONDS) < TOLD_AGAIN_SECONDS:
            return False
        self._told_seconds[topic] = now
        return True

    def _restamped(self, stream: Stream, late: Sequence[Rejection]) -> Stream:
        if self._is_news("restamped"):
            self.log.warning(
                "%(sink)s refused %(lines)s as too late: given the present time.",
                {
                    "event": "lines_restamped",
                    "sink": self.sink,
                    "lines": Count(len(late), "line"),
                },
            )
        return restamped(stream, [one.index for one in late], self.clock.now_ns())


def restamped(stream: Stream, places: Sequence[int], now_ns: int) -> Stream:
    """Return some records with times from `now_ns` on, and their own as structured metadata `original_time`.

    A record that was given another time before keeps the first.
    """
    given = stream.metadata if stream.metadata is not None else [{}] * len(stream)
    return Stream(
        stream.labels,
        range(now_ns, now_ns + len(places)),
        [stream.lines[place] for place in places],
        [{"original_time": rfc3339(stream.times_ns[place]), **given[place]} for place in places],
    )
