"""A log file that many processes append to and any of them rotates; trouble with it never reaches who logs.

A line is one write to a file in append mode, so that lines of several processes do not mix. Whoever finds the file
full moves it aside under a lock; the others see that the path is another file, and follow. So they do when logrotate
moves it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from shipper.core.words import counted

FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5


class SharedFile(logging.Handler):
    """Appends lines to a file, and keeps some older ones beside it: `NAME.1` is the newest of them."""

    def __init__(self, path: Path, *, max_bytes: int = FILE_BYTES, kept: int = FILES_KEPT) -> None:
        """Take note of the file; it is opened with the first line.

        Args:
            path: The file; its folder is made.
            max_bytes: At which size it is moved aside; 0: never, somebody else does that.
            kept: How many older ones are kept.
        """
        super().__init__()
        self.path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._file = -1
        self._identity = (0, 0)
        self._unwritten = 0
        self._torn = False

    def open(self) -> None:
        """Open the file, anew where the path leads to another one by now.

        Raises:
            OSError: It cannot be written.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            found = None
        if self._file >= 0 and found and (found.st_dev, found.st_ino) == self._identity:
            self._rotate(found.st_size)
            return
        self._let_go()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o666)
        opened = os.fstat(self._file)
        self._identity = (opened.st_dev, opened.st_ino)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a file that cannot be written is told once on the console."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        except Exception:  # noqa: BLE001 - as other handlers do: a line that cannot be made harms nobody
            self.handleError(record)
            return
        try:
            self.open()
            self._write(line)
        except OSError as error:
            self._unwritten += 1
            if self._unwritten == 1:
                _complain(
                    f"{self.path} cannot be written: {error.strerror}. Lines are missing there."
                )
            return
        if self._unwritten:
            missing = counted(self._unwritten, "line", ("is", "are"))
            _complain(f"{self.path} is written again; {missing} missing there.")
            self._unwritten = 0

    def close(self) -> None:
        """Let go of the file."""
        self._let_go()
        super().close()

    def _write(self, line: bytes) -> None:
        # What stands before a full disk took only half of it ends here, so that this line stands alone.
        left = b"\n" + line if self._torn else line
        whole = len(left)
        while left:
            try:
                left = left[os.write(self._file, left) :]
            except OSError:
                self._torn = self._torn or len(left) < whole
                raise
        self._torn = False

    def _rotate(self, size_bytes: int) -> None:
        """Move a file aside that is full; whoever comes second finds another file at its path."""
        if not self._max_bytes or size_bytes < self._max_bytes:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # somebody else is at it; this line still goes to the old one
        try:
            if self._is_still_there():
                files = older_files(self.path, self._kept)
                for older, newer in pairwise(files):
                    if newer.exists():
                        newer.replace(older)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self.open()

    def _is_still_there(self) -> bool:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _let_go(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def older_files(path: Path, kept: int) -> Sequence[Path]:
    """Return the paths of a log file and of those that were moved aside, oldest first, whether they exist or not."""
    return [*(path.with_name(f"{path.name}.{number}") for number in range(kept, 0, -1)), path]


def _complain(text: str) -> None:
    """Say something on the console, which may be gone as well."""
    try:
        sys.stderr.write(f"shipper: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return
