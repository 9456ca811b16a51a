"""The number of lines beside a spool."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipper.pipeline.spool.waiting import WaitingNote
from tests.unit.pipeline.spool.parcels import Site, drained, parcels


def test_the_number_written_last_is_read(tmp_path: Path) -> None:
    note = WaitingNote(tmp_path / "m.waiting")
    note.write(123_456)
    note.write(7)

    assert WaitingNote(tmp_path / "m.waiting").read() == 7


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    WaitingNote(tmp_path / "m.waiting").write(1)

    assert (tmp_path / "m.waiting").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content", [None, b"", b"many\n", b"\xff\xfe", b"-1", b"9" * 400], ids=repr
)
def test_what_is_no_number_tells_nothing(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "m.waiting"
    if content is not None:
        path.write_bytes(content)

    assert WaitingNote(path).read() is None


def test_a_place_that_cannot_be_written_is_no_harm(tmp_path: Path) -> None:
    note = WaitingNote(tmp_path / "nowhere" / "m.waiting")
    note.write(1)

    assert note.read() is None


@pytest.mark.parametrize("kept_bytes", [0, 100, 4096, 8192])
def test_what_a_file_that_was_cut_held_is_counted_as_lost(tmp_path: Path, kept_bytes: int) -> None:
    site = Site(tmp_path)
    spool = site.spool()
    spool.keep("loki", parcels(0, 50))
    spool.close()
    waiting = int(site.path.with_suffix(".waiting").read_text())
    with site.path.open("r+b") as file:
        file.truncate(kept_bytes)
    again = site.spool("second")
    left = sum(len(each.stream) for each in drained(again))
    again.close()

    assert waiting > left
    assert sum(site.damaged) == waiting - left


def test_what_was_delivered_is_not_missed(tmp_path: Path) -> None:
    site = Site(tmp_path)
    spool = site.spool()
    spool.keep("loki", parcels(0, 5))
    drained(spool)
    spool.close()
    site.spool("second").close()

    assert site.damaged == []
    assert site.path.with_suffix(".waiting").read_text().strip() == "0"
