"""What becomes of a damaged file: the bad part is set aside and counted, the rest ships."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from shipper.pipeline.spool import Parcel, Spool
from shipper.pipeline.spool import salvage as module
from shipper.pipeline.spool.database import SpoolUnusable
from shipper.pipeline.spool.salvage import salvage, set_torn_log_aside
from tests.unit.pipeline.spool.parcels import Site, drained, parcel, parcels, put_ns_of

PAGE_BYTES = 4096
FRAME_BYTES = PAGE_BYTES + 24


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def fill(site: Site, count: int = 200) -> Spool:
    spool = site.spool()
    for start in range(0, count, 20):
        assert spool.keep("loki", parcels(start, start + 20)) is not None
    assert spool.set_checkpoint("sql", (17,))
    return spool


def change(site: Site, sql: str) -> None:
    with closing(sqlite3.connect(site.path, isolation_level=None)) as connection:
        connection.execute(sql)


def overwrite(path: Path, start: int, noise: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(noise)


def page_of(site: Site, number: int) -> int:
    """Return where the page begins on which a parcel lies."""
    content = site.path.read_bytes()
    place = content.index(b'"m"}', content.index(b"parcels_of_a_sink"))
    for _ in range(number):
        place = content.index(b'"m"}', place + 1)
    return place // PAGE_BYTES * PAGE_BYTES


def test_a_page_that_is_noise_costs_only_what_lies_on_it(site: Site) -> None:
    fill(site).close()
    overwrite(site.path, page_of(site, 80), b"\xa5" * PAGE_BYTES)
    spool = site.spool("second")
    shipped = drained(spool)

    assert 100 < len(shipped) < 200
    assert sum(site.damaged) == 400 - 2 * len(shipped)
    assert site.aside() == [".db"]
    assert "was set aside" in site.log.errors[0]
    checkpoint = spool.checkpoint()
    assert checkpoint is not None
    assert checkpoint.cursor == (17,)
    spool.close()


def test_damage_while_it_runs_is_counted_by_what_was_known(site: Site) -> None:
    spool = fill(site)
    spool.close()
    content = site.path.read_bytes()
    site.path.write_bytes(content[:PAGE_BYTES] + b"\xa5" * (len(content) - PAGE_BYTES))
    shipped = drained(spool)

    assert (shipped, site.damaged) == ([], [400])
    assert spool.keep("loki", parcels(900, 901)) is not None
    assert put_ns_of(drained(spool)) == [900]
    spool.close()


def test_a_file_that_says_nothing_any_more_is_counted_as_unknown(site: Site) -> None:
    site.path.parent.mkdir()
    site.path.write_text("no database\n" * 1000)
    spool = site.spool()

    assert site.damaged == [0]
    assert site.aside() == [".db"]
    assert spool.lines("loki") == 0
    assert len(site.log.errors) == 1


def test_a_body_that_was_changed_is_set_aside_alone(site: Site) -> None:
    fill(site, 20).close()
    change(site, "UPDATE parcels SET body = x'00' WHERE number = 5")
    spool = site.spool("second")

    assert put_ns_of(drained(spool)) == [number for number in range(20) if number != 4]
    assert site.damaged == [2]
    assert site.aside() == [".parcel"]
    assert spool.lines("loki") == 0
    spool.close()


def test_a_body_that_cannot_be_set_aside_stays(site: Site) -> None:
    fill(site, 20).close()
    change(site, "UPDATE parcels SET body = x'00' WHERE number = 5")
    (site.path.parent / "damaged").write_text("a file")
    spool = site.spool("second")

    assert drained(spool) == []
    assert "damaged" in spool.trouble
    assert (spool.lines("loki"), site.damaged) == (40, [])
    spool.close()


def test_several_damages_one_after_the_other(site: Site) -> None:
    spool = fill(site)
    shipped = []
    for place in (30, 20, 10):
        spool.close()
        overwrite(site.path, page_of(site, place), b"\xa5" * PAGE_BYTES)
        site.clock.pass_seconds(1)
        spool = site.spool(f"run {place}")
        shipped.append(spool.lines("loki") // 2)
    given_out = drained(spool)

    assert 200 > shipped[0] > shipped[1] > shipped[2] > 0
    assert len(given_out) == shipped[2]
    assert sum(site.damaged) == 400 - 2 * shipped[2]
    assert site.aside() == [".db", ".db", ".db"]
    spool.close()


def test_numbers_go_on_behind_those_that_somebody_remembers(site: Site) -> None:
    spool = fill(site, 20)
    spool.close()
    site.path.write_text("no database\n" * 1000)
    kept = spool.keep("loki", [parcel(99)])

    assert kept is not None
    assert kept[0].number == 21
    spool.close()


def test_numbers_go_on_behind_those_that_are_on_their_way(site: Site) -> None:
    fill(site, 20).close()
    spool = site.spool("second")
    on_the_way = spool.oldest("loki", max_weight_bytes=10**6)
    spool.close()
    site.path.write_text("no database\n" * 1000)
    kept = spool.keep("loki", [parcel(99)])
    spool.forget("loki", on_the_way)

    assert kept is not None
    assert kept[0].number == 21
    assert put_ns_of(drained(spool)) == [99]
    spool.close()


def test_what_was_known_of_the_front_is_not_believed_after_damage(site: Site) -> None:
    spool = fill(site)
    spool.oldest("loki", max_weight_bytes=100)
    spool.close()
    overwrite(site.path, page_of(site, 80), b"\xa5" * PAGE_BYTES)
    shipped = drained(spool, max_weight_bytes=10**6)

    assert 100 < len(shipped) < 200
    assert site.aside() == [".db"]
    spool.close()


def test_a_count_below_nothing_is_none(site: Site) -> None:
    fill(site, 20).close()
    change(site, "UPDATE parcels SET lines = -5 WHERE number = 5")
    spool = site.spool("second")

    assert len(drained(spool)) == 19
    assert site.damaged == [7, 0]
    spool.close()


def test_what_is_settled_does_not_come_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SpoolUnusable("full")

    spool = fill(site, 20)
    monkeypatch.setattr(spool._rows, "delete", fail)
    spool.forget("loki", spool.oldest("loki", max_weight_bytes=1000))
    monkeypatch.undo()
    spool._rows.database.close()
    change(site, "DROP TABLE totals")
    site.clock.pass_seconds(5)
    kept = spool.keep("loki", [parcel(99)])

    assert kept is not None
    assert site.aside() == [".db"]
    assert site.damaged == [0]
    assert put_ns_of(drained(spool)) == [*range(10, 20), 99]
    spool.close()


def test_a_file_that_cannot_be_carried_over_now_stays_until_it_can(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(site, 20).close()
    change(site, "DROP TABLE totals")
    blocked = site.path.with_name("m.mended")
    blocked.mkdir()
    spool = site.spool("second")
    at_first = (drained(spool), site.aside(), spool.trouble != "")
    blocked.rmdir()
    site.clock.pass_seconds(5)

    assert at_first == ([], [], True)
    assert spool.keep("loki", [parcel(99)]) is not None
    assert put_ns_of(drained(spool)) == [*range(20), 99]
    spool.close()


@pytest.mark.parametrize("number", [2**61, 2**62 + 1, 2**63 - 1])
def test_a_number_that_is_damaged_is_no_reason_to_count_to_it(site: Site, number: int) -> None:
    fill(site, 20).close()
    change(site, f"UPDATE parcels SET number = {number} WHERE number = 20")  # noqa: S608
    change(site, "DROP TABLE run")
    spool = site.spool("second")
    shipped = put_ns_of(drained(spool))

    assert shipped[:19] == list(range(19))
    assert spool.keep("loki", [parcel(99)]) is not None
    spool.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE totals SET lines = 'many'",
        "UPDATE totals SET bytes = x'00'",
        "UPDATE parcels SET labels = CAST(x'ff' AS TEXT) WHERE number = 3",
        "UPDATE parcels SET weight_bytes = 'x' WHERE number = 3",
        "UPDATE parcels SET lines = 9223372036854775807",
    ],
)
def test_values_of_another_kind_are_damage(site: Site, sql: str) -> None:
    fill(site, 20).close()
    change(site, sql)
    spool = site.spool("second")
    shipped = put_ns_of(drained(spool))

    assert set(shipped) <= set(range(20))
    assert spool.lines("loki") == 0
    assert site.damaged
    spool.close()


def test_a_missing_index_of_a_damaged_file_is_done_without(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_TRIED", 3)
    fill(site, 20).close()
    change(site, "DROP INDEX parcels_of_a_sink")
    saved = salvage(site.path, site.clock, settled=(), above=0)

    assert (saved.promised, saved.lines) == (40, 40)


def test_a_file_that_is_gone_leaves_a_new_one(site: Site) -> None:
    fill(site, 20).close()
    shutil.rmtree(site.path.parent)
    saved = salvage(site.path, site.clock, settled=(), above=7)

    assert (saved.promised, saved.lines) == (0, 0)
    assert site.path.exists()


# the write-ahead log


@pytest.fixture
def log(site: Site) -> Path:
    """Return a log as a process that was killed leaves it."""
    spool = fill(site, 40)
    kept = site.path.parent.with_name("kept")
    shutil.copytree(site.path.parent, kept)
    spool.close()
    shutil.rmtree(site.path.parent)
    kept.rename(site.path.parent)
    return site.path.with_name("m.db-wal")


def test_a_log_without_damage_is_not_set_aside(site: Site, log: Path) -> None:
    assert set_torn_log_aside(site.path, site.clock) is None


def cut_in_a_frame(log: Path) -> None:
    log.write_bytes(log.read_bytes()[: -PAGE_BYTES // 2])


def damage_the_last_frame(log: Path) -> None:
    overwrite(log, log.stat().st_size - 100, b"\xa5" * 50)


def damage_a_frame_in_the_middle(log: Path) -> None:
    overwrite(log, 32 + 3 * FRAME_BYTES + 500, b"\xa5" * 50)


def damage_the_salts_of_a_frame(log: Path) -> None:
    overwrite(log, 32 + 3 * FRAME_BYTES + 8, b"\xa5" * 8)


def damage_the_salts_of_the_head(log: Path) -> None:
    overwrite(log, 16, b"\xa5" * 8)


def damage_the_magic(log: Path) -> None:
    overwrite(log, 0, b"\xa5" * 4)


@pytest.mark.parametrize(
    "damage",
    [
        cut_in_a_frame,
        damage_the_last_frame,
        damage_a_frame_in_the_middle,
        damage_the_salts_of_a_frame,
        damage_the_salts_of_the_head,
        damage_the_magic,
    ],
)
def test_a_torn_log_is_set_aside_and_told(
    site: Site, log: Path, damage: Callable[[Path], None]
) -> None:
    damage(log)
    torn = log.read_bytes()
    waiting = int(site.path.with_suffix(".waiting").read_text())
    spool = site.spool("second")
    given_out = drained(spool)
    shipped = put_ns_of(given_out)

    assert site.aside() == [".wal"]
    assert sum(site.damaged) == waiting - sum(len(each.stream) for each in given_out)
    assert next((site.path.parent / "damaged").iterdir()).read_bytes() == torn
    assert shipped == list(range(len(shipped)))
    assert spool.keep("loki", [parcel(99)]) is not None
    spool.close()


def test_a_log_that_was_cut_between_two_frames_is_what_a_kill_leaves(site: Site, log: Path) -> None:
    log.write_bytes(log.read_bytes()[:-FRAME_BYTES])

    assert set_torn_log_aside(site.path, site.clock) is None


def test_without_a_log_there_is_nothing_to_set_aside(site: Site) -> None:
    assert set_torn_log_aside(site.path, site.clock) is None


def test_what_is_set_aside_has_a_name_with_the_time(site: Site) -> None:
    name = module.name_aside(site.path, site.clock, ".db").name

    assert name == "m-20231114T221320.000000.db"


def test_a_parcel_larger_than_a_page_is_carried_over(site: Site) -> None:
    spool = site.spool()
    made = parcel(0, lines=20_000)
    assert spool.keep("loki", [Parcel(made.stream, 10**6, made.put_ns)]) is not None
    spool.close()
    change(site, "DROP TABLE run")
    again = site.spool("second")

    assert len(drained(again)[0].stream) == 20_000
    again.close()
