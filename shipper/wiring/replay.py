"""Sends dead letters again to the sink that refused them: those that are taken leave the file, the others stay in it.

The file is taken over by a new name, so that a Shipper that runs meanwhile goes on adding to one of its own. What a
killed replay leaves under that name is taken up by the next one, which then sends again what was sent already.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random

from rich.console import Console

from shipper.config.loading import Configuration
from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import (
    BatchRefused,
    BatchToSplit,
    Blame,
    SinkUnavailable,
    StartupError,
)
from shipper.core.ports import Rejection, Sink
from shipper.core.record import Stream
from shipper.pipeline.backoff import Backoff
from shipper.pipeline.dead_letter import (
    FOLDER,
    DeadLetter,
    append,
    metrics_in,
    parse_letter,
    path_of,
    read_letters,
    rfc3339,
    sync_folder,
    take_over,
    write_letter,
)
from shipper.pipeline.refusals import restamped
from shipper.sinks.store.building import build_store
from shipper.store.settings import StoreSettings
from shipper.wiring.destinations import lokis
from shipper.wiring.settings import RunSettings

LOCK_NAME = "replay.lock"
BATCH_RECORDS = 1000
PATIENCE_SECONDS = 20.0
"""How long it is tried while Loki takes nothing at all."""

BOUNDED_TRIES = 3
"""How often a push is tried that may never be taken; with its halves down to one record still within the patience."""


def replay(
    settings: RunSettings,
    metric: str | None,
    *,
    reason: str | None,
    restamp: bool,
    console: Console,
) -> None:
    """Send the dead letters of one metric, or of all, to the sinks that refused them; those of sources stay.

    Args:
        settings: What the command line says.
        metric: The metric; `None` for all.
        reason: Only those that were refused for this reason; `None` for all.
        restamp: Give them the present time, and keep their own as structured metadata `original_time`.
        console: Where the outcome is told.

    Raises:
        ConfigError: The configuration cannot be used.
        StartupError: Another replay runs, a sink took nothing, or the disk cannot be written; nothing is lost.
    """
    configuration = settings.load()
    metrics = [each for each in metrics_in(settings.state_dir) if metric in (None, each)]
    if not metrics:
        console.print(f"No dead letters of {metric}." if metric else "No dead letters.")
        return
    folder = settings.state_dir / FOLDER
    tasks = _tasks(settings, configuration, metrics)
    try:
        with _alone(folder):
            for sink, paths in tasks:
                say = partial(_say, console, f"{sink.name}: " if len(tasks) > 1 else "")
                again = Replay(sink, SystemClock(), say, reason=reason, restamp=restamp)
                _replay(again, paths)
    except OSError as error:
        text = f"{folder} cannot be written: {error.strerror}. Nothing is lost; what was sent may be sent again"
        raise StartupError(text) from None


def _tasks(
    settings: RunSettings, configuration: Configuration, metrics: Sequence[str]
) -> list[tuple[Sink, Sequence[Path]]]:
    """Return every sink that dead letters can go to, with the files that may hold letters for it."""
    log = logging.getLogger("shipper.replay")
    paths = {metric: path_of(settings.state_dir, metric) for metric in metrics}
    store = configuration.section("store", StoreSettings)
    tasks: list[tuple[Sink, Sequence[Path]]] = [
        (loki.build(), list(paths.values())) for loki in lokis(configuration)
    ]
    for metric, path in paths.items():
        entry = configuration.metrics.get(metric)
        if entry is not None and entry.store is not None:
            tasks.append((build_store(store, settings.state_dir, entry.store, log), [path]))
    return tasks


def _replay(again: Replay, paths: Sequence[Path]) -> None:
    name = again.sink.name.capitalize()
    try:
        again.replay_files(paths)
    except SinkUnavailable as error:
        raise StartupError(f"{name} takes no lines: {error}. Nothing is lost.") from None
    finally:
        again.sink.close()


def _say(console: Console, prefix: str, text: str) -> None:
    console.print(f"{prefix}{text}", highlight=False)


@dataclass(slots=True)
class Replay:
    """One replay: what is chosen, how it is sent, and what came of it.

    Attributes:
        sink: Where the letters go.
        clock: Time.
        say: Told what became of them, at the end.
        reason: Only those that were refused for this reason; `None` for all.
        restamp: Whether they get the present time.
        patience_seconds: How long it is tried while the sink takes nothing at all.
        backoff: Waits between tries.
        random: Source of the jitter.
        sleep: Waits.
        sent: How many were taken.
        refused: How many were refused again.
        left: How many were chosen and could not be sent.
        stayed: How many were not chosen, or cannot be read.
    """

    sink: Sink
    clock: Clock
    say: Callable[[str], None]
    reason: str | None = None
    restamp: bool = False
    patience_seconds: float = PATIENCE_SECONDS
    backoff: Backoff = field(default_factory=lambda: Backoff(first_seconds=0.25, max_seconds=5.0))
    random: Random = field(default_factory=Random)
    sleep: Callable[[float], None] = time.sleep
    sent: int = 0
    refused: int = 0
    left: int = 0
    stayed: int = 0
    _last_answer_seconds: float = 0.0

    def replay_files(self, paths: Sequence[Path]) -> None:
        """Send what is chosen in some files, and say what became of it however it ends.

        Raises:
            SinkUnavailable: The sink took nothing for too long.
            OSError: The disk cannot be read or written.
        """
        try:
            for path in paths:
                self._replay_file(path)
        finally:
            why = ", which it did not refuse" if self.reason is None else ""
            others = f" {self.stayed} others stay{why}." if self.stayed else ""
            kept = f"{self.refused} refused again and kept"
            self.say(f"{self.sent} sent, {kept}, {self.left} not tried.{others}")

    def _replay_file(self, path: Path) -> None:
        """Send what is chosen in one file; put back what is not, and what is not taken."""
        taken_over = take_over(path)
        if taken_over is None:
            return
        lines: list[bytes | None] = [line for line, _ in read_letters(taken_over)]
        chosen = self._chosen(lines)
        unsettled = sum(map(len, chosen))
        self.stayed += len(lines) - unsettled
        self._last_answer_seconds = self.clock.monotonic_seconds()
        try:
            for places in chosen:
                for start in range(0, len(places), BATCH_RECORDS):
                    batch = places[start : start + BATCH_RECORDS]
                    for place, line in self._settled(lines, batch):
                        lines[place] = line
                        unsettled -= 1
        finally:
            self.left += unsettled
            append(path, [line.rstrip(b"\n") + b"\n" for line in lines if line is not None])
            taken_over.unlink()
            sync_folder(path.parent)

    def _chosen(self, lines: Sequence[bytes | None]) -> Sequence[Sequence[int]]:
        """Return the places of the chosen records, stream by stream, oldest first."""
        streams: dict[frozenset[tuple[str, str]], list[tuple[int, int]]] = {}
        for place, line in enumerate(lines):
            letter = parse_letter(line or b"")
            if letter is not None and self._wants(letter):
                stream = streams.setdefault(frozenset(letter.labels.items()), [])
                stream.append((letter.time_ns, place))
        return [[place for _, place in sorted(stream)] for stream in streams.values()]

    def _wants(self, letter: DeadLetter) -> bool:
        return letter.sink == self.sink.name and self.reason in (None, letter.reason)

    def _settled(
        self, lines: Sequence[bytes | None], places: Sequence[int]
    ) -> Iterator[tuple[int, bytes | None]]:
        """Send records of one stream; yield the place of each, with the line that stays when it was refused."""
        letters = [letter for place in places if (letter := parse_letter(lines[place] or b""))]
        for index, rejection in self._sent(self._stream(letters)):
            if rejection is None:
                self.sent += 1
                yield places[index], None
                continue
            self.refused += 1
            refused = replace(
                letters[index],
                reason=rejection.reason,
                answer=rejection.answer,
                refused_at=rfc3339(self.clock.now_ns()),
            )
            yield places[index], write_letter(refused)

    def _stream(self, letters: Sequence[DeadLetter]) -> Stream:
        metadata = [letter.metadata for letter in letters]
        stream = Stream(
            letters[0].labels,
            [letter.time_ns for letter in letters],
            [letter.line for letter in letters],
            metadata if any(metadata) else None,
        )
        if not self.restamp:
            return stream
        return restamped(stream, range(len(stream)), self.clock.now_ns())

    def _sent(self, stream: Stream) -> Iterator[tuple[int, Rejection | None]]:
        """Write a stream, in parts where it has to be, and yield what came of every record."""
        waiting = [(0, len(stream))]
        while waiting:
            start, stop = waiting.pop()
            try:
                rejections = self._write(stream.part(start, stop))
            except (BatchToSplit, BatchRefused) as error:
                if isinstance(error, BatchToSplit) and stop - start > 1:
                    middle = (start + stop) // 2
                    waiting += [(middle, stop), (start, middle)]
                    continue
                rejections = [
                    Rejection(index, error.reason, str(error)) for index in range(stop - start)
                ]
            refused = {rejection.index: rejection for rejection in rejections}
            for index in range(stop - start):
                yield start + index, refused.get(index)

    def _write(self, stream: Stream) -> Sequence[Rejection]:
        """Write a stream as it is, with patience."""
        tries = 0
        while True:
            tries += 1
            try:
                rejections = self.sink.write(stream)
            except SinkUnavailable as error:
                if tries >= BOUNDED_TRIES:
                    _raise_if_final(error)
                self._wait(tries, error)
            except (BatchToSplit, BatchRefused):
                self._last_answer_seconds = self.clock.monotonic_seconds()
                raise
            else:
                self._last_answer_seconds = self.clock.monotonic_seconds()
                return rejections

    def _wait(self, tries: int, error: SinkUnavailable) -> None:
        """Wait before the next try, unless the patience would end before."""
        wait_seconds = self.backoff.wait_seconds(tries, self.random)
        wait_seconds += error.retry_after_seconds or 0.0
        silent_seconds = self.clock.monotonic_seconds() - self._last_answer_seconds
        if silent_seconds + wait_seconds > self.patience_seconds:
            raise error
        self.sleep(wait_seconds)


def _raise_if_final(error: SinkUnavailable) -> None:
    """Raise what a push comes to that waiting does not help."""
    match error.blame:
        case Blame.UNKNOWN:
            raise BatchToSplit(str(error), reason=error.reason)
        case Blame.LIMIT:
            raise BatchRefused(str(error), reason=error.reason)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartupError(f"another replay runs on {folder}") from None
        yield
    finally:
        os.close(lock)
