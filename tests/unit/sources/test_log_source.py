"""Our own log as a source: every line once, over rotations and restarts."""

from __future__ import annotations

import json
import logging
import os
from itertools import pairwise
from pathlib import Path

import pytest

from shipper.core.errors import SourceUnavailable
from shipper.core.record import Row
from shipper.sources.log.source import READ_BYTES, OwnLogSource
from shipper.telemetry.log.file import SharedFile, older_files
from shipper.telemetry.log.forms import JsonFormatter
from tests.contract.source_contract import Rig, SourceContract
from tests.support.clock import FakeClock

KEPT = 3


class Log:
    """What writes, and what reads, in one hand."""

    def __init__(self, folder: Path, *, max_bytes: int = 10_000_000) -> None:
        self.path = folder / "shipper.jsonl"
        self.clock = FakeClock()
        self.file = SharedFile(self.path, max_bytes=max_bytes, kept=KEPT)
        self.file.setFormatter(JsonFormatter())
        self._said = 0

    def say(self, *texts: str, level: int = logging.INFO) -> None:
        for text in texts:
            record = logging.LogRecord("shipper.m", level, "x.py", 1, text, (), None)
            self._said += 1
            record.created = 1_700_000_000 + self._said / 1000
            self.file.handle(record)

    def source(self, level: str = "info") -> OwnLogSource:
        return OwnLogSource(older_files(self.path, KEPT), level, self.clock)

    def rotate(self) -> None:
        """Move the file aside, as if it were full, and let time pass."""
        for older, newer in pairwise(older_files(self.path, KEPT)):
            if newer.exists():
                newer.replace(older)
        self.settle()

    def settle(self) -> None:
        for path in older_files(self.path, KEPT):
            if path.exists():
                os.utime(path, ns=(self.clock.now_ns(), self.clock.now_ns()))
        self.clock.pass_seconds(2.0)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def heard(source: OwnLogSource) -> list[str]:
    """Read until there is no more at once."""
    texts = []
    while True:
        batch = source.read(1.0)
        texts += [str(row["message"]) for row in batch.rows]
        if not batch.more:
            return texts


class LogRig(Rig):
    def __init__(self, folder: Path) -> None:
        self._log = Log(folder)
        self.source = OwnLogSource(older_files(self._log.path, KEPT), "info")

    def say(self, text: str) -> None:
        self._log.say(text)

    def heard(self, row: Row) -> str:
        return str(row["message"])


class TestOwnLog(SourceContract):
    far_end_can_die = False

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return LogRig(tmp_path)


def test_a_restart_goes_on_behind_what_was_read(log: Log) -> None:
    source = log.source()
    source.open()
    log.say("one", "two")
    cursor = source.read(1.0).cursor
    source.close()
    log.say("three")
    successor = log.source()
    successor.open(cursor)

    assert heard(successor) == ["three"]


def test_nothing_is_lost_or_doubled_over_rotations(log: Log) -> None:
    source, said, texts = log.source(), [], []
    source.open()
    for number in range(20):
        said.append(f"line {number}")
        log.say(said[-1])
        if number % 3 == 0:
            log.rotate()
        texts += heard(source)
    log.rotate()
    texts += heard(source)

    assert texts == said


def test_a_restart_after_rotations_goes_on_in_the_file_it_was_in(log: Log) -> None:
    source = log.source()
    source.open()
    log.say("one")
    cursor = source.read(1.0).cursor
    source.close()
    log.say("two")
    log.rotate()
    log.say("three")
    log.rotate()
    log.say("four")
    successor = log.source()
    successor.open(cursor)
    batch = successor.read(1.0)

    assert [row["message"] for row in batch.rows] == ["two"]
    assert heard(successor) == ["three", "four"]
    assert batch.lost == {}


def test_a_late_line_in_a_file_that_was_just_moved_aside_is_waited_for(log: Log) -> None:
    source = log.source()
    source.open()
    log.say("one")
    assert heard(source) == ["one"]
    late = Log(log.path.parent)
    late.file.open()
    descriptor = os.dup(late.file._file)
    log.path.rename(f"{log.path}.1")
    log.say("in the new file")
    os.utime(f"{log.path}.1", ns=(log.clock.now_ns(), log.clock.now_ns()))
    too_early = heard(source)
    os.write(descriptor, b'{"level": "info", "message": "late"}\n')
    os.close(descriptor)
    log.settle()

    assert (too_early, heard(source)) == ([], ["late", "in the new file"])


def test_a_new_file_without_a_line_yet_is_waited_for(log: Log) -> None:
    source = log.source()
    source.open()
    log.say("one")
    log.rotate()
    log.say("two")
    texts = heard(source)
    log.rotate()
    log.path.touch()
    texts += [*heard(source), *heard(source)]
    log.say("three")

    assert [*texts, *heard(source)] == ["one", "two", "three"]


def test_a_file_that_is_deleted_while_it_is_read_is_read_to_its_end(log: Log) -> None:
    source = log.source()
    source.open()
    log.say("one")
    source.read(1.0)
    log.say("two")
    log.rotate()
    Path(f"{log.path}.1").unlink()
    log.say("three")
    log.settle()
    batches = [source.read(1.0) for _ in range(3)]

    assert [row["message"] for batch in batches for row in batch.rows] == ["two", "three"]
    assert [batch.lost for batch in batches] == [{}, {"rotated": 1}, {}]


def test_what_was_rotated_away_unread_is_counted(log: Log) -> None:
    source = log.source()
    source.open()
    log.say("one")
    cursor = source.read(1.0).cursor
    source.close()
    for number in range(KEPT + 2):
        log.rotate()
        log.say(f"line {number}")
    successor = log.source()
    successor.open(cursor)
    batch = successor.read(1.0)

    assert batch.lost == {"rotated": 1}
    assert [row["message"] for row in batch.rows] == ["line 1"]
    assert successor.read(1.0).lost == {}


def test_a_file_that_gets_the_inode_of_a_deleted_one_is_not_taken_for_it(log: Log) -> None:
    source = log.source()
    source.open()
    log.say("one", "two")
    cursor = source.read(1.0).cursor
    source.close()
    content = log.path.read_bytes()
    with log.path.open("r+b") as same_inode:
        same_inode.truncate()
        same_inode.write(content.replace(b"one", b"new").replace(b"two", b"text"))
    successor = log.source()
    successor.open(cursor)

    assert heard(successor) == ["new", "text"]


def test_lines_below_the_level_are_passed_over(log: Log) -> None:
    source = log.source("warning")
    source.open()
    log.say("fine")
    log.say("bad", level=logging.WARNING)
    log.say("worse", level=logging.ERROR)

    assert heard(source) == ["bad", "worse"]


def test_half_a_line_waits_for_its_other_half(log: Log) -> None:
    source = log.source()
    source.open()
    log.say("one")
    whole = log.path.read_bytes()
    with log.path.open("ab") as more:
        more.write(whole[:20])
    first = heard(source)
    with log.path.open("ab") as more:
        more.write(whole[20:])

    assert (first, heard(source)) == (["one"], ["one"])


def test_what_is_no_line_of_ours_becomes_a_dead_letter(log: Log) -> None:
    source = log.source()
    source.open()
    log.say("one")
    with log.path.open("ab") as more:
        more.write(b"rubbish\n")
    log.say("two")
    batch = source.read(1.0)

    assert [row["message"] for row in batch.rows] == ["one", "two"]
    assert [(each.reason, each.content) for each in batch.refused] == [("not_json", b"rubbish")]


def test_more_than_one_read_takes_is_read_at_once(log: Log) -> None:
    source = log.source()
    source.open()
    said = [f"{number} " + "x" * 100_000 for number in range(25)]
    log.say(*said)
    first = source.read(1.0)

    assert first.more
    assert len(first.rows) < 25
    assert [*(row["message"] for row in first.rows), *heard(source)] == said


def test_a_line_longer_than_a_read_is_read_whole(log: Log) -> None:
    source = log.source()
    source.open()
    log.say("x" * (READ_BYTES + 10), "behind")

    assert [len(text) for text in heard(source)] == [READ_BYTES + 10, len("behind")]


def test_without_a_file_nothing_was_said(log: Log) -> None:
    source = log.source()
    source.open()

    assert source.read(1.0).rows == []
    log.say("now")
    assert heard(source) == ["now"]


def test_a_log_that_may_not_be_read_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "shipper.jsonl").mkdir()
    source = OwnLogSource([tmp_path / "shipper.jsonl"], "info")

    with pytest.raises(SourceUnavailable, match=r"shipper\.jsonl: Is a directory"):
        source.open()


def test_a_row_has_everything_that_the_line_has(log: Log) -> None:
    source = log.source()
    source.open()
    log.say("one")
    (row,) = source.read(1.0).rows

    assert dict(row) == json.loads(log.path.read_text())
