"""Delivers what waits for one sink: tries again what may be, splits what has to be, and sets aside what is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from logging import Logger
from random import Random
from threading import Event, Thread

from shipper.core.clock import Clock
from shipper.core.errors import BatchRefused, BatchToSplit, Blame, SinkError, SinkUnavailable
from shipper.core.ports import Rejection, Sink
from shipper.core.record import Stream
from shipper.core.secrecy import redacted
from shipper.core.words import Count
from shipper.pipeline.backoff import Backoff, Outage, Pace
from shipper.pipeline.pieces import BOUNDED_TRIES, Pieces
from shipper.pipeline.queue import DeliveryQueue, Depth, Flight
from shipper.pipeline.refusals import Refusals
from shipper.pipeline.showing import Show, show_taken
from shipper.telemetry import families
from shipper.telemetry.log.poll import follow
from shipper.telemetry.tally import Tally

REMEMBERED_STREAMS = 1000
JOIN_SECONDS = 1.0
ENDING_WAIT_SECONDS = 1.0


@dataclass(slots=True)
class _Trouble:
    """Why the sink takes no lines of this metric; what is its own is told once when it begins, once when it ends."""

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
        pace: When the destination may be tried.
        refusals: What becomes of lines that will never be taken.
        tally: Where outcomes are counted.
        log: Where trouble is told.
        clock: Measures pushes and outages.
        settled: Called after every push, whatever its outcome.
        random: Source of the jitter.
        prepare: Called in the loop's own thread before it begins.
        show: Shown what the sink took; `None` where nobody can look on.
        backoff: Waits between tries of what is not the destination's fault.
        fault: What ended the loop, when it was a fault of ours.
    """

    metric: str
    sink: Sink
    queue: DeliveryQueue
    pace: Pace
    refusals: Refusals
    tally: Tally
    log: Logger
    clock: Clock
    settled: Callable[[], None]
    random: Random
    prepare: Callable[[], object] = lambda: None
    show: Show | None = None
    backoff: Backoff = field(default_factory=Backoff)
    fault: BaseException | None = None
    _trouble: _Trouble = field(default_factory=_Trouble)
    _hopeless: set[frozenset[tuple[str, str]]] = field(default_factory=set)
    _stuck_since: dict[frozenset[tuple[str, str]], float] = field(default_factory=dict)
    _flight: Flight | None = None
    _ending: Event = field(default_factory=Event)
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def start(self) -> None:
        """Begin to deliver."""
        self._thread = Thread(target=self._run, name=f"deliver-{self.sink.name}", daemon=True)
        self._thread.start()

    def finish(self, drain_seconds: float) -> Depth:
        """Deliver what waits for at most `drain_seconds`, stop, keep the rest on disk, and return how much that is.

        What the disk does not take is counted as dropped.

        Raises:
            BaseException: What ended the loop, when it was a fault of ours.
        """
        self.queue.close()
        self._ending.set()
        self.queue.wait_until_empty(drain_seconds)
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=JOIN_SECONDS)
        dropped = self.queue.keep()
        if dropped:
            self.tally.count(families.LINES_DROPPED, self.metric, "spool_full", by=dropped)
        self.refusals.give_up_waiting()
        self.raise_fault()
        left = self.queue.depth()
        if left.memory_lines:
            self.tally.count(families.LINES_DROPPED, self.metric, "shutdown", by=left.memory_lines)
            self.queue.abandon()
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
            self.prepare()
            while not self._stop.is_set():
                flight = self.queue.take()
                if flight is None:
                    return
                left = self._deliver(flight)
                self.queue.settle(left)
                self.settled()
        except Exception as error:  # noqa: BLE001 - the thread's outermost loop: the worker ends with this fault
            self.fault = error
            self.queue.give_up()
        finally:
            self.sink.close()

    def _deliver(self, flight: Flight) -> Stream | None:
        """Write a stream, in pieces where it has to be, and return what could not be settled."""
        name = _name(flight.stream)
        self._flight = flight
        follow(*(parcel.poll for parcel in flight.parcels))
        pieces = Pieces(flight.stream, failing_since_seconds=self._stuck_since.pop(name, 0.0))
        while pieces and self._wait_for_turn():
            try:
                self._accepted(pieces, self._push(pieces.first.stream))
            except SinkUnavailable as error:
                if not self._try_again(pieces, error):
                    self._stuck_since[name] = pieces.first.failing_since_seconds
                    self.queue.pass_over()
                    break
            except BatchToSplit as error:
                self._answered() if error.asked else self.pace.let_go()
                if len(pieces.first.stream) > 1:
                    pieces.split_first()
                else:
                    self._refused(pieces, error)
            except BatchRefused as error:
                self._answered()
                self._refused(pieces, error)
        return pieces.left()

    def _wait_for_turn(self) -> bool:
        """Wait until the destination may be tried; False when the end came before."""
        while not self._stop.is_set():
            wait_seconds = self.pace.wait_seconds()
            if wait_seconds <= 0:
                return True
            if not self._trouble.text:
                self._trouble.text = f"waiting for {self.sink.name}, which takes no lines"
            self._wait(wait_seconds)
        return False

    def _wait(self, wait_seconds: float) -> None:
        """Wait; from the moment that the end was announced on a second at most, since little time is left."""
        if self._ending.wait(wait_seconds):
            self._stop.wait(min(wait_seconds, ENDING_WAIT_SECONDS))

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

    def _accepted(self, pieces: Pieces, rejections: Sequence[Rejection]) -> None:
        self._answered()
        self._hopeless.discard(_name(pieces.first.stream))
        self._settle_first(pieces, rejections)

    def _refused(self, pieces: Pieces, error: SinkError) -> None:
        """Reject the first piece as a whole."""
        count = len(pieces.first.stream)
        self._settle_first(
            pieces, [Rejection(index, error.reason, str(error)) for index in range(count)]
        )

    def _settle_first(self, pieces: Pieces, rejections: Sequence[Rejection]) -> None:
        piece = pieces.take_first()
        stream, counted = piece.stream, (self.metric, self.sink.name)
        refused = {rejection.index for rejection in rejections}
        taken_bytes = sum(map(len, stream.lines)) - sum(len(stream.lines[at]) for at in refused)
        self.tally.count(families.LINES_DELIVERED, *counted, by=len(stream) - len(refused))
        self.tally.count(families.BYTES_DELIVERED, *counted, by=taken_bytes)
        self.log.debug(
            "%(sink)s took %(lines)s.",
            {
                "event": "lines_delivered",
                "sink": self.sink.name,
                "lines": Count(len(stream) - len(refused), "line"),
                "refused": len(refused),
            },
        )
        if self.show is not None and self._flight is not None:
            show_taken(self.show, self._flight, piece, refused)
        if rejections:
            restamped = self.refusals.take(stream, rejections, again=piece.restamped)
            if restamped is not None:
                pieces.put_restamped(restamped, piece.start)

    def _try_again(self, pieces: Pieces, error: SinkUnavailable) -> bool:
        """Wait, or decide that waiting does not help; False when what is left is to be taken anew."""
        self.tally.count(families.PUSH_RETRIES, self.metric, self.sink.name, error.reason)
        piece = pieces.first
        if error.blame is Blame.DESTINATION:
            self._tell(error, is_news=self.pace.failed(error.retry_after_seconds))
            return True
        self._tell_own(error)
        self.pace.let_go()
        piece.failed(self.clock.monotonic_seconds())
        match error.blame:
            case Blame.LIMIT if piece.tries >= self._tries_within_limit(piece.stream):
                self._give_up_on(pieces, error)
                return True
            case Blame.UNKNOWN if piece.tried_enough:
                return self._find_out(pieces, error)
        wait_seconds = self.backoff.wait_seconds(piece.tries, self.random)
        self._wait(wait_seconds + (error.retry_after_seconds or 0.0))
        return True

    def _find_out(self, pieces: Pieces, error: SinkUnavailable) -> bool:
        """Find out whether the sink or a record is at fault; False when that takes other records."""
        if len(pieces.first.stream) > 1:
            pieces.split_first()
            return True
        if pieces.first.is_at_fault(self.pace.last_passed_seconds):
            self._refused(pieces, error)
            return True
        return pieces.set_first_aside(self.pace.last_passed_seconds)

    def _give_up_on(self, pieces: Pieces, error: SinkUnavailable) -> None:
        if len(self._hopeless) >= REMEMBERED_STREAMS:
            self._hopeless.clear()
        self._hopeless.add(_name(pieces.first.stream))
        self._refused(pieces, error)

    def _tries_within_limit(self, stream: Stream) -> int:
        """Return how often to try: only once when the last push of this stream was given up."""
        return 1 if _name(stream) in self._hopeless else BOUNDED_TRIES

    def _tell_own(self, error: SinkUnavailable) -> None:
        """Tell trouble that is not the destination's, and so nobody else's."""
        is_news = self._trouble.since_seconds is None
        if is_news:
            self._trouble.since_seconds = self.clock.monotonic_seconds()
        self._trouble.attempts += 1
        self._tell(error, is_news=is_news)

    def _tell(self, error: SinkUnavailable, *, is_news: bool) -> None:
        text = redacted(str(error))
        self._trouble.text = f"{self.sink.name} takes no lines: {text}"
        self.log.log(
            logging.WARNING if is_news else logging.DEBUG,
            "%(sink)s takes no lines: %(error)s. Lines wait, and are tried again.",
            {
                "event": "sink_failed",
                "sink": self.sink.name,
                "error": text,
                "reason": error.reason,
            },
        )
        self.settled()

    def _answered(self) -> None:
        """Note that the destination takes lines, whatever it said to these."""
        outage, trouble = self.pace.passed(), self._trouble
        if outage is None and trouble.since_seconds is not None:
            seconds = self.clock.monotonic_seconds() - trouble.since_seconds
            outage = Outage(seconds, trouble.attempts)
        if outage is not None:
            self.log.info(
                "%(sink)s takes lines again after %(seconds).1f s and %(attempts)s.",
                {
                    "event": "sink_recovered",
                    "sink": self.sink.name,
                    "seconds": outage.seconds,
                    "attempts": Count(outage.failures, "attempt"),
                },
            )
        if trouble.text:
            self._trouble = _Trouble()


def _name(stream: Stream) -> frozenset[tuple[str, str]]:
    return frozenset(stream.labels.items())
