"""Reads one source: connects, polls, counts what came, and tells what went wrong."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from logging import Logger
from random import Random
from typing import Protocol

from shipper.core.clock import Clock
from shipper.core.errors import ReadRefused, SourceError, SourceTimeout, SourceUnavailable
from shipper.core.ports import Source
from shipper.core.record import Batch, Cursor
from shipper.core.secrecy import redacted
from shipper.core.words import Count
from shipper.pipeline.backoff import Backoff
from shipper.telemetry import families
from shipper.telemetry.log.poll import follow, incarnation
from shipper.telemetry.tally import Tally

NS_PER_SECOND = 1_000_000_000


class Pulse(Protocol):
    """Where a worker shows that it lives, and since when it is polling."""

    def beat(self) -> None:
        """Say that the loop turns."""

    def poll_began(self) -> None:
        """Say that a poll begins now."""

    def poll_ended(self) -> None:
        """Say that the poll is over."""


@dataclass(slots=True)
class PollState:
    """What the last poll came to, for whoever watches.

    Attributes:
        result: `ok`, `error`, `timeout` or `waiting`; empty before the first poll.
        ended_ns: When it ended, nanoseconds since the Unix epoch.
        rows: How many rows it brought.
        error: What went wrong; empty when nothing did.
        next_seconds: When the next poll is due, on the monotonic clock.
        polls: How many polls ended.
        took_seconds: How long the last one took.
        lag_seconds: How far the cursor is behind; `None` without a cursor.
    """

    result: str = ""
    ended_ns: int = 0
    rows: int = 0
    error: str = ""
    next_seconds: float = 0.0
    polls: int = 0
    took_seconds: float = 0.0
    lag_seconds: float | None = None


@dataclass(slots=True)
class Reader:
    """One source and how it has been doing.

    Attributes:
        metric: The entry's name.
        source: Where the rows come from.
        waits: Whether a read waits for what comes; such a source has no polls that could be late or missed.
        tally: Where things are counted.
        pulse: Where the worker shows that it lives.
        log: Where trouble is told.
        clock: Time.
        random: Source of the jitter.
        backoff: Waits between attempts to connect.
        state: What the last poll came to.
        incarnation: Tells the polls of this process from those of its predecessor.
        retry_at_seconds: When to connect again, on the monotonic clock; 0 while the connection stands.
    """

    metric: str
    source: Source
    tally: Tally
    pulse: Pulse
    log: Logger
    clock: Clock
    random: Random
    waits: bool = False
    backoff: Backoff = field(default_factory=lambda: Backoff(first_seconds=0.5, max_seconds=10.0))
    state: PollState = field(default_factory=PollState)
    incarnation: str = field(default_factory=incarnation)
    retry_at_seconds: float = 0.0
    _open: bool = False
    _failures: int = 0
    _behind_since_seconds: float | None = None

    def poll(self, cursor: Cursor | None, timeout_seconds: float) -> Batch | None:
        """Read the source once; `None` when it failed, which is counted and told.

        Args:
            cursor: Where to go on, for a source that has to be opened first.
            timeout_seconds: How long the read may take.

        Raises:
            SourceRefused: The source can never work here.
            SourceEnded: Nothing more will come, as it was ordered.
        """
        follow(f"{self.metric}-{self.incarnation}.{self.state.polls + 1}")
        began = self.clock.monotonic_seconds()
        self.pulse.poll_began()
        try:
            if not self._open:
                self._connect(cursor)
            batch = self.source.read(timeout_seconds)
        except ReadRefused as error:
            self._failed("error", error)
            return None
        except SourceUnavailable as error:
            self._lost_connection()
            self._failed("timeout" if isinstance(error, SourceTimeout) else "error", error)
            return None
        finally:
            self.pulse.poll_ended()
            taken = self.clock.monotonic_seconds() - began
            self.tally.observe(families.POLL_SECONDS, self.metric, value=taken)
            self.state.polls += 1
            self.state.took_seconds = taken
        self._succeeded(batch)
        return batch

    def acknowledge(self, cursor: Cursor) -> None:
        """Tell the far end what is safe; what a lost connection was told nothing about comes again over the next."""
        if not self._open:
            return
        try:
            self.source.acknowledge(cursor)
        except SourceUnavailable as error:
            self._lost_connection()
            self._failed("error", error)

    def _connect(self, cursor: Cursor | None) -> None:
        if self.state.result:
            self.tally.count(families.RECONNECTS, self.metric)
        self.source.open(cursor)
        self._open = True

    def _lost_connection(self) -> None:
        self.source.close()
        self._open = False
        wait_seconds = self.backoff.wait_seconds(self._failures + 1, self.random)
        self.retry_at_seconds = self.clock.monotonic_seconds() + wait_seconds

    def _failed(self, result: str, error: SourceError) -> None:
        self.tally.count(families.POLLS, self.metric, result)
        self._failures += 1
        text = redacted(str(error))
        level = logging.DEBUG if text == self.state.error else logging.WARNING
        self.log.log(
            level,
            "The poll failed: %(error)s.",
            {"event": "poll_failed", "error": text.rstrip("."), "result": result},
        )
        self.state.result, self.state.error, self.state.rows = result, text, 0
        self.state.ended_ns = self.clock.now_ns()

    def _succeeded(self, batch: Batch) -> None:
        if self._failures:
            self.log.info(
                "Polls succeed again after %(failures)s.",
                {"event": "polls_recovered", "failures": Count(self._failures, "failure")},
            )
        self._failures = 0
        self.retry_at_seconds = 0.0
        received = len(batch.rows) + len(batch.refused)
        self.state.result, self.state.error, self.state.rows = "ok", "", received
        self.state.ended_ns = self.clock.now_ns()
        self._count(batch, received)
        if received:
            self.log.debug(
                "The poll brought %(rows)s in %(seconds).3f s.",
                {
                    "event": "poll_succeeded",
                    "rows": Count(received, "row"),
                    "seconds": self.state.took_seconds,
                },
            )
        elif not self.waits:
            self.log.debug(
                "The poll brought no rows; nothing is sent.", {"event": "poll_succeeded", "rows": 0}
            )

    def _count(self, batch: Batch, received: int) -> None:
        tally, metric = self.tally, self.metric
        if not batch.more:
            tally.count(families.POLLS, metric, "ok")
        tally.show(families.LAST_SUCCESS, metric, value=self.state.ended_ns / NS_PER_SECOND)
        if received:
            tally.count(families.ROWS, metric, by=received)
        for reason, count in batch.lost.items():
            tally.count(families.LINES_DROPPED, metric, reason, by=count)
        if batch.sequence_gaps:
            tally.count(families.SEQUENCE_GAPS, metric, by=batch.sequence_gaps)
        self._add_measured(batch)
        if batch.cursor is not None and not self.waits:
            self.state.lag_seconds = self._lag_seconds(batch)
            tally.show(families.CURSOR_LAG, metric, value=self.state.lag_seconds)

    def _add_measured(self, batch: Batch) -> None:
        """Add what the source itself has counted."""
        tally, metric = self.tally, self.metric
        for name, series in batch.counted.items():
            for values, number in series.items():
                tally.count(families.named(name), metric, *values, by=number)
        for name, series in batch.shown.items():
            tally.show_only(
                families.named(name), {(metric, *values): each for values, each in series.items()}
            )

    def _lag_seconds(self, batch: Batch) -> float:
        """Return how far the cursor is behind: by its own time, or by how long it has not been at the end."""
        now = self.clock.monotonic_seconds()
        if not batch.more or self._behind_since_seconds is None:
            self._behind_since_seconds = now
        if not batch.more:
            return 0.0
        first = batch.cursor[0] if batch.cursor else None
        if isinstance(first, datetime) and first.tzinfo is not None:
            return max(0.0, self.clock.now_ns() / NS_PER_SECOND - first.timestamp())
        return now - self._behind_since_seconds
