"""Takes the MD5 of a file that somebody else may still be writing, and never waits for a file that is none."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

REMEMBERED = 10_000
"""Files; one write to the database has 5,000 records at most."""

_State = tuple[int, ...]

_MISSING = (errno.ENOENT, errno.ENOTDIR)

# A FIFO that took the place of a file would be waited for without O_NONBLOCK, for which files do not care.
_CAUTIOUSLY = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotHashed(Exception):
    """A file has no MD5.

    Attributes:
        reason: One word or two for a counter's label.
        answer: The path, and what is wrong with it.
        for_good: Whether it is no use to try again.
    """

    def __init__(self, reason: str, answer: str, *, for_good: bool = False) -> None:
        super().__init__(answer)
        self.reason = reason
        self.answer = answer
        self.for_good = for_good


class Digests:
    """Takes MD5s, and remembers those of files that stay as they are: a batch may have to be written many times."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[_State, bytes]] = {}

    def md5_of(self, path: str) -> bytes:
        """Return the 16 bytes of a file's MD5.

        Raises:
            NotHashed: It is not there, cannot be read, changed meanwhile, or is no regular file.
        """
        try:
            state = _state(path, Path(path).stat())
            known = self._known.pop(path, None)
            md5 = known[1] if known is not None and known[0] == state else _read(path, state)
        except OSError as error:
            raise _not_hashed(path, error) from error
        self._known[path] = (state, md5)
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return md5


def _read(path: str, before: _State) -> bytes:
    with os.fdopen(os.open(path, _CAUTIOUSLY), "rb", buffering=0) as content:
        opened = _state(path, os.fstat(content.fileno()))
        digest = hashlib.file_digest(content, _md5).digest()
    if not before == opened == _state(path, Path(path).stat()):
        raise NotHashed("file_changing", f"{path}: changed while it was read")
    return digest


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)


def _state(path: str, status: os.stat_result) -> _State:
    """Return what changes when a regular file changes."""
    if not stat.S_ISREG(status.st_mode):
        raise NotHashed("not_a_file", f"{path}: not a regular file", for_good=True)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _not_hashed(path: str, error: OSError) -> NotHashed:
    reason = "file_missing" if error.errno in _MISSING else "file_unreadable"
    name = errno.errorcode.get(error.errno or 0, "?")
    return NotHashed(reason, f"{path}: {error.strerror} ({name})")
