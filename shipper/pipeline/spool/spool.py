"""Keeps on disk what sinks did not take yet, and how far a source was read; safe to use from several threads.

Nothing here raises because of the disk: a disk that is full or read-only is told once when it begins and once when it
ends, and the caller goes on in memory. A file that is damaged is set aside, what can be read of it is carried over, and
what cannot is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from logging import Logger
from pathlib import Path
from threading import RLock
from typing import TypeVar

from shipper.core.clock import Clock
from shipper.core.record import Cursor
from shipper.core.words import Count, counted
from shipper.pipeline.cursors import CursorUnreadable
from shipper.pipeline.spool import frame
from shipper.pipeline.spool.ahead import PARCELS_LOOKED_AT, Ahead
from shipper.pipeline.spool.database import SpoolDamaged, SpoolUnusable
from shipper.pipeline.spool.parcel import Parcel
from shipper.pipeline.spool.rows import Checkpoint, Rows
from shipper.pipeline.spool.salvage import name_aside, salvage, set_torn_log_aside
from shipper.pipeline.spool.waiting import WaitingNote

TRY_AGAIN_SECONDS = 1.0
"""How long a disk that could not be written is left alone."""

RESULT = TypeVar("RESULT")


def spool_path(state_dir: Path, metric: str) -> Path:
    """Return where the spool of a metric lies in the state directory."""
    return state_dir / "spool" / f"{metric}.db"


class Spool:
    """The file of one metric.

    Attributes:
        path: The file; it is made when something has to be kept for the first time.
        of_earlier_run: Whether what was found here at the beginning was left by another run.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        log: Logger,
        damaged: Callable[[int], None],
        run: str = "",
    ) -> None:
        """Remember where to keep things, and look at what is there; nothing is made.

        Args:
            path: The file.
            clock: Time.
            log: Where trouble is told.
            damaged: Told how many lines turned out to be unreadable; 0 when nobody can tell.
            run: Names this run.
        """
        self.path = path
        self.of_earlier_run = False
        self._clock = clock
        self._log = log
        self._damaged = damaged
        self._run = run
        self._lock = RLock()
        self._rows = Rows(path)
        self._note = WaitingNote(path.with_suffix(".waiting"))
        self._ahead: defaultdict[str, Ahead] = defaultdict(Ahead)
        self._settled: dict[int, tuple[str, int]] = {}
        self._passed_over: dict[str, str] = {}
        self._trouble = ""
        self._not_before_seconds = 0.0
        self._looked = False
        if self._rows.database.exists:
            self._begin()

    @property
    def trouble(self) -> str:
        """Why nothing can be kept right now; empty while it can."""
        return self._trouble

    def lines(self, sink: str) -> int:
        """Return how many lines wait for a sink, without those that are only waiting to be forgotten."""
        with self._lock:
            settled = sum(lines for owner, lines in self._settled.values() if owner == sink)
            return max(0, self._rows.totals_of(sink).lines - settled)

    def size_bytes(self, sink: str) -> int:
        """Return how many bytes lie here for a sink."""
        return self._rows.totals_of(sink).bytes

    def keep(self, sink: str, parcels: Sequence[Parcel]) -> Sequence[Parcel] | None:
        """Put parcels at the end and return them with their numbers, once the disk has them; `None` if it cannot."""
        if not parcels:
            return parcels
        if self._settled:
            self._written(self._forget_settled)
        kept = self._written(lambda: self._insert(sink, parcels))
        if kept is not None:
            self._write_note()
        # Taking away may work where putting does not, so only this shows that the disk is well.
        if kept is not None and self._trouble:
            self._log.info("Lines can be kept on disk again.", {"event": "disk_recovered"})
            self._trouble = ""
        return kept

    def oldest(self, sink: str, *, max_weight_bytes: int) -> Sequence[Parcel]:
        """Return the oldest parcel and others of its stream that fit into one push with it; none if unreadable."""
        while self.lines(sink) > 0:
            parcels = self._read(lambda: self._read_oldest(sink, max_weight_bytes))
            if parcels is None:
                break
            if parcels:
                return parcels
        return ()

    def oldest_put_ns(self, sink: str) -> int | None:
        """Return since when the oldest of a sink waits."""
        return self._read(lambda: self._rows.oldest_put_ns(sink)) if self.lines(sink) else None

    def forget(self, sink: str, parcels: Sequence[Parcel], *, left: Parcel | None = None) -> None:
        """Take parcels away; what is `left` of them stays in their place.

        What cannot be taken away now, because even that needs room on the disk, is taken away later, and not given
        out again meanwhile. Where `left` cannot be written, all of them stay: better twice than never.
        """
        if not parcels:
            return
        numbers = [parcel.number for parcel in parcels]
        if left is not None:
            self._written(lambda: self._replace(sink, numbers, left))
            return
        with self._lock:
            self._ahead[sink].drop(numbers)
            for parcel in parcels:
                self._settled[parcel.number] = (sink, len(parcel.stream))
        self._write_note()
        self._written(self._forget_settled)

    def pass_over(self, sink: str, labels: Mapping[str, str]) -> None:
        """Let another stream go first, once, the next time that the oldest are asked for."""
        with self._lock:
            self._passed_over[sink] = frame.labels_text(labels)

    def make_room(self, sink: str, max_bytes: int, *, spared: Sequence[Parcel]) -> int:
        """Drop the oldest of a sink, never the youngest, until it is within `max_bytes`; return how many lines."""
        if self.size_bytes(sink) <= max_bytes:
            return 0
        spared_numbers = {parcel.number for parcel in spared}
        drop = partial(self._drop_oldest, sink, max_bytes, spared_numbers)
        return self._written(drop) or 0

    def checkpoint(self) -> Checkpoint | None:
        """Return the cursor that was made durable last."""
        if not self._rows.database.exists:
            return None
        try:
            return self._read(self._rows.checkpoint)
        except CursorUnreadable as error:
            self._tell_lost_cursor(error)
            return None

    def set_checkpoint(self, kind: str, cursor: Cursor | None) -> bool:
        """Remember how far a source was read, or nothing; False when the disk does not take it."""
        if cursor is None and not self._rows.database.exists:
            return True
        checkpoint = None if cursor is None else Checkpoint(kind, cursor, self._clock.now_ns())

        def write() -> bool:
            self._rows.set_checkpoint(checkpoint)
            return True

        return self._written(write) or False

    def close(self) -> None:
        """Forget what is settled, and let go of the file. Never raises."""
        with self._lock:
            if self._settled:
                self._not_before_seconds = 0.0
                self._written(self._forget_settled)
            self._rows.database.close()
            self._note.close()

    def _tell_lost_cursor(self, error: CursorUnreadable) -> None:
        self._log.error(
            "The cursor in %(path)s is lost: %(error)s.",
            {"event": "cursor_lost", "path": self.path, "error": str(error)},
        )

    def _begin(self) -> None:
        """Look at what was left here."""
        with self._lock:
            aside = set_torn_log_aside(self.path, self._clock)
        whole = self._read(self._look) is not None
        if aside is not None and whole:
            self._log.info(
                "A write to %(path)s that was cut off was set aside as %(aside)s; nothing that was kept is missing.",
                {"event": "spool_torn", "path": self.path, "aside": aside},
            )
        self.of_earlier_run = self._written(lambda: self._rows.begin_run(self._run)) or False

    def _look(self) -> bool | None:
        """Find out how much lies here, as soon as the disk allows it; `None` when something is missing."""
        if self._looked:
            return True
        missing = self._rows.read_totals()
        missing = max(missing, (self._note.read() or 0) - self._rows.lines)
        self._looked = True
        self._write_note()
        if not missing:
            return True
        self._log.error(
            "Lost: %(lines)s that waited in %(path)s.",
            {"event": "lines_lost", "lines": Count(missing, "line"), "path": self.path},
        )
        self._damaged(missing)
        return None

    def _read_oldest(self, sink: str, max_weight_bytes: int) -> Sequence[Parcel]:
        ahead = self._ahead[sink]
        if ahead.runs_short:
            at_most = PARCELS_LOOKED_AT + len(self._settled)
            ahead.fill(self._rows.heads(sink, at_most=at_most), self._settled)
        numbers = ahead.next_numbers(max_weight_bytes, self._passed_over.pop(sink, None))
        if not numbers:
            raise SpoolDamaged(f"{counted(self.lines(sink), 'line')} cannot be found")
        parcels, damaged = self._rows.open_parcels(numbers)
        for number in damaged:
            self._set_aside(sink, number)
        return parcels

    def _set_aside(self, sink: str, number: int) -> None:
        lines, body = self._rows.body(number)
        aside = name_aside(self.path, self._clock, f"-{number}.parcel")
        try:
            aside.parent.mkdir(mode=0o700, exist_ok=True)
            aside.write_bytes(body)
        except OSError as failure:
            raise SpoolUnusable(f"{aside}: {failure.strerror}") from failure
        aside.chmod(0o600)
        lines = max(0, lines)
        self._rows.delete(sink, [number])
        self._write_note()
        self._ahead[sink].drop([number])
        self._log.error(
            "Damaged on disk: %(lines)s, kept in %(aside)s.",
            {"event": "parcel_damaged", "lines": Count(lines, "line"), "aside": aside},
        )
        self._damaged(lines)

    def _insert(self, sink: str, parcels: Sequence[Parcel]) -> Sequence[Parcel]:
        kept = self._rows.insert(sink, parcels, run=self._run)
        self._ahead[sink].grew()
        return kept

    def _replace(self, sink: str, numbers: Sequence[int], left: Parcel) -> None:
        self._rows.replace(sink, numbers, left)
        self._write_note()
        self._ahead.pop(sink, None)

    def _forget_settled(self) -> None:
        for sink in {sink for sink, _ in self._settled.values()}:
            numbers = [number for number, (owner, _) in self._settled.items() if owner == sink]
            self._rows.delete(sink, numbers)
            for number in numbers:
                del self._settled[number]
        # A file that stays large for now does no harm.
        with suppress(SpoolUnusable):
            self._rows.database.shrink()

    def _drop_oldest(self, sink: str, max_bytes: int, spared: set[int]) -> int:
        """Drop them a few at a time, so that a spool of any length can be gone through."""
        dropped_lines = 0
        at_most = PARCELS_LOOKED_AT + len(spared) + len(self._settled)
        while self.size_bytes(sink) > max_bytes:
            dropped: list[int] = []
            size_bytes = self.size_bytes(sink)
            for number, lines, parcel_bytes in self._rows.sizes(sink, at_most=at_most):
                if size_bytes <= max_bytes:
                    break
                if number not in spared and number not in self._settled:
                    dropped.append(number)
                    dropped_lines += lines
                    size_bytes -= parcel_bytes
            if not dropped:
                break
            self._rows.delete(sink, dropped)
            self._ahead[sink].drop(dropped)
        self._write_note()
        return dropped_lines

    def _read(self, action: Callable[[], RESULT]) -> RESULT | None:
        """Read from the file; `None` when the disk does not allow it now."""
        with self._lock:
            try:
                return self._mended(action)
            except (SpoolUnusable, SpoolDamaged) as error:
                self._failed(str(error))
                return None

    def _written(self, action: Callable[[], RESULT]) -> RESULT | None:
        """Write to the file; `None` when the disk does not allow it now, or did not a moment ago."""
        with self._lock:
            if self._clock.monotonic_seconds() < self._not_before_seconds:
                return None
            try:
                return self._mended(action)
            except (SpoolUnusable, SpoolDamaged) as error:
                self._not_before_seconds = self._clock.monotonic_seconds() + TRY_AGAIN_SECONDS
                self._failed(str(error))
                return None

    def _mended(self, action: Callable[[], RESULT]) -> RESULT:
        """Do something with the file, and once more after a damage was mended."""
        try:
            self._look()
            return action()
        except SpoolDamaged as error:
            self._mend(error)
            self._look()
            return action()

    def _mend(self, error: SpoolDamaged) -> None:
        self._rows.database.close()
        saved = salvage(self.path, self._clock, settled=self._settled, above=self._rows.highest)
        promised = self._waiting() if self._looked else self._note.read() or saved.promised
        lost = max(0, promised - saved.lines)
        self._settled.clear()
        self._ahead.clear()
        self._looked = False
        self._note.write(saved.lines)
        self._log.error(
            "%(path)s is damaged (%(error)s). Read from it and shipped: %(lines)s; lost: %(lost)d.%(where)s",
            {
                "event": "spool_damaged",
                "path": self.path,
                "error": str(error),
                "lines": Count(saved.lines, "line"),
                "lost": lost,
                "where": f" It was set aside as {saved.aside}." if saved.aside.exists() else "",
            },
        )
        self._damaged(lost)

    def _waiting(self) -> int:
        """Return how many lines wait for all sinks."""
        return self._rows.lines - sum(lines for _, lines in self._settled.values())

    def _write_note(self) -> None:
        with self._lock:
            self._note.write(max(0, self._waiting()))

    def _failed(self, text: str) -> None:
        if not self._trouble:
            self._log.error(
                "Nothing can be kept on disk: %(error)s. Lines that no sink takes wait in memory.",
                {"event": "disk_failed", "error": text},
            )
        self._trouble = text
