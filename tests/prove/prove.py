"""One proof from start to end: far ends, program, chaos, peace, comparison."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import SqreamEmulator
from tests.prove.arrivals import RUN_LABEL, stored_in_file, stored_in_loki
from tests.prove.comparison import Arrival, compare
from tests.prove.events import COLUMNS, TIME_FIELD, Book, Happenings
from tests.prove.performer import Performer
from tests.prove.program import Program
from tests.prove.report import Proof
from tests.prove.scenes import Scene
from tests.prove.small_disk import SmallDisk
from tests.support.chaos_proxy import ChaosProxy

EVENT_PERIOD_NS = 125_000_000
CALM_SECONDS = 2.0

METRICS: Mapping[str, Mapping[str, Any]] = {
    "plain_often": {"every_seconds": 0.2},
    "plain": {"every_seconds": 0.3},
    "plain_seldom": {"every_seconds": 0.5},
    "labelled": {"every_seconds": 0.25, "label_fields": ["area"]},
    "with_metadata": {"every_seconds": 0.3, "metadata_fields": ["trace"]},
    "with_both": {"every_seconds": 0.4, "label_fields": ["area"], "metadata_fields": ["trace"]},
}
"""What every metric of the program does; together about 50 lines and 20 polls a second."""

# A push that hangs may not hang for longer than a short outage lasts.
READ_TIMEOUT_SECONDS = 3
# Some dozen lines, so that what waited through an outage takes many pushes and a kill falls between two of them.
MAX_BATCH_BYTES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """With what it is proved.

    Attributes:
        seed: Decides about the events, and names the proof.
        folder: Where everything is written; it must not exist.
        loki_url: A real Loki; `None` for our own log store.
    """

    seed: int
    folder: Path
    loki_url: str | None = None

    @property
    def run(self) -> str:
        """The value of the label by which the lines are found again."""
        return f"{self.seed}-{self.folder.name}"


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that takes part."""

    plan: Plan
    begin_ns: int
    books: Sequence[Book]
    performer: Performer
    store_path: Path

    @property
    def program(self) -> Program:
        """The program that is proved."""
        return self.performer.program

    def arrivals(self) -> list[Arrival]:
        """Return what is stored."""
        if self.plan.loki_url is None:
            return stored_in_file(self.store_path)
        end_ns = time.time_ns()
        return stored_in_loki(
            self.plan.loki_url, self.plan.run, begin_ns=self.begin_ns, end_ns=end_ns
        )


def prove(plan: Plan, scenes: Iterable[Scene], tell: Callable[[str], None]) -> Proof:
    """Run the program through the scenes and return what became of its lines.

    Args:
        plan: With what.
        scenes: What happens.
        tell: Told every step in a line.

    Raises:
        Hopeless: The program does not run.
    """
    with _stage(plan, tell) as stage:
        performer = stage.performer
        performer.program.start()
        performer.until_up()
        time.sleep(CALM_SECONDS)
        began = time.monotonic()
        for scene in scenes:
            for act in scene:
                performer.perform(act)
        seconds = time.monotonic() - began
        performer.tell("peace")
        performer.until_up()
        drained = _drain(stage)
        performer.terminate()
        _keep_state(performer.disk.folder, plan.folder / "state_at_end")
        return _proof(stage, seconds, drained=drained)


@contextmanager
def _stage(plan: Plan, tell: Callable[[str], None]) -> Iterator[Stage]:
    plan.folder.mkdir(parents=True)
    begin_ns = time.time_ns()
    began = time.monotonic()
    store_path = plan.folder / "logs.db"
    with ExitStack() as open_things:
        enter = open_things.enter_context
        disk = enter(SmallDisk(plan.folder / "state"))
        store = enter(LogStore(path=store_path)) if plan.loki_url is None else None
        proxy = enter(ChaosProxy(*_address(store.url if store else str(plan.loki_url))))
        emulator = enter(SqreamEmulator())
        books = [_book(emulator, metric, plan.seed, begin_ns) for metric in METRICS]
        document = _document(plan, emulator, proxy)
        program = enter(Program(plan.folder, disk.folder, document))
        performer = Performer(
            program=program,
            proxy=proxy,
            store=store,
            emulator=emulator,
            disk=disk,
            tell=lambda text: tell(f"{time.monotonic() - began:7.1f} s  {text}"),
        )
        yield Stage(plan, begin_ns, books, performer, store_path)


def _drain(stage: Stage) -> bool:
    """Let nothing happen any more and wait until everything that happened is delivered."""
    for book in stage.books:
        book.close()
    return stage.performer.until_drained(lambda: not any(book.left() for book in stage.books))


def _proof(stage: Stage, seconds: float, *, drained: bool) -> Proof:
    performer, plan = stage.performer, stage.plan
    confirmed = [event for book in stage.books for event in book.confirmed()]
    left = [event for book in stage.books for event in book.left()]
    arrivals = stage.arrivals()
    received = performer.store.counters.lines_received.total() if performer.store else len(arrivals)
    return Proof(
        seed=plan.seed,
        seconds=seconds,
        confirmed=len(confirmed),
        left=len(left),
        comparison=compare(confirmed, left, arrivals),
        order_is_known=plan.loki_url is None,
        rejected=_counted(stage.program, "shipper_lines_rejected_total"),
        dropped=_counted(stage.program, "shipper_lines_dropped_total"),
        dead_letters=_lines_in(performer.disk.folder / "dead_letter"),
        kills=performer.kills,
        processes_killed=performer.processes_killed,
        outages=performer.outages,
        requests=performer.proxy.struck,
        starts=stage.program.starts,
        sent_again=received - len(arrivals),
        drained=drained,
        disk_was_small=performer.disk.is_small,
        findings=performer.findings,
    )


def _keep_state(state: Path, kept: Path) -> None:
    """Copy the files of the state, which is gone with the small disk."""
    for path in state.rglob("*"):
        if path.is_file():
            copy = kept / path.relative_to(state)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _book(emulator: SqreamEmulator, metric: str, seed: int, begin_ns: int) -> Book:
    entry = METRICS[metric]
    happenings = Happenings(
        metric=metric,
        seed=seed,
        begin_ns=begin_ns,
        period_ns=EVENT_PERIOD_NS,
        label_fields=entry.get("label_fields", ()),
        metadata_fields=entry.get("metadata_fields", ()),
    )
    book = Book(happenings, time.time_ns)
    emulator.serve_to_caller(metric, COLUMNS, book.rows)
    return book


def _document(plan: Plan, emulator: SqreamEmulator, proxy: ChaosProxy) -> dict[str, Any]:
    """Return the program's configuration."""
    more = {"time_field": TIME_FIELD, "timeout_seconds": 10, "labels": {RUN_LABEL: plan.run}}
    return {
        "sqream": {
            "host": emulator.host,
            "port": emulator.port,
            "allow_functions": list(METRICS),
        },
        "loki": {
            "url": proxy.url,
            "read_timeout_seconds": READ_TIMEOUT_SECONDS,
            "max_batch_bytes": MAX_BATCH_BYTES,
        },
        "metrics": {metric: {**entry, **more} for metric, entry in METRICS.items()},
    }


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"the proxy needs an address like http://HOST:PORT, not {url}")
    return parts.hostname, parts.port or 80


def _counted(program: Program, family: str) -> Mapping[str, int]:
    """Return what a counter added up to, by reason."""
    by_reason: Counter[str] = Counter()
    for (name, labels), count in program.counted.items():
        if name == family and count:
            by_reason[dict(labels)["reason"]] += count
    return by_reason


def _lines_in(folder: Path) -> int:
    return sum(len(path.read_bytes().splitlines()) for path in folder.glob("*.jsonl"))
