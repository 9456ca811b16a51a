"""The books of a pipeline balance whatever happens: received = delivered + rejected + dropped + waiting."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.core.errors import BatchRefused, BatchToSplit, Blame, SinkUnavailable
from shipper.core.ports import Rejection
from shipper.core.record import Batch, Cursor, Row
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.custody import Custody
from shipper.pipeline.dead_letter import DeadLetters
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing, FilingRules
from shipper.pipeline.inputs import Inputs
from shipper.pipeline.outlet import Outlet
from shipper.pipeline.pump import Pump
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.reader import Reader
from shipper.pipeline.refusals import Refusals, TooOld
from shipper.pipeline.schedule import Schedule, Tick
from shipper.pipeline.spool import Parcel, Shelf, Spool
from shipper.telemetry import families
from shipper.telemetry.tally import Tally
from tests.support.clock import StopAt, TickingClock
from tests.support.sink import FakeSink, Outcome
from tests.support.source import FakePulse
from tests.support.tally import counted

LOG = logging.getLogger("test.books")
PATIENCE_SECONDS = 10.0

FAULTS: dict[str, Callable[[], Outcome]] = {
    "taken": lambda: None,
    "down": lambda: SinkUnavailable("refused", reason="connection_refused"),
    "too fast": lambda: SinkUnavailable("fast", reason="rate", blame=Blame.STREAM),
    "limited": lambda: SinkUnavailable("streams", reason="stream_limited", blame=Blame.LIMIT),
    "odd": lambda: SinkUnavailable("oops", reason="server_error", blame=Blame.UNKNOWN),
    "unclear": lambda: BatchToSplit("one of these", reason="bad_request"),
    "refused": lambda: BatchRefused("no such tenant", reason="no_tenant"),
    "first too old": lambda: [Rejection(0, "too_old", "entry too old")],
    "third refused": lambda: [Rejection(2, "line_too_long")],
}


@dataclass
class NumberedSource:
    """Can send again: rows are numbered, and read from the cursor on."""

    last: int = 0
    acknowledged: int = 0
    position: int = 0

    def open(self, cursor: Cursor | None = None) -> None:
        self.position = 0 if cursor is None else int(str(cursor[0]))

    def read(self, timeout_seconds: float) -> Batch:
        rows: list[Row] = [
            {"n": number, "word": "ab"[number % 2]}
            for number in range(self.position + 1, self.last + 1)
        ]
        self.position = self.last
        return Batch(rows, 1_700_000_000_000_000_000 + self.last, (self.position,))

    def acknowledge(self, cursor: Cursor) -> None:
        self.acknowledged = int(str(cursor[0]))

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class FlakyDisk:
    """Whether the disk takes anything, for every shelf that asks."""

    usable: bool = True


class FlakyShelf(Shelf):
    """A shelf on a disk that is full at times."""

    disk: FlakyDisk

    def keep(self, parcels: Sequence[Parcel]) -> Sequence[Parcel] | None:
        return super().keep(parcels) if self.disk.usable else None


@dataclass
class House:
    """One metric's pipeline in a folder, which can be stopped, killed and started again."""

    folder: Path
    sink: FakeSink
    source: NumberedSource
    too_old: TooOld
    tally: Tally = field(default_factory=Tally)
    disk: FlakyDisk = field(default_factory=FlakyDisk)
    clock: TickingClock = field(default_factory=TickingClock)

    def start(self) -> None:
        spool = Spool(self.folder / "m.db", clock=self.clock, log=LOG, damaged=lambda _lines: None)
        self.spool = spool
        shelf = FlakyShelf(spool, "fake", 10**6)
        object.__setattr__(shelf, "disk", self.disk)
        self.delivery = Delivery(
            metric="m",
            sink=self.sink,
            queue=DeliveryQueue(max_bytes=10**6, batch_bytes=600, clock=self.clock, shelf=shelf),
            pace=OwnPace(backoff=Backoff(0, 0), clock=self.clock, random=Random(1)),
            refusals=Refusals(
                metric="m",
                sink="fake",
                tally=self.tally,
                log=LOG,
                clock=self.clock,
                too_old=self.too_old,
                letterbox=DeadLetters(self.folder / "m.jsonl", max_bytes=10**6, clock=self.clock),
            ),
            tally=self.tally,
            log=LOG,
            clock=self.clock,
            settled=lambda: None,
            random=Random(1),
            backoff=Backoff(0, 0),
        )
        checkpoint = spool.checkpoint()
        filing = Filing(FilingRules({"job": "m"}, label_fields=["word"]), lambda _name: None)
        inputs = Refusals(metric="m", sink="source", tally=self.tally, log=LOG, clock=self.clock)
        self.pump = Pump(
            metric="m",
            reader=Reader(
                metric="m",
                source=self.source,
                tally=self.tally,
                pulse=FakePulse(),
                log=LOG,
                clock=self.clock,
                random=Random(1),
            ),
            schedule=Schedule(self.clock.seconds, 10),
            timeout_seconds=30,
            custody=Custody(
                metric="m",
                outlets=[Outlet([self.delivery], filing)],
                inputs=Inputs(inputs, {"job": "m"}),
                tally=self.tally,
                clock=self.clock,
                cursor=None if checkpoint is None else checkpoint.cursor,
            ),
            observe=lambda _batch: None,
            tally=self.tally,
            report=lambda: None,
            log=LOG,
            clock=self.clock,
            stop=StopAt(self.clock, 0),
            checkpoint=lambda cursor: spool.set_checkpoint("numbered", cursor),
            keep_after_seconds=0,
        )
        self.delivery.start()

    def poll(self, rows: int) -> None:
        self.source.last += rows
        self.pump.turn(Tick(self.clock.seconds))

    def stop(self) -> int:
        """Drain, stop, and return how many lines are left on disk."""
        left = self.delivery.finish(PATIENCE_SECONDS)
        self.pump.close()
        self.spool.close()
        return left.lines - left.memory_lines

    def kill(self) -> None:
        """End without a word: what is in memory alone is gone."""
        self.delivery._stop.set()
        self.delivery.queue.give_up()
        self.delivery.queue.close()
        thread = self.delivery._thread
        assert thread is not None
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
        self.spool.close()

    def count(self, family: families.Family) -> float:
        return counted(self.tally, family, "m")

    def arrived(self) -> list[int]:
        """Return the numbers of all lines that the sink took, in the order it took them."""
        return [json.loads(line)["n"] for line in self.sink.taken]

    def dead(self) -> list[int]:
        letters = self.folder / "m.jsonl"
        if not letters.exists():
            return []
        return [json.loads(json.loads(line)["line"])["n"] for line in letters.open()]


STEPS = st.lists(
    st.one_of(st.integers(0, 8), st.sampled_from(["stop", "disk full", "disk free"])), max_size=12
)
FAULT_LISTS = st.lists(st.sampled_from(sorted(FAULTS)), max_size=25)


@settings(max_examples=80, deadline=None)
@given(steps=STEPS, faults=FAULT_LISTS, too_old=st.sampled_from(["dead_letter", "restamp", "drop"]))
def test_the_books_balance_whatever_the_sink_and_the_disk_do(
    steps: list[int | str], faults: list[str], too_old: TooOld
) -> None:
    with TemporaryDirectory() as folder:
        sink = FakeSink([FAULTS[fault]() for fault in faults])
        house = House(Path(folder), sink, NumberedSource(), too_old)
        house.start()
        for step in steps:
            match step:
                case "stop":
                    house.stop()
                    house.start()
                case "disk full" | "disk free":
                    house.disk.usable = step == "disk free"
                case int():
                    house.poll(step)
        house.disk.usable = True
        waiting = house.stop()

        received = house.count(families.ROWS)
        assert received == house.source.last
        assert received == (
            house.count(families.LINES_DELIVERED)
            + house.count(families.LINES_REJECTED)
            + house.count(families.LINES_DROPPED)
            + waiting
        )
        assert house.count(families.LINES_DELIVERED) == len(sink.taken)
        assert house.count(families.DEAD_LETTERS) == len(house.dead())


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(st.integers(0, 8), st.sampled_from(["kill", "stop", "disk full", "disk free"])),
        max_size=15,
    ),
    faults=st.lists(st.sampled_from(["taken", "down", "too fast", "unclear", "odd"]), max_size=25),
)
def test_what_the_source_can_send_again_is_never_lost(
    steps: list[int | str], faults: list[str]
) -> None:
    with TemporaryDirectory() as folder:
        sink = FakeSink([FAULTS[fault]() for fault in faults])
        house = House(Path(folder), sink, NumberedSource(), "dead_letter")
        house.start()
        for step in steps:
            match step:
                case "kill" | "stop":
                    house.kill() if step == "kill" else house.stop()
                    house.start()
                case "disk full" | "disk free":
                    house.disk.usable = step == "disk free"
                case int():
                    house.poll(step)
        house.disk.usable = True
        house.poll(0)
        house.stop()

        everything = set(range(1, house.source.last + 1))
        assert set(house.arrived()) | set(house.dead()) == everything
        for parity in (0, 1):
            firsts = list(dict.fromkeys(n for n in house.arrived() if n % 2 == parity))
            assert firsts == sorted(firsts) or "odd" in faults
