"""One process at a time works on a spool."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from threading import Timer

import pytest

from shipper.pipeline.spool import SpoolTaken, claim_spool


def test_a_claim_makes_a_lock_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "spool" / "m.db"
    lock = claim_spool(path, wait_seconds=0)
    assert lock is not None
    os.close(lock)

    assert stat.S_IMODE((tmp_path / "spool" / "m.lock").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    assert not path.exists()


def test_a_second_claim_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    lock = claim_spool(path, wait_seconds=0)
    assert lock is not None
    with pytest.raises(SpoolTaken, match=r"another process works on .*m\.db"):
        claim_spool(path, wait_seconds=0)
    os.close(lock)


def test_a_claim_waits_for_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    lock = claim_spool(path, wait_seconds=0)
    assert lock is not None
    timer = Timer(0.05, os.close, [lock])
    timer.start()
    second = claim_spool(path, wait_seconds=30)
    timer.join()

    assert second is not None
    os.close(second)


def test_spools_of_two_metrics_do_not_disturb_each_other(tmp_path: Path) -> None:
    locks = [claim_spool(tmp_path / name, wait_seconds=0) for name in ("a.db", "b.db")]

    assert all(lock is not None for lock in locks)
    for lock in locks:
        assert lock is not None
        os.close(lock)


def test_where_no_lock_can_be_made_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")

    assert claim_spool(tmp_path / "spool" / "m.db", wait_seconds=0) is None


def test_a_file_system_without_locks_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_file: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)

    assert claim_spool(tmp_path / "m.db", wait_seconds=0) is None
