"""Puts the logging of this process back to what it was, and writes and reads log files."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shipper.telemetry.log.file import SharedFile, older_files


@contextmanager
def logging_put_back() -> Iterator[logging.Logger]:
    """Hand out Shipper's own logger and undo afterwards what was set up on it."""
    root = logging.getLogger("shipper")
    handlers, level, propagate = root.handlers[:], root.level, root.propagate
    try:
        yield root
    finally:
        for outlet in root.handlers[:]:
            root.removeHandler(outlet)
            if outlet not in handlers:
                outlet.close()
        for outlet in handlers:
            root.addHandler(outlet)
        root.setLevel(level)
        root.propagate = propagate


def written(path: Path, kept: int) -> list[str]:
    """Return all lines, those of older files first."""
    return [
        line
        for each in older_files(path, kept)
        if each.exists()
        for line in each.read_text(encoding="utf-8").splitlines()
    ]


def say(file: SharedFile, text: str) -> None:
    """Write one line."""
    file.handle(logging.LogRecord("shipper", logging.INFO, "x.py", 1, text, (), None))
