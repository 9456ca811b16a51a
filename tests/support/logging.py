"""Puts the logging of this process back to what it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


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
