"""A source with a cursor: kills, outages and restarts cost it no row, and none comes in another order."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipper.demo.log_store import LogStore
from tests.support.program_copy import copy_with_source
from tests.support.shipper_process import Ended, ShipperProcess, command, until, write_config

MODULE = '''"""Numbered rows: one a poll, and all that were asked for since the cursor."""

import time
from pathlib import Path
from typing import ClassVar, Literal

from shipper.config.models import SourceSettings
from shipper.core.errors import SourceRefused
from shipper.core.record import Batch


class LedgerSettings(SourceSettings):
    """Numbers up to the size of a file."""

    type: Literal["ledger"] = "ledger"
    """Numbers."""

    path: str
    """Its size is the highest number."""

    can_wait: ClassVar[bool] = True

    def build(self, metric, section, state_dir):
        return Ledger(Path(self.path))

    def instance(self, section):
        return "ledger:0"


class Ledger:
    def __init__(self, path):
        self.path = path
        self.position = 0

    def open(self, cursor=None):
        if cursor is not None and not isinstance(cursor[0], int):
            raise SourceRefused("the cursor is no number; reset it")
        self.position = 0 if cursor is None else cursor[0]

    def read(self, timeout_seconds):
        # More a poll than one, so that polls are told apart from rows.
        highest = min(self.path.stat().st_size, self.position + 7)
        rows = [{"n": n} for n in range(self.position + 1, highest + 1)]
        self.position = highest
        return Batch(rows, time.time_ns(), (highest,))

    def acknowledge(self, cursor):
        (self.path.parent / "acknowledged").write_text(str(cursor[0]))

    def close(self):
        pass
'''

METRIC = "book"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return `main.py` of a copy with one module more."""
    return copy_with_source(tmp_path_factory.mktemp("copy"), "ledger", MODULE)


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


Start = Callable[[], ShipperProcess]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger"
    path.touch()
    return path


@pytest.fixture
def config(tmp_path: Path, ledger: Path) -> Path:
    return write_config(
        tmp_path, {METRIC: {"type": "ledger", "path": str(ledger), "every_seconds": 0.05}}
    )


@pytest.fixture
def start(program: Path, store: LogStore, config: Path, tmp_path: Path) -> Start:
    flags = ["--config", str(config), "--loki_url", store.url]
    return lambda: ShipperProcess(["run", *flags], tmp_path, program=program)


def grow(ledger: Path, rows: int) -> int:
    """Let there be more rows and return how many there are."""
    with ledger.open("ab") as file:
        file.write(b"." * rows)
    return ledger.stat().st_size


def acknowledged(ledger: Path) -> int:
    path = ledger.parent / "acknowledged"
    text = path.read_text() if path.exists() else ""
    return int(text or 0)


def arrived(store: LogStore) -> list[int]:
    return [json.loads(line.line)["n"] for line in store.lines(f'{{job="{METRIC}"}}')]


def in_order_of_arrival(store: LogStore) -> list[int]:
    """Return every number once, where it came first."""
    return list(dict.fromkeys(arrived(store)))


def cursor_command(program: Path, tmp_path: Path, *words: str) -> Ended:
    state_dir = str(tmp_path / "state")
    return command(
        ["cursor", *words, "--state_dir", state_dir], tmp_path / "cursor", program=program
    )


def test_a_run_goes_on_where_the_last_one_ended(
    start: Start, store: LogStore, ledger: Path
) -> None:
    for _ in range(2):
        total = grow(ledger, 20)
        with start() as shipper:
            until(lambda: len(arrived(store)) >= total)  # noqa: B023 - used within the round
            assert shipper.terminate() == 0

    assert arrived(store) == list(range(1, 41))
    assert acknowledged(ledger) == 40


def test_kills_cost_no_row(start: Start, store: LogStore, ledger: Path) -> None:
    for _ in range(3):
        total = grow(ledger, 60)
        with start() as shipper:
            until(lambda: len(arrived(store)) > total - 50)  # noqa: B023 - used within the round
            os.kill(shipper.worker_pids()[METRIC], signal.SIGKILL)
            until(lambda: total in arrived(store))  # noqa: B023 - used within the round
            os.killpg(shipper.pid, signal.SIGKILL)
            shipper.wait()

    assert in_order_of_arrival(store) == list(range(1, 181))


def test_a_source_is_told_what_is_on_disk_but_not_yet_in_loki(
    start: Start, store: LogStore, ledger: Path
) -> None:
    grow(ledger, 10)
    with start() as shipper:
        until(lambda: len(arrived(store)) == 10)
        store.stop()
        grow(ledger, 30)
        until(lambda: acknowledged(ledger) == 40)
        os.killpg(shipper.pid, signal.SIGKILL)
        shipper.wait()
    store.start()
    with start():
        until(lambda: len(arrived(store)) == 40)

    assert arrived(store) == list(range(1, 41))


def test_a_cursor_can_be_seen_set_and_forgotten(
    program: Path, start: Start, store: LogStore, ledger: Path, config: Path, tmp_path: Path
) -> None:
    grow(ledger, 5)
    with start() as shipper:
        until(lambda: len(arrived(store)) == 5)
        running = cursor_command(program, tmp_path, "set", METRIC, "3", "--config", str(config))
        assert shipper.terminate() == 0
    seen = cursor_command(program, tmp_path, "list")
    done = cursor_command(program, tmp_path, "set", METRIC, "3", "--config", str(config))
    with start() as shipper:
        until(lambda: len(arrived(store)) == 7)
        assert shipper.terminate() == 0
    forgotten = cursor_command(program, tmp_path, "reset", METRIC)
    with start():
        until(lambda: len(arrived(store)) == 12)

    assert running.exit_code == 3
    assert "another Shipper" in running.stderr
    assert seen.stdout.startswith(f"{METRIC}: ")
    assert "5" in seen.stdout
    assert (done.exit_code, forgotten.exit_code) == (0, 0)
    assert arrived(store) == [1, 2, 3, 4, 5, 4, 5, 1, 2, 3, 4, 5]


def test_a_cursor_of_another_type_is_refused_by_the_source(
    program: Path, start: Start, ledger: Path, config: Path, tmp_path: Path
) -> None:
    grow(ledger, 5)
    ended = cursor_command(program, tmp_path, "set", METRIC, "soon", "--config", str(config))
    with start() as shipper:
        until(lambda: shipper.wait() == 4)

    assert ended.exit_code == 0
    assert "the cursor is no number; reset it" in shipper.stderr
