"""A disk that does not take what is to be kept: told once, passed over, and used again later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.pipeline.spool import Parcel, Spool
from shipper.pipeline.spool.database import SpoolUnusable
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
