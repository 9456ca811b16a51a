"""Whatever is done to the files of a pipeline between two runs: it goes on, and what is lost is told.

What can be promised: only what was put arrives; lines that were on disk may be lost, but never without a word; what
the source gave that was not on disk, and everything that comes later, arrives.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from shipper.core.errors import SinkUnavailable
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.pipeline.spool import Spool
from shipper.telemetry import families
from shipper.telemetry.tally import Tally
from tests.fuzz.examples import fuzzed
from tests.support.sink import FakeSink
from tests.unit.pipeline.spool.parcels import Told
from tests.unit.pipeline.test_books import House, NumberedSource

TAKEN_WRITES = 2
PATIENCE_SECONDS = 10.0
DOWN = SinkUnavailable("refused", reason="connection_refused")
OTHERS = [b"9" * 400, b"", b"this is no database" * 100, bytes(8192), b"SQLite format 3\x00"]
FILES = ("m.db", "m.db", "m.db", "m.db-wal", "m.db-wal", "m.db-shm", "m.jsonl", "m.waiting")
EXTRA_FILES = ("m.db-journal", "m.mended", "m.mended-wal", "damaged", "m.lock", "other.db")

Damage = tuple[str, Callable[[Path], None]]
"""What is done, in a word, and how."""


def foreign_database(version: int) -> bytes:
    """Return a database that somebody else made."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE parcels (number TEXT, sink BLOB)")
        connection.execute("INSERT INTO parcels VALUES ('x', 5)")
        connection.execute("CREATE TABLE totals (sink, lines, bytes)")
        connection.execute("INSERT INTO totals VALUES ('fake', 'many', NULL)")
        connection.execute(f"PRAGMA user_version={version}")
        connection.commit()
        return connection.serialize()


def any_sql(path: Path, statement: str) -> None:
    """Change a database as somebody with a SQL shell does."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


STATEMENTS = (
    "DELETE FROM parcels WHERE number = (SELECT MIN(number) FROM parcels)",
    "UPDATE parcels SET body = x'00'",
    "UPDATE parcels SET lines = 'x'",
    "UPDATE parcels SET labels = '[]'",
    "UPDATE parcels SET sink = 'other'",
    "UPDATE parcels SET number = -number",
    "UPDATE parcels SET number = number + 4611686018427387904",
    "DELETE FROM totals",
    "UPDATE totals SET lines = -5",
    'UPDATE checkpoint SET cursor = \'[["int","3"]]\'',
    "UPDATE checkpoint SET kind = x'ff'",
    "DROP TABLE parcels",
    "DROP TABLE checkpoint",
    "DROP INDEX parcels_of_a_sink",
    "PRAGMA user_version=0",
    "PRAGMA user_version=9",
    "PRAGMA user_version=-1",
    "PRAGMA journal_mode=DELETE",
)


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    name, place = draw(st.sampled_from(FILES)), draw(st.integers(0, 2**24))
    noise = draw(st.binary(min_size=1, max_size=40)) * draw(st.sampled_from([1, 1, 100]))
    another, extra = draw(st.sampled_from(FILES)), draw(st.sampled_from(EXTRA_FILES))
    statement = draw(st.sampled_from(STATEMENTS))
    other = draw(st.sampled_from([*OTHERS, *map(foreign_database, (0, 1, 9))]))
    ways: dict[str, Callable[[Path], None]] = {
        "flip": lambda folder: _changed(folder / name, lambda old: _flipped(old, place)),
        "write": lambda folder: _changed(
            folder / name, lambda old: _overwritten(old, place, noise)
        ),
        "cut": lambda folder: _changed(folder / name, lambda old: old[: place % (len(old) + 1)]),
        "remove": lambda folder: _removed(folder / name),
        "swap": lambda folder: _swapped(folder / name, folder / another),
        "exchange": lambda folder: _changed(folder / name, lambda _: other),
        "extra": lambda folder: _written(folder / extra, noise),
        "folder": lambda folder: _made_a_folder(folder / blocked),
        "sql": lambda folder: any_sql(folder / "m.db", statement),
    }
    blocked = draw(st.sampled_from([name, extra]))
    way = draw(st.sampled_from(sorted(ways)))
    return way, ways[way]


def _changed(path: Path, change: Callable[[bytes], bytes]) -> None:
    if path.is_file():
        path.write_bytes(change(path.read_bytes()))


def _flipped(old: bytes, place: int) -> bytes:
    at = place % len(old) if old else 0
    return old[:at] + bytes(byte ^ 1 << place % 8 for byte in old[at : at + 1]) + old[at + 1 :]


def _overwritten(old: bytes, place: int, noise: bytes) -> bytes:
    at = place % len(old) if old else 0
    return (old[:at] + noise + old[at + len(noise) :])[: len(old)]


def _removed(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)


def _swapped(one: Path, other: Path) -> None:
    if one.is_file() and other.is_file():
        contents = one.read_bytes(), other.read_bytes()
        other.write_bytes(contents[0])
        one.write_bytes(contents[1])


def _written(path: Path, content: bytes) -> None:
    if not path.is_dir():
        path.write_bytes(content)


def _made_a_folder(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        path.mkdir()


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    """Let the House tell what is damaged to somebody who remembers it, and count it as a worker does."""
    told, tally = Told(), Tally()

    def spool(path: Path, **more: Any) -> Spool:
        count = partial(tally.count, families.LINES_DROPPED, "m", "spool_damaged")
        return Spool(path, **more | {"damaged": lambda lines: count(by=lines)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.unit.pipeline.test_books.LOG", told)
        patch.setattr("tests.unit.pipeline.test_books.Spool", spool)
        yield told


class PatientSink(FakeSink):
    """Lets who tries in vain wait a little."""

    def write(self, stream: Stream) -> Sequence[Rejection]:
        try:
            return super().write(stream)
        except SinkUnavailable:
            time.sleep(0.002)
            raise


def first_run(folder: Path, polls: list[int], *, ends: str) -> House:
    """Read while the sink takes only a little, and end in some way."""
    rejected = [None, [Rejection(0, "line_too_long")], DOWN]
    house = House(
        folder / "first", PatientSink(rejected, always=DOWN), NumberedSource(), "dead_letter"
    )
    house.folder.mkdir()
    house.start()
    for rows in polls:
        house.poll(rows)
    until_nothing_moves(house)
    if ends == "power failure":
        shutil.copytree(house.folder, folder / "second")
    house.kill() if ends == "kill" else end(house, drain_seconds=0)
    if ends != "power failure":
        house.folder.rename(folder / "second")
    house.folder = folder / "second"
    return house


def until_nothing_moves(house: House) -> None:
    """Wait until the sink takes nothing any more, or has everything: a copy of files that change is no snapshot."""
    until_seconds = time.monotonic() + PATIENCE_SECONDS
    while house.delivery.queue.depth().lines and len(house.sink.written) <= TAKEN_WRITES:
        assert time.monotonic() < until_seconds
        time.sleep(0.001)


def run(house: House, *, polls: list[int], up: bool) -> None:
    house.sink.always = None if up else DOWN
    house.start()
    for rows in polls:
        house.poll(rows)
    end(house, drain_seconds=PATIENCE_SECONDS if up else 0)


def end(house: House, *, drain_seconds: float) -> None:
    house.delivery.finish(drain_seconds)
    house.pump.close()
    house.spool.close()


@fuzzed(0.8)
@given(
    polls=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    ends=st.sampled_from(["stop", "kill", "power failure", "power failure"]),
    some=st.lists(damages(), min_size=1, max_size=3),
)
@example([5, 5], "stop", [("write", lambda folder: _written(folder / "m.waiting", b"9" * 400))])
def test_no_damage_between_two_runs_stops_the_third(
    told: Told, polls: list[int], ends: str, some: list[Damage]
) -> None:
    told.errors.clear()
    with TemporaryDirectory() as name:
        house = first_run(Path(name), polls, ends=ends)
        before = set(range(1, house.source.last + 1))
        settled = set(house.arrived()) | set(_dead(house))
        for _, damage in some:
            damage(house.folder)
        run(house, polls=[3, 0], up=False)
        run(house, polls=[2], up=True)
        run(house, polls=[0, 1], up=True)

        everything = set(range(1, house.source.last + 1))
        arrived = settled | set(house.arrived()) | set(_dead(house))
        assert set(house.arrived()) <= everything
        # A line that was refused has no place to go where the dead letters' place is damaged; it is counted.
        unkept = house.count(families.DEAD_LETTERS_LOST)
        assert len(everything - before - arrived) <= unkept
        lost = before - arrived
        event("nothing lost" if not lost else "some lost")
        # Who changes a table with care leaves no trace.
        assert not lost or told.errors or "sql" in dict(some)


def _dead(house: House) -> Iterator[int]:
    """Return the numbers of the dead letters, where they can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        yield from house.dead()


@fuzzed(0.2)
@given(polls=st.lists(st.integers(0, 40), min_size=1, max_size=6))
@pytest.mark.parametrize("ends", ["stop", "kill", "power failure"])
def test_without_damage_nothing_is_lost_and_nothing_told(
    told: Told, ends: str, polls: list[int]
) -> None:
    told.errors.clear()
    with TemporaryDirectory() as name:
        house = first_run(Path(name), polls, ends=ends)
        run(house, polls=[1], up=True)

        assert set(house.arrived()) | set(house.dead()) == set(range(1, house.source.last + 1))
        assert told.errors == []
