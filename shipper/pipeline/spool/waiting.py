"""How many lines a spool should hold, in a file beside it: so what is missing is known when the spool is damaged."""

from __future__ import annotations

import os
from pathlib import Path

MOST_LINES = 10**12
"""No disk holds more."""

_DIGITS = 20


class WaitingNote:
    """The number as text. Written without waiting for the disk: it outlives a kill, and a power failure as a rule.

    It is written after lines came and before lines go, so that an end in between makes it say too little, never too
    much.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1

    def read(self) -> int | None:
        """Return the number; `None` when nobody wrote one, or it cannot be right."""
        try:
            lines = int(self.path.read_bytes())
        except (OSError, ValueError):
            return None
        return lines if 0 <= lines <= MOST_LINES else None

    def write(self, lines: int) -> None:
        """Write the number, if the disk lets us."""
        try:
            if self._file < 0:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._file = os.open(self.path, flags, 0o600)
            os.pwrite(self._file, f"{lines:{_DIGITS}d}\n".encode("ascii"), 0)
        except OSError:
            # A number that is not there is no harm: what is missing is then not known.
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
