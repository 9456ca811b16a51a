"""The table set `tf_metadata`: every Time Frame that is announced, and what the runs add up to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from logging import Logger
from typing import TYPE_CHECKING, ClassVar

from shipper.core.clock import Clock, SystemClock
from shipper.core.ports import Rejection
from shipper.core.record import Row
from shipper.store.table_set import Arrival, Readied
from shipper.store.timeframes.time_frame import TimeFrame, Unfit, time_frame
from shipper.store.timeframes.writing import write_time_frames

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

WARN_EVERY_SECONDS = 60.0


class TimeFrames:
    """Rows of Time Frames: a file that is announced again is overwritten with the newest values."""

    branch: ClassVar[str] = "tf"

    def __init__(self, *, log: Logger, clock: Clock | None = None) -> None:
        """Set the rules.

        Args:
            log: Where times that cannot be read are told, once a minute at most.
            clock: Measures the minute.
        """
        self._log = log
        self._clock = clock or SystemClock()
        self._warned_seconds: float | None = None
        self._unreadable = 0

    @staticmethod
    def wants(row: Row) -> bool:
        """Tell whether a record is meant for these tables: every one is, and one that is no Time Frame is refused."""
        del row
        return True

    def ready(self, arrivals: Sequence[Arrival]) -> Iterator[Readied[TimeFrame]]:
        """Yield all rows at once."""
        rows: list[TimeFrame] = []
        rejections: list[Rejection] = []
        for arrival in arrivals:
            try:
                rows.append(time_frame(arrival, self._warn))
            except Unfit as unfit:
                rejections.append(Rejection(arrival.index, unfit.reason, unfit.answer))
        yield Readied(rows, rejections)

    def write(self, connection: Connection, rows: Sequence[TimeFrame]) -> None:
        """Write rows and correct the totals of all runs that they enter or leave."""
        write_time_frames(connection, rows)

    def _warn(self, written: object) -> None:
        self._unreadable += 1
        now_seconds = self._clock.monotonic_seconds()
        if self._warned_seconds is None or now_seconds - self._warned_seconds >= WARN_EVERY_SECONDS:
            self._log.warning(
                "created_at is %(value)s, which is no ISO 8601 time: stored as NULL (%(times)d so far).",
                {
                    "event": "time_unreadable",
                    "value": ascii(written)[:100],
                    "times": self._unreadable,
                },
            )
            self._warned_seconds = now_seconds
