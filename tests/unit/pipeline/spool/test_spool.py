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
from threading import Event, Thread

import pytest

from shipper.pipeline.spool import Checkpoint, Parcel, Shelf, Spool, spool_path
from shipper.pipeline.spool.database import VERSION
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
    shelf = Shelf(spool, "loki", max_bytes=1)
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


def test_the_oldest_are_dropped_to_make_room(site: Site, spool: Spool) -> None:
    keep(spool, 0, 10)
    oldest(spool)
    half_bytes = spool.size_bytes("loki") // 2
    dropped_lines = spool.make_room("loki", half_bytes, spared=())

    assert half_bytes // 2 < spool.size_bytes("loki") <= half_bytes
    assert put_ns_of(drained(spool)) == list(range(dropped_lines // 2, 10))
    assert site.log.errors == []


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
