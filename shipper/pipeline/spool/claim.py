"""One process at a time works on a spool, also while the one before it is still ending."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

LOOK_AGAIN_SECONDS = 0.02


class SpoolTaken(Exception):
    """Another process works on the spool and does not let go of it."""


def claim_spool(path: Path, *, wait_seconds: float) -> int | None:
    """Claim the spool at `path` until this process ends, however it ends, and return the open lock.

    Returns:
        A file descriptor; `None` where no lock can be made, because the disk is full or read-only and nothing can be
        written to the spool either, or because the file system knows no locks.

    Raises:
        SpoolTaken: Somebody else holds it for longer than `wait_seconds`.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    until = time.monotonic() + wait_seconds
    try:
        while not _locked(lock):
            if time.monotonic() > until:
                os.close(lock)
                raise SpoolTaken(f"another process works on {path} and does not end")
            time.sleep(LOOK_AGAIN_SECONDS)
    except OSError:
        os.close(lock)
        return None
    return lock


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
