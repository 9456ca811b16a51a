"""What waits on disk: in its order, through restarts and kills, and what a disk that fails makes of it."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule

from shipper.pipeline.spool import Checkpoint, Parcel, Spool, spool_path
from shipper.pipeline.spool.database import VERSION, SpoolUnusable
from tests.support.shipper_process import ROOT
from tests.unit.pipeline.spool.parcels import (
    PUSH_BYTES,
    Site,
    drained,
    parcel,
    parcels,
    put_ns_of,
    recounted,
    written,
)

CURSOR = ("2026-11-22", 17)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def spool(site: Site) -> Iterator[Spool]:
    spool = site.spool()
    yield spool
    spool.close()


def keep(
    spool: Spool, first: int, stop: int, *, sink: str = "loki", job: str = "m"
) -> list[Parcel]:
    kept = spool.keep(sink, parcels(first, stop, job=job))
    assert kept is not None, spool.trouble
    return list(kept)


def oldest(spool: Spool, sink: str = "loki", *, max_weight_bytes: int = PUSH_BYTES) -> list[int]:
    return put_ns_of(spool.oldest(sink, max_weight_bytes=max_weight_bytes))


# order


def test_the_path_names_the_metric(tmp_path: Path) -> None:
    assert spool_path(tmp_path, "show_locks") == tmp_path / "spool" / "show_locks.db"


def test_the_oldest_are_given_out_first(spool: Spool) -> None:
    keep(spool, 0, 3)
    keep(spool, 3, 5)

    assert oldest(spool, max_weight_bytes=200) == [0, 1]
    assert put_ns_of(drained(spool, max_weight_bytes=200)) == [0, 1, 2, 3, 4]


def test_streams_that_lie_mixed_are_given_out_one_after_the_other(spool: Spool) -> None:
    for number in range(0, 6, 2):
        keep(spool, number, number + 1, job="a")
        keep(spool, number + 1, number + 2, job="b")

    assert put_ns_of(drained(spool)) == [0, 2, 4, 1, 3, 5]


def test_what_was_given_out_is_given_again_until_it_is_forgotten(spool: Spool) -> None:
    keep(spool, 0, 2)

    assert oldest(spool) == oldest(spool) == [0, 1]


def test_parcels_come_back_as_they_were_put(spool: Spool) -> None:
    kept = keep(spool, 0, 2)

    assert list(spool.oldest("loki", max_weight_bytes=PUSH_BYTES)) == kept


def test_nothing_waits_in_an_empty_spool(spool: Spool) -> None:
    assert oldest(spool) == []
    assert spool.oldest_put_ns("loki") is None
    assert (spool.lines("loki"), spool.size_bytes("loki")) == (0, 0)


def test_the_oldest_moment_is_known(spool: Spool) -> None:
    keep(spool, 7, 9)

    assert spool.oldest_put_ns("loki") == 10**18 + 7


def test_what_is_left_stays_in_its_place(spool: Spool) -> None:
    keep(spool, 0, 4)
    some = spool.oldest("loki", max_weight_bytes=300)
    spool.forget("loki", some, left=parcel(50, lines=1))

    assert spool.lines("loki") == 3
    assert put_ns_of(drained(spool)) == [50, 3]


def test_two_sinks_do_not_disturb_each_other(spool: Spool) -> None:
    keep(spool, 0, 3)
    keep(spool, 10, 13, sink="other")
    spool.forget("loki", spool.oldest("loki", max_weight_bytes=PUSH_BYTES))
    spool.make_room("loki", 0, spared=())

    assert spool.lines("loki") == 0
    assert put_ns_of(drained(spool, "other")) == [10, 11, 12]


def test_a_shelf_is_the_part_of_one_sink(spool: Spool) -> None:
    shelf = spool.shelf("loki", max_bytes=1)
    empty = (shelf.lines, shelf.full, shelf.oldest_put_ns())
    kept = shelf.keep([parcel(0)])
    keep(spool, 1, 2, sink="other")

    assert empty == (0, False, None)
    assert (shelf.lines, shelf.full, shelf.oldest_put_ns()) == (2, True, 10**18)
    assert shelf.weight_bytes == spool.size_bytes("loki")
    assert shelf.oldest(max_weight_bytes=PUSH_BYTES) == kept
    assert shelf.make_room(spared=kept or ()) == 0
    shelf.forget(kept or ())
    assert shelf.lines == 0


# room


def test_the_oldest_are_dropped_to_make_room(spool: Spool) -> None:
    keep(spool, 0, 10)
    half_bytes = spool.size_bytes("loki") // 2
    dropped_lines = spool.make_room("loki", half_bytes, spared=())

    assert half_bytes // 2 < spool.size_bytes("loki") <= half_bytes
    assert put_ns_of(drained(spool)) == list(range(dropped_lines // 2, 10))


def test_what_is_on_its_way_is_not_dropped(spool: Spool) -> None:
    kept = keep(spool, 0, 4)
    dropped_lines = spool.make_room("loki", 0, spared=kept[:1])

    assert dropped_lines == 6
    assert oldest(spool) == [0]


def test_room_is_made_however_many_have_to_go(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shipper.pipeline.spool.spool.PARCELS_LOOKED_AT", 3)
    kept = keep(spool, 0, 20)

    assert spool.make_room("loki", 0, spared=kept[:1]) == 38
    assert oldest(spool) == [0]


def test_within_bounds_nothing_is_dropped(spool: Spool) -> None:
    keep(spool, 0, 4)

    assert spool.make_room("loki", spool.size_bytes("loki"), spared=()) == 0


class AnySteps(RuleBasedStateMachine):
    """Does anything in any order, and compares the spool with a list."""

    kept = Bundle("kept")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.site = Site(Path(self.folder.name))
        self.spool = self.site.spool()
        self.waiting: dict[str, list[Parcel]] = {"loki": [], "other": []}
        self.next_number = 0

    @rule(
        sink=st.sampled_from(["loki", "other"]),
        jobs=st.lists(st.sampled_from("ab"), min_size=1, max_size=5),
    )
    def keep(self, sink: str, jobs: list[str]) -> None:
        some = [parcel(self.next_number + place, job=job) for place, job in enumerate(jobs)]
        self.next_number += len(some)
        kept = self.spool.keep(sink, some)
        assert kept is not None
        self.waiting[sink] += kept

    @rule(
        sink=st.sampled_from(["loki", "other"]), max_weight_bytes=st.sampled_from([1, 250, 10**6])
    )
    def take_and_forget(self, sink: str, max_weight_bytes: int) -> None:
        some = self.take(sink, max_weight_bytes)
        self.spool.forget(sink, some)
        self.waiting[sink] = [each for each in self.waiting[sink] if each not in some]

    @rule(sink=st.sampled_from(["loki", "other"]))
    def take_and_leave_some(self, sink: str) -> None:
        some = self.take(sink, 250)
        if some:
            left = parcel(self.next_number, job=some[0].stream.labels["job"], lines=1)
            self.next_number += 1
            self.spool.forget(sink, some, left=left)
            place = self.waiting[sink].index(some[0])
            remains = [each for each in self.waiting[sink] if each not in some]
            back = Parcel(left.stream, left.weight_bytes, left.put_ns, some[0].number)
            self.waiting[sink] = [*remains[:place], back, *remains[place:]]

    @rule(sink=st.sampled_from(["loki", "other"]), share=st.floats(0, 1))
    def make_room(self, sink: str, share: float) -> None:
        max_bytes = int(self.spool.size_bytes(sink) * share)
        lines = self.spool.make_room(sink, max_bytes, spared=())
        while lines > 0:
            lines -= len(self.waiting[sink].pop(0).stream)
        assert lines == 0
        assert self.spool.size_bytes(sink) <= max_bytes

    @rule()
    def open_again(self) -> None:
        self.spool.close()
        self.spool = self.site.spool()

    @rule()
    def compare(self) -> None:
        for sink, some in self.waiting.items():
            assert self.spool.lines(sink) == sum(len(each.stream) for each in some)
        if self.site.path.exists():
            assert recounted(self.site.path) == written(self.site.path)

    def take(self, sink: str, max_weight_bytes: int) -> list[Parcel]:
        some = list(self.spool.oldest(sink, max_weight_bytes=max_weight_bytes))
        waiting = self.waiting[sink]
        equals = [each for each in waiting if each.stream.labels == waiting[0].stream.labels]
        fits = max(1, max_weight_bytes // 100)
        assert put_ns_of(some) == put_ns_of(equals[:fits])
        return [each for each in waiting if each.number in {one.number for one in some}]

    def teardown(self) -> None:
        self.compare()
        self.spool.close()
        assert self.site.log.errors == []
        self.folder.cleanup()


TestAnySteps = AnySteps.TestCase
TestAnySteps.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


# restarts


def test_nothing_is_made_on_disk_until_something_is_kept(site: Site, tmp_path: Path) -> None:
    spool = site.spool()
    spool.keep("loki", [])
    spool.oldest("loki", max_weight_bytes=1)
    spool.forget("loki", [])
    spool.make_room("loki", 0, spared=())
    spool.checkpoint()
    spool.set_checkpoint("sql", None)
    spool.close()

    assert list(tmp_path.iterdir()) == []


def test_the_file_is_for_us_alone(site: Site, spool: Spool) -> None:
    keep(spool, 0, 1)

    assert stat.S_IMODE(site.path.stat().st_mode) == 0o600


def test_what_was_kept_is_there_after_a_restart(site: Site, spool: Spool) -> None:
    keep(spool, 0, 3)
    spool.close()
    again = site.spool("second")

    assert again.lines("loki") == 6
    assert put_ns_of(drained(again)) == [0, 1, 2]
    again.close()


@pytest.mark.parametrize(("run", "earlier"), [("first", False), ("second", True)])
def test_what_another_run_left_is_told_from_our_own(
    site: Site, spool: Spool, run: str, earlier: bool
) -> None:
    keep(spool, 0, 3)
    spool.close()
    again = site.spool(run)

    assert again.of_earlier_run is earlier
    again.close()


def test_a_spool_that_is_new_is_of_no_earlier_run(spool: Spool) -> None:
    assert spool.of_earlier_run is False


@pytest.mark.parametrize("rounds", [1, 40])
def test_what_was_kept_survives_a_kill_right_after(site: Site, rounds: int) -> None:
    program = f"""
import logging, os, signal
from pathlib import Path
from tests.unit.pipeline.spool.parcels import Site, parcels
site = Site(Path({str(site.folder)!r}))
spool = site.spool()
for number in range({rounds}):
    assert spool.keep("loki", parcels(number, number + 1))
spool.set_checkpoint("sql", (17,))
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60)
    again = site.spool("second")

    assert ended.returncode == -signal.SIGKILL
    assert put_ns_of(drained(again, max_weight_bytes=10**6)) == list(range(rounds))
    assert again.checkpoint() == Checkpoint("sql", (17,), site.clock.ns)
    assert (site.log.errors, site.damaged) == ([], [])
    again.close()


def test_a_file_of_a_later_version_is_left_alone_and_told(site: Site, spool: Spool) -> None:
    keep(spool, 0, 1)
    spool.close()
    with closing(sqlite3.connect(site.path)) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    before = site.path.read_bytes()
    again = site.spool()

    assert again.keep("loki", parcels(1, 2)) is None
    assert site.path.read_bytes() == before
    assert len(site.log.errors) == 1
    assert "was written by a later version of Shipper" in site.log.errors[0]
    assert site.aside() == []


# checkpoints


def test_a_checkpoint_survives_a_restart(site: Site, spool: Spool) -> None:
    assert spool.set_checkpoint("sql", CURSOR)
    spool.close()
    again = site.spool("second")

    assert again.checkpoint() == Checkpoint("sql", CURSOR, site.clock.ns)
    again.close()


def test_a_checkpoint_can_be_forgotten(spool: Spool) -> None:
    spool.set_checkpoint("sql", CURSOR)
    spool.set_checkpoint("sql", None)

    assert spool.checkpoint() is None


def test_a_cursor_that_makes_no_sense_is_told(site: Site, spool: Spool) -> None:
    spool.set_checkpoint("sql", CURSOR)
    spool.close()
    with closing(sqlite3.connect(site.path, isolation_level=None)) as connection:
        connection.execute("UPDATE checkpoint SET cursor = 'x'")
    again = site.spool()

    assert again.checkpoint() is None
    assert site.log.errors == [f"The cursor in {site.path} is lost: the checksum is wrong."]
    again.close()


# a disk that does not take it


def test_a_folder_that_cannot_be_made_is_told_once(site: Site) -> None:
    site.path.parent.write_text("a file")
    spool = site.spool()
    kept = []
    for number in range(3):
        kept.append(spool.keep("loki", [parcel(number)]))
        site.clock.pass_seconds(5)

    assert kept == [None, None, None]
    assert len(site.log.errors) == 1
    assert "Nothing can be kept on disk" in site.log.errors[0]
    assert "File exists" in spool.trouble


def test_it_recovers_when_the_folder_can_be_made(site: Site) -> None:
    site.path.parent.write_text("a file")
    spool = site.spool()
    spool.keep("loki", [parcel(0)])
    site.path.parent.unlink()
    at_once = spool.keep("loki", [parcel(1)])
    site.clock.pass_seconds(1)
    keep(spool, 2, 3)

    assert at_once is None
    assert (spool.trouble, site.log.infos) == ("", ["Lines can be kept on disk again."])
    assert put_ns_of(drained(spool)) == [2]


def fill(spool: Spool) -> None:
    """Let no more fit, without a disk that is full: SQLite does the same at the end of one."""
    spool._rows.database.read("PRAGMA max_page_count=1")


def empty(spool: Spool) -> None:
    spool._rows.database.read("PRAGMA max_page_count=1000000")


def big(first: int, stop: int) -> list[Parcel]:
    made = [parcel(number, lines=40) for number in range(first, stop)]
    return [Parcel(each.stream, 50, each.put_ns) for each in made]


def test_a_disk_that_is_full_is_told_once_and_the_end_of_it_too(site: Site, spool: Spool) -> None:
    keep(spool, 0, 2)
    fill(spool)
    refused = []
    for _ in range(3):
        refused.append(spool.keep("loki", big(2, 100)))
        site.clock.pass_seconds(5)
    empty(spool)
    kept = spool.keep("loki", big(2, 4))

    assert refused == [None, None, None]
    assert kept is not None
    assert [len(site.log.errors), site.log.infos] == [1, ["Lines can be kept on disk again."]]
    assert put_ns_of(drained(spool)) == [0, 1, 2, 3]


def test_what_is_settled_while_the_disk_takes_nothing_is_not_given_out_again(
    site: Site, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(spool, 0, 4)
    monkeypatch.setattr(spool._rows, "delete", failing_delete)
    spool.forget("loki", spool.oldest("loki", max_weight_bytes=250))

    assert spool.lines("loki") == 4
    assert oldest(spool) == [2, 3]
    assert recounted(site.path) == {"loki": 8}


def test_what_was_settled_meanwhile_is_forgotten_with_the_next_keep(
    site: Site, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(spool, 0, 4)
    monkeypatch.setattr(spool._rows, "delete", failing_delete)
    spool.forget("loki", spool.oldest("loki", max_weight_bytes=PUSH_BYTES))
    monkeypatch.undo()
    site.clock.pass_seconds(5)
    keep(spool, 9, 10)

    assert recounted(site.path) == {"loki": 2}
    assert oldest(spool) == [9]


def test_what_was_settled_meanwhile_is_forgotten_at_the_end(
    site: Site, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(spool, 0, 4)
    monkeypatch.setattr(spool._rows, "delete", failing_delete)
    spool.forget("loki", spool.oldest("loki", max_weight_bytes=PUSH_BYTES))
    monkeypatch.undo()
    spool.close()

    assert recounted(site.path) == {}


def test_what_is_left_and_cannot_be_written_lets_all_of_it_stay(
    site: Site, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(spool, 0, 2)
    monkeypatch.setattr(spool._rows, "replace", failing_delete)
    spool.forget("loki", spool.oldest("loki", max_weight_bytes=PUSH_BYTES), left=parcel(50))

    assert oldest(spool) == [0, 1]


def failing_delete(*_: object, **__: object) -> None:
    raise SpoolUnusable("the disk is full")


def test_what_lay_there_is_found_when_the_disk_can_be_read_again(site: Site, spool: Spool) -> None:
    keep(spool, 0, 3)
    spool.close()
    hidden = site.path.with_name("hidden")
    site.path.rename(hidden)
    site.path.mkdir()
    again = site.spool("second")
    at_first = again.lines("loki")
    site.path.rmdir()
    hidden.rename(site.path)
    site.clock.pass_seconds(5)
    keep(again, 3, 4)

    assert at_first == 0
    assert put_ns_of(drained(again)) == [0, 1, 2, 3]
    assert recounted(site.path) == written(site.path) == {}
    again.close()


def test_a_file_that_stays_large_is_no_trouble(
    site: Site, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(spool, 0, 3)
    monkeypatch.setattr(spool._rows.database, "shrink", failing_delete)
    drained(spool)

    assert (spool.trouble, site.log.errors) == ("", [])


def test_a_file_that_was_drained_is_small(site: Site, spool: Spool) -> None:
    spool.keep("loki", big(0, 2000))
    spool.keep("other", big(2000, 2002))
    full_bytes = site.path.stat().st_size + site.path.with_name("m.db-wal").stat().st_size
    drained(spool)

    assert full_bytes > 500_000
    assert site.path.stat().st_size < full_bytes / 4


# a file that disappears


def test_a_state_directory_that_was_removed_is_made_again(site: Site, spool: Spool) -> None:
    keep(spool, 0, 3)
    taken = spool.oldest("loki", max_weight_bytes=250)
    shutil.rmtree(site.path.parent)
    kept = keep(spool, 3, 5)
    spool.forget("loki", taken)

    assert site.damaged == [6]
    assert kept[0].number > taken[-1].number
    assert put_ns_of(drained(site.spool("second"))) == [3, 4]


# two threads


def test_one_keeps_while_another_takes_and_nothing_is_lost_or_doubled(
    site: Site, spool: Spool
) -> None:
    rounds = 1500
    over = Event()
    taken: list[int] = []

    def take() -> None:
        while not over.is_set() or spool.lines("loki"):
            some = spool.oldest("loki", max_weight_bytes=500)
            taken.extend(put_ns_of(some))
            spool.forget("loki", some)

    taker = Thread(target=take)
    taker.start()
    for number in range(rounds):
        keep(spool, number, number + 1)
        spool.set_checkpoint("sql", (number,))
    over.set()
    taker.join(60)

    assert taken == list(range(rounds))
    assert recounted(site.path) == written(site.path) == {}
