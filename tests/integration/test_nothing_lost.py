"""The whole program under kills, outages and bad disks: what was polled arrives, or is told and kept."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from shipper.demo.log_store import Answer, Limits, LogStore
from shipper.demo.sqream import Column, SqreamEmulator, WireType
from tests.support.shipper_process import ShipperProcess, far_ends, until, write_config

METRIC = "show_locks"
EVERY_SECONDS = 0.2
NUMBERED = [Column("n", WireType.BIGINT), Column("at", WireType.BIGINT)]


class Numbers:
    """A function of the emulator that numbers every row it ever served."""

    def __init__(self, emulator: SqreamEmulator) -> None:
        self._next = count(1)
        self.served: list[int] = []
        emulator.serve(METRIC, NUMBERED, self.rows)
        emulator.on_served = self._remember

    def rows(self) -> list[tuple[int, int]]:
        return [(next(self._next), time.time_ns() + place) for place in range(2)]

    def _remember(self, name: str, rows: list[Any]) -> None:
        if name == METRIC:
            self.served += [row[0] for row in rows]


@pytest.fixture
def emulator() -> Iterator[SqreamEmulator]:
    with SqreamEmulator() as running:
        yield running


@pytest.fixture
def numbers(emulator: SqreamEmulator) -> Numbers:
    return Numbers(emulator)


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


Start = Callable[..., ShipperProcess]


@pytest.fixture
def start(emulator: SqreamEmulator, store: LogStore, tmp_path: Path) -> Start:
    """Start the program on the same state directory as before."""

    def started(*flags: str, loki: dict[str, Any] | None = None, **entry: Any) -> ShipperProcess:
        keys = {"every_seconds": EVERY_SECONDS, "time_field": "at", **entry}
        config = write_config(tmp_path, {METRIC: keys}, loki=loki or {})
        arguments = ["run", *far_ends(emulator, store.url, config), *flags]
        return ShipperProcess(arguments, tmp_path)

    return started


def arrived(store: LogStore) -> list[int]:
    """Return the numbers of all stored lines by their time."""
    return [json.loads(stored.line)["n"] for stored in store.lines(f'{{job="{METRIC}"}}')]


def confirmed(numbers: Numbers) -> list[int]:
    """Return what a worker was served before its last poll: who polls again has brought it into safety.

    The first two rows went to the check at the gate.
    """
    return numbers.served[2:-2]


def letters(folder: Path) -> list[dict[str, Any]]:
    path = folder / "state" / "dead_letter" / f"{METRIC}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def without_loki(shipper: ShipperProcess, store: LogStore, *, polls: int = 5) -> None:
    """Let it run, take Loki away, and let it poll some more."""
    shipper.until_ready()
    until(lambda: arrived(store))
    store.stop()
    before = shipper.polls(METRIC)
    until(lambda: shipper.polls(METRIC) >= before + polls)


def spooled(shipper: ShipperProcess) -> float:
    return shipper.value("shipper_spool_lines", metric=METRIC, sink="loki")


def test_everything_killed_in_an_outage_arrives_after_the_next_start(
    start: Start, store: LogStore, numbers: Numbers
) -> None:
    with start() as shipper:
        without_loki(shipper, store)
        os.killpg(shipper.pid, signal.SIGKILL)
        shipper.wait()
        safe = confirmed(numbers)
    store.start()
    with start() as shipper:
        until(lambda: set(safe) <= set(arrived(store)))
        recovered = until(
            lambda: shipper.value("shipper_lines_recovered_total", metric=METRIC, sink="loki")
        )
        until(lambda: spooled(shipper) == 0)

    assert recovered > 5
    assert arrived(store) == sorted(set(arrived(store)))


def test_a_worker_killed_in_an_outage_loses_nothing_that_was_polled_before(
    start: Start, store: LogStore, numbers: Numbers
) -> None:
    with start() as shipper:
        without_loki(shipper, store)
        os.kill(shipper.worker_pids()[METRIC], signal.SIGKILL)
        safe = confirmed(numbers)
        before = shipper.polls(METRIC)
        until(lambda: shipper.polls(METRIC) > before + 2)
        store.start()
        until(lambda: set(safe) <= set(arrived(store)))

        assert shipper.value("shipper_lines_dropped_total", metric=METRIC) == 0


def test_a_stop_in_an_outage_leaves_the_rest_on_disk_and_says_so(
    start: Start, store: LogStore, numbers: Numbers
) -> None:
    with start("--drain_seconds", "0.5") as shipper:
        without_loki(shipper, store)
        began = time.monotonic()

        assert shipper.terminate() == 0
        assert time.monotonic() - began < 5
        assert "lines stay on disk until this metric runs again." in shipper.stderr
    safe = numbers.served[2:]
    store.start()
    with start():
        until(lambda: set(safe) <= set(arrived(store)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_is_sent_to_all_processes_drains_all_the_same(
    start: Start, store: LogStore, numbers: Numbers, number: signal.Signals
) -> None:
    with start("--drain_seconds", "15") as shipper:
        without_loki(shipper, store)
        os.killpg(shipper.pid, number)
        store.start()

        assert shipper.wait() == 0
    assert arrived(store) == numbers.served[2:]


def test_a_start_does_not_need_a_loki_that_is_not_required(
    start: Start, store: LogStore, numbers: Numbers
) -> None:
    store.stop()
    with start(loki={"required": False}) as shipper:
        shipper.until_ready()
        until(lambda: spooled(shipper) >= 6)
        store.start()
        until(lambda: spooled(shipper) == 0)
        assert shipper.terminate() == 0

    assert arrived(store) == numbers.served[2:]


def test_a_start_that_waits_says_what_for(start: Start, store: LogStore) -> None:
    store.stop()
    with start("--wait_seconds", "30") as shipper:
        until(lambda: "not yet check_loki_connection" in shipper.stdout)
        store.start()
        shipper.until_ready()

    assert "refuses connections" in shipper.stdout
    assert " s more." in shipper.stdout


def test_a_push_that_hangs_does_not_keep_lines_in_memory_alone(
    start: Start, store: LogStore, numbers: Numbers
) -> None:
    with start() as shipper:
        shipper.until_ready()
        store.answers.script([Answer(never=True, repeat=True)])
        until(lambda: spooled(shipper) >= 6)
        os.killpg(shipper.pid, signal.SIGKILL)
        shipper.wait()
        safe = confirmed(numbers)
    store.answers.clear()
    with start():
        until(lambda: set(safe) <= set(arrived(store)))


@pytest.mark.quiet
def test_while_loki_answers_no_disk_is_used(
    start: Start, store: LogStore, numbers: Numbers, tmp_path: Path
) -> None:
    with start() as shipper:
        shipper.until_ready()
        until(lambda: len(arrived(store)) > 10)

        assert shipper.terminate() == 0
    assert not list((tmp_path / "state" / "spool").glob("*.db"))


def test_lines_of_a_metric_that_is_gone_are_told_and_shipped_when_it_comes_back(
    start: Start, emulator: SqreamEmulator, store: LogStore, numbers: Numbers, tmp_path: Path
) -> None:
    with start("--drain_seconds", "0") as shipper:
        without_loki(shipper, store)
        shipper.terminate()
    safe = numbers.served[2:]
    store.start()
    config = write_config(tmp_path, {"show_server_status": 5})
    with ShipperProcess(["run", *far_ends(emulator, store.url, config)], tmp_path) as shipper:
        shipper.until_ready()
        shipper.terminate()
        told = shipper.stderr
    with start():
        until(lambda: set(safe) <= set(arrived(store)))

    assert f"lines of {METRIC} wait on disk, to be shipped when it is configured" in told


def test_a_damaged_page_costs_only_what_lay_on_it(
    start: Start, store: LogStore, numbers: Numbers, tmp_path: Path
) -> None:
    with start("--drain_seconds", "0") as shipper:
        without_loki(shipper, store, polls=40)
        assert shipper.terminate() == 0
    safe = numbers.served[2:]
    path = tmp_path / "state" / "spool" / f"{METRIC}.db"
    content = bytearray(path.read_bytes())
    damaged_page = _page_of_parcels(path)
    content[damaged_page : damaged_page + 4096] = os.urandom(4096)
    path.write_bytes(content)
    store.start()
    with start() as shipper:
        shipper.until_ready()
        until(lambda: spooled(shipper) == 0)
        until(lambda: shipper.value("shipper_spool_damaged_total", metric=METRIC) >= 1)
        shipper.terminate()

    lost = set(safe) - set(arrived(store))
    assert 0 < len(lost) < 60
    assert "is damaged" in shipper.stderr
    assert list((tmp_path / "state" / "spool" / "damaged").iterdir())


def test_a_disk_that_cannot_be_used_is_told_and_lines_wait_in_memory(
    start: Start, store: LogStore, numbers: Numbers, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "spool").write_text("a file where a folder should be")
    with start() as shipper:
        without_loki(shipper, store)
        in_memory = shipper.value("shipper_memory_lines", metric=METRIC, sink="loki")
        (tmp_path / "state" / "spool").unlink()
        until(lambda: shipper.value("shipper_memory_lines", metric=METRIC, sink="loki") == 0)
        store.start()
        until(lambda: spooled(shipper) == 0)
        shipper.terminate()

    assert in_memory >= 8
    assert shipper.stderr.count("Nothing can be kept on disk") == 1
    assert shipper.stderr.count("Lines can be kept on disk again.") == 1
    # The first two rows went to the check at the gate.
    assert arrived(store) == numbers.served[2:]


def test_a_source_that_is_told_to_wait_is_not_polled_while_the_spool_is_full(
    start: Start, store: LogStore, numbers: Numbers
) -> None:
    with start(spool_full="wait", spool_max_bytes=500) as shipper:
        shipper.until_ready()
        until(lambda: arrived(store))
        store.stop()
        until(lambda: shipper.state()[METRIC]["result"] == "waiting")
        polls = shipper.polls(METRIC)
        waiting = spooled(shipper)
        store.start()
        until(lambda: shipper.polls(METRIC) > polls + 2)

        assert waiting > 0
        assert shipper.value("shipper_lines_dropped_total", metric=METRIC) == 0


@pytest.mark.parametrize(
    ("policy", "stored", "kept"),
    [("dead_letter", 0, 2), ("restamp", 2, 0), ("drop", 0, 0)],
)
def test_lines_that_come_too_late_go_where_they_are_told_to(
    emulator: SqreamEmulator, tmp_path: Path, policy: str, stored: int, kept: int
) -> None:
    long_ago_ns = time.time_ns() - 7200 * 10**9
    emulator.serve(METRIC, NUMBERED, [(1, long_ago_ns), (2, long_ago_ns + 1)])
    entry = {"every_seconds": 3600, "time_field": "at", "too_old": policy}
    with LogStore(limits=Limits(old_seconds=3600)) as store:
        config = write_config(tmp_path, {METRIC: entry})
        with ShipperProcess(["run", *far_ends(emulator, store.url, config)], tmp_path) as shipper:
            until(lambda: _settled(shipper) == 2)
            rejected = shipper.value(
                "shipper_lines_rejected_total", metric=METRIC, sink="loki", reason="too_old"
            )
            shipper.terminate()

        assert (rejected, len(arrived(store))) == (2 - stored, stored)
    assert [letter["reason"] for letter in letters(tmp_path)] == ["too_old"] * kept


def test_only_the_guilty_lines_of_a_push_become_dead_letters(
    start: Start, store: LogStore, numbers: Numbers, tmp_path: Path
) -> None:
    with start() as shipper:
        shipper.until_ready()
        until(lambda: arrived(store))
        # The whole push, then its first half; the other half is taken.
        store.answers.script(
            [Answer(status=400, body=b"this is odd", headers={"Content-Type": "text/plain"})] * 2
        )
        until(lambda: letters(tmp_path))
        shipper.terminate()

    (letter,) = letters(tmp_path)
    number = json.loads(letter["line"])["n"]
    assert letter["reason"] == "bad_request"
    assert "this is odd" in letter["answer"]
    assert letter["labels"]["job"] == METRIC
    assert arrived(store) == [each for each in numbers.served[2:] if each != number]


def _settled(shipper: ShipperProcess) -> float:
    state = shipper.state()[METRIC]
    return float(state["lines_delivered"] + state["lines_rejected"])


def _page_of_parcels(path: Path) -> int:
    """Return where a page lies that holds parcels and nothing else."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (root,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'parcels'"
    ).fetchone()
    connection.close()
    content = path.read_bytes()
    page = content[(root - 1) * 4096 : root * 4096]
    assert page[0] == 5, "there are too few parcels for an inner page"
    # The first cell of an inner page of a table begins with the number of its left child (SQLite 3, section 1.6).
    cell = int.from_bytes(page[12:14], "big")
    return (int.from_bytes(page[cell : cell + 4], "big") - 1) * 4096
