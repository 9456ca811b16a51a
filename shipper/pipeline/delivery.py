"""Delivers what waits for one sink: retries what may be retried, splits what is too large, counts what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from logging import Logger
from random import Random
from threading import Event, Thread

from shipper.core.clock import Clock
from shipper.core.errors import BatchRefused, BatchTooLarge, SinkError, SinkUnavailable
from shipper.core.ports import Rejection, Sink
from shipper.core.record import Stream
from shipper.pipeline.backoff import Backoff
from shipper.pipeline.queue import DeliveryQueue
from shipper.telemetry import families
from shipper.telemetry.tally import Tally

BOUNDED_TRIES = 10
"""How often a push is tried whose failure may never end, like one over the limit of streams."""


@dataclass(slots=True)
class _Trouble:
    """An outage as it is told in the log: once when it begins, once when it ends."""

    since_seconds: float | None = None
    attempts: int = 0
    text: str = ""


@dataclass(slots=True)
class Delivery:
    """The delivery loop of one sink, in a thread of its own.

    Attributes:
        metric: The metric whose records these are.
        sink: Where they go.
        queue: What waits.
        tally: Where outcomes are counted.
        log: Where trouble is told.
        clock: Measures pushes and outages.
        settled: Called after every push, whatever its outcome.
        random: Source of the jitter.
        fault: What ended the loop, when it was a fault of ours.
    """

    metric: str
    sink: Sink
    queue: DeliveryQueue
    tally: Tally
    log: Logger
    clock: Clock
    settled: Callable[[], None]
    random: Random
    backoff: Backoff = field(default_factory=Backoff)
    fault: BaseException | None = None
    _trouble: _Trouble = field(default_factory=_Trouble)
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def start(self) -> None:
        """Begin to deliver."""
        self._thread = Thread(target=self._run, name=f"deliver-{self.sink.name}", daemon=True)
        self._thread.start()

    def finish(self, drain_seconds: float) -> int:
        """Deliver what waits for at most `drain_seconds`, stop, and return how many lines were left.

        Raises:
            BaseException: What ended the loop, when it was a fault of ours.
        """
        self.queue.close()
        self.queue.wait_until_empty(drain_seconds)
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=1)
        self.raise_fault()
        left = self.queue.depth().lines
        if left:
            self.tally.count(families.LINES_DROPPED, self.metric, "shutdown", by=left)
        return left

    @property
    def trouble(self) -> str:
        """Why the sink takes no lines right now; empty while it does."""
        return self._trouble.text

    def raise_fault(self) -> None:
        """Raise what ended the loop, if it was a fault of ours."""
        if self.fault is not None:
            raise self.fault

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                waiting = self.queue.take()
                if waiting is None:
                    return
                if self._deliver(waiting.stream):
                    self.queue.settle()
                    self.settled()
        except Exception as error:  # noqa: BLE001 - the thread's outermost loop: the worker ends with this fault
            self.fault = error
            self.queue.give_up()
        finally:
            self.sink.close()

    def _deliver(self, stream: Stream) -> bool:
        """Push one stream until it is settled; False when the worker stops before, or the stream was split."""
        attempt = bounded_tries = 0
        while not self._stop.is_set():
            attempt += 1
            try:
                self._accepted(stream, self._push(stream))
                self._recovered()
            except SinkUnavailable as error:
                bounded_tries += error.bounded
                if bounded_tries < BOUNDED_TRIES:
                    self._wait(attempt, error)
                    continue
                self._refused(stream, error)
            except BatchTooLarge as error:
                if len(stream) > 1:
                    self.queue.split()
                    return False
                self._refused(stream, error)
            except BatchRefused as error:
                self._refused(stream, error)
            return True
        return False

    def _push(self, stream: Stream) -> Sequence[Rejection]:
        counted = (self.metric, self.sink.name)
        cut_before = self.sink.lines_cut
        began = self.clock.monotonic_seconds()
        try:
            return self.sink.write(stream)
        finally:
            taken = self.clock.monotonic_seconds() - began
            self.tally.observe(families.PUSH_SECONDS, *counted, value=taken)
            cut = self.sink.lines_cut - cut_before
            if cut:
                self.tally.count(families.LINES_CUT, *counted, by=cut)

    def _accepted(self, stream: Stream, rejections: Sequence[Rejection]) -> None:
        refused = {rejection.index for rejection in rejections}
        refused_bytes = sum(len(stream.lines[index]) for index in refused)
        counted = (self.metric, self.sink.name)
        self.tally.count(families.LINES_DELIVERED, *counted, by=len(stream) - len(refused))
        taken_bytes = sum(map(len, stream.lines)) - refused_bytes
        self.tally.count(families.BYTES_DELIVERED, *counted, by=taken_bytes)
        for rejection in rejections:
            self.tally.count(families.LINES_REJECTED, *counted, rejection.reason)
        if rejections:
            first = rejections[0]
            self.log.warning(
                "%s refused %d of %d lines for good: %s: %s.",
                self.sink.name,
                len(rejections),
                len(stream),
                first.reason,
                first.answer,
            )

    def _refused(self, stream: Stream, error: SinkError) -> None:
        rejections = [Rejection(index, error.reason, str(error)) for index in range(len(stream))]
        self._accepted(stream, rejections)

    def _wait(self, attempt: int, error: SinkUnavailable) -> None:
        """Sleep before the next attempt: as long as the sink asked for, else full jitter."""
        self.tally.count(families.PUSH_RETRIES, self.metric, self.sink.name, error.reason)
        wait_seconds = self.backoff.wait_seconds(attempt, self.random)
        if error.retry_after_seconds is not None:
            wait_seconds += error.retry_after_seconds
        level = self.log.debug
        if self._trouble.since_seconds is None:
            self._trouble.since_seconds = self.clock.monotonic_seconds()
            level = self.log.warning
        self._trouble.attempts += 1
        self._trouble.text = f"{self.sink.name} takes no lines: {error}"
        level("%s takes no lines: %s. Lines wait, and are tried again.", self.sink.name, error)
        self.settled()
        self._stop.wait(wait_seconds)

    def _recovered(self) -> None:
        trouble = self._trouble
        if trouble.since_seconds is None:
            return
        lasted = self.clock.monotonic_seconds() - trouble.since_seconds
        self.log.info(
            "%s takes lines again after %.1f s and %d attempts.",
            self.sink.name,
            lasted,
            trouble.attempts,
        )
        self._trouble = _Trouble()
