"""Real disks that are full or read-only; needs to be allowed to mount a small one in memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.core.record import Stream
from shipper.pipeline.spool import Parcel, claim_spool
from tests.unit.pipeline.spool.parcels import Site, drained, parcel, parcels, put_ns_of

DISK_MIB = 24
"""Some more than what is left free on every disk."""


def mount(*words: str) -> bool:
    return subprocess.run(["mount", *words], capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mount("-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(disk)):
        pytest.skip("NOT TESTED: full and read-only disks; a tmpfs cannot be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def noise(number: int) -> Parcel:
    """Return a parcel that cannot be compressed."""
    line = number.to_bytes(4, "big") + os.urandom(20_000)
    return Parcel(Stream({"job": "m"}, [number], [line]), 20_000, 10**18 + number)


def fill_up(disk: Path) -> Path:
    """Let others take all of a disk, and return what to remove to end it."""
    hog = disk / "hog"
    subprocess.run(["dd", "if=/dev/zero", f"of={hog}", "bs=4096"], capture_output=True)
    assert os.statvfs(disk).f_bavail == 0
    return hog


def test_a_disk_that_we_filled_is_emptied_again(disk: Path) -> None:
    site = Site(disk)
    spool = site.spool()
    kept = 0
    while spool.keep("loki", [noise(kept)]) is not None:
        kept += 1
    taken = drained(spool)
    site.clock.pass_seconds(5)

    assert kept > 100
    assert put_ns_of(taken) == list(range(kept))
    assert spool.keep("loki", parcels(0, 3)) is not None
    assert len(site.log.errors) == 1
    assert "the disk is full" in site.log.errors[0]
    spool.close()
    assert site.path.stat().st_size < 500_000


def test_a_disk_that_others_filled_is_used_again_when_they_make_room(disk: Path) -> None:
    site = Site(disk)
    spool = site.spool()
    assert spool.keep("loki", parcels(0, 3)) is not None
    hog = fill_up(disk)
    refused = []
    for number in range(3, 6):
        refused.append(spool.keep("loki", [noise(number)]))
        site.clock.pass_seconds(5)
    settled = drained(spool)
    hog.unlink()
    site.clock.pass_seconds(5)
    kept = spool.keep("loki", parcels(6, 9))

    assert refused == [None, None, None]
    assert put_ns_of(settled) == [0, 1, 2]
    assert kept is not None
    assert put_ns_of(drained(spool)) == [6, 7, 8]
    assert (len(site.log.errors), len(site.log.infos)) == (1, 1)
    spool.close()


def test_what_waits_is_given_out_on_a_full_disk_and_never_twice(disk: Path) -> None:
    site = Site(disk)
    spool = site.spool()
    assert spool.keep("loki", [noise(number) for number in range(50)]) is not None
    hog = fill_up(disk)
    taken = drained(spool)
    again = drained(spool)
    hog.unlink()
    spool.close()
    after = site.spool("second")

    assert (put_ns_of(taken), again) == (list(range(50)), [])
    assert drained(after) == []
    after.close()


def test_a_disk_that_becomes_read_only_is_told_and_used_again_later(disk: Path) -> None:
    site = Site(disk)
    spool = site.spool()
    assert spool.keep("loki", parcels(0, 3)) is not None
    spool.close()
    assert mount("-o", "remount,ro", str(disk))
    refused = spool.keep("loki", parcels(3, 4))
    trouble = spool.trouble
    assert mount("-o", "remount,rw", str(disk))
    site.clock.pass_seconds(5)

    assert refused is None
    assert "read-only" in trouble.lower()
    assert len(site.log.errors) == 1
    assert spool.keep("loki", [parcel(4)]) is not None
    assert put_ns_of(drained(spool)) == [0, 1, 2, 4]
    spool.close()


def test_a_spool_on_a_read_only_disk_begins_without_it(disk: Path) -> None:
    assert mount("-o", "remount,ro", str(disk))
    site = Site(disk)

    assert claim_spool(site.path, wait_seconds=0) is None
    spool = site.spool()
    assert spool.keep("loki", [parcel(0)]) is None
    assert len(site.log.errors) == 1
