"""Which messages become rows of files, when, and which never do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from shipper.store.files.digest import NotHashed
from shipper.store.files.table_set import PysmurfFiles
from shipper.store.files.writing import FileRow
from shipper.store.sets import load_set
from shipper.store.table_set import Readied
from tests.unit.store.files.rows import arrival, data_file, g3_file

MD5 = bytes(range(16))
MISSING = NotHashed("file_missing", "not there")
NO_FILE = NotHashed("not_a_file", "a folder", for_good=True)


class Disk:
    """Files, each with what one try after the other finds there; after the last it stays so."""

    def __init__(self, **found: Sequence[bytes | NotHashed]) -> None:
        self._found = {f"/{name}": list(outcomes) for name, outcomes in found.items()}
        self.tried: list[str] = []

    def md5_of(self, path: str) -> bytes:
        self.tried.append(path)
        outcomes = self._found[path]
        outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if isinstance(outcome, NotHashed):
            raise outcome
        return outcome


class Turns:
    """The files of one test, and what becomes of them turn by turn."""

    def __init__(self, disk: Disk, **options: Any) -> None:
        self.waits_seconds: list[float] = []
        self.rules = PysmurfFiles(md5_of=disk.md5_of, sleep=self.waits_seconds.append, **options)

    def of(self, *rows: Mapping[str, Any]) -> list[tuple[list[str], dict[int, str]]]:
        """Return the paths that got ready and the reasons of the others, by index, turn by turn."""
        arrivals = [arrival(row, index) for index, row in enumerate(rows)]
        return [told(turn) for turn in self.rules.ready(arrivals)]


def told(turn: Readied[FileRow]) -> tuple[list[str], dict[int, str]]:
    return (
        [row.file.path for row in turn.rows],
        {each.index: each.reason for each in turn.rejections},
    )


def at(*names: str) -> list[dict[str, Any]]:
    return [data_file(path=f"/{name}") for name in names]


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (data_file(), True),
        (g3_file(), True),
        (data_file() | {"type": "log"}, False),
        ({"type": None}, False),
        ({"type": ["data_file"]}, False),
        ({}, False),
    ],
)
def test_only_messages_about_files_are_wanted(row: dict[str, Any], *, wanted: bool) -> None:
    assert PysmurfFiles.wants(row) is wanted


def test_files_that_are_there_get_ready_at_once_and_in_order() -> None:
    turns = Turns(Disk(a=[MD5], b=[MD5], c=[MD5]))

    assert turns.of(*at("c", "a", "b")) == [(["/c", "/a", "/b"], {})]
    assert turns.waits_seconds == []


def test_a_row_holds_what_was_announced_and_what_was_found() -> None:
    rules = PysmurfFiles(md5_of=lambda _path: MD5, site="site", instance_id="monitor")
    ((row,),) = [turn.rows for turn in rules.ready([arrival(data_file())])]

    assert (row.md5, row.site, row.instance_id) == (MD5, "site", "monitor")
    assert row.remote is not None


def test_files_that_are_there_do_not_wait_for_those_that_are_not() -> None:
    turns = Turns(Disk(a=[MD5], b=[MISSING, MISSING, MD5], c=[MISSING, MD5]))

    assert turns.of(*at("b", "a", "c")) == [(["/a"], {}), (["/c"], {}), (["/b"], {})]
    assert turns.waits_seconds == [1.0, 1.0]


def test_missing_files_wait_together_and_are_refused_in_the_end() -> None:
    disk = Disk(a=[MISSING], b=[MISSING])
    turns = Turns(disk, md5_retries=3, md5_retry_seconds=0.5)

    assert turns.of(*at("a", "b")) == [([], {0: "file_missing", 1: "file_missing"})]
    assert turns.waits_seconds == [0.5, 0.5, 0.5]
    assert len(disk.tried) == 2 * 4


def test_a_refusal_tells_of_the_last_try() -> None:
    unreadable = NotHashed("file_unreadable", "/a: Permission denied (EACCES)")
    rules = PysmurfFiles(
        md5_of=Disk(a=[MISSING, unreadable]).md5_of, sleep=lambda _seconds: None, md5_retries=1
    )
    ((refusal,),) = [turn.rejections for turn in rules.ready([arrival(row) for row in at("a")])]

    assert (refusal.reason, refusal.answer) == (unreadable.reason, unreadable.answer)


def test_without_retries_a_missing_file_is_refused_at_once() -> None:
    turns = Turns(Disk(a=[MISSING]), md5_retries=0)

    assert turns.of(*at("a")) == [([], {0: "file_missing"})]
    assert turns.waits_seconds == []


def test_what_is_no_file_is_refused_with_the_first_rows() -> None:
    turns = Turns(Disk(a=[MD5], b=[NO_FILE]))

    assert turns.of(*at("b", "a")) == [(["/a"], {0: "not_a_file"})]
    assert turns.waits_seconds == []


def test_what_is_no_row_is_refused_with_the_first_rows() -> None:
    turns = Turns(Disk(a=[MD5], b=[MISSING, MD5]))

    assert turns.of(data_file(path=None), *at("b", "a"), data_file(plot="no")) == [
        (["/a"], {0: "no_path", 3: "wrong_type"}),
        (["/b"], {}),
    ]


def test_nothing_to_do_is_no_turn() -> None:
    assert Turns(Disk()).of() == []


def test_a_file_that_was_announced_twice_is_read_once() -> None:
    disk = Disk(a=[MD5])
    turns = Turns(disk)

    assert turns.of(*at("a", "a")) == [(["/a", "/a"], {})]
    assert disk.tried == ["/a"]


def test_rows_are_ready_before_anybody_waits() -> None:
    turns = Turns(Disk(a=[MD5], b=[MISSING]))
    first = next(turns.rules.ready([arrival(row, index) for index, row in enumerate(at("a", "b"))]))

    assert told(first) == (["/a"], {})
    assert turns.waits_seconds == []


def test_a_file_for_an_unknown_archive_is_a_row_without_a_place_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rules = PysmurfFiles(md5_of=lambda _path: MD5, log=logging.getLogger("test"))
    rows = [data_file(path=f"/{name}", archive_name="tapes") for name in "abc"]
    readied = [turn for row in rows for turn in rules.ready([arrival(row)])]

    assert [row.remote for turn in readied for row in turn.rows] == [None] * 3
    assert caplog.messages == ["/a has no place in an archive: there is no archive 'tapes'."]


def test_many_unknown_archives_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    rules = PysmurfFiles(md5_of=lambda _path: MD5, log=logging.getLogger("test"))
    rows = [data_file(archive_name=f"archive {number}") for number in range(300)]
    list(rules.ready([arrival(row, index) for index, row in enumerate(rows)]))

    assert len(caplog.messages) == 100


def test_the_rules_are_found_by_name_and_take_their_options() -> None:
    log = logging.getLogger("test")
    rules = load_set("pysmurf_files_v1", log=log, md5_retries=2, md5_retry_seconds=0.25)

    assert isinstance(rules, PysmurfFiles)
    assert (rules._md5_retries, rules._md5_retry_seconds) == (2, 0.25)
