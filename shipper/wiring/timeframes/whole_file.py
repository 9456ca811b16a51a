"""Writes files that are there whole, or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from shipper.core.errors import ConfigError, StartupError

UNFINISHED = ".part"


@contextmanager
def whole_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Give a file to write to; it gets its name when the block has ended without an error, and is on disk then.

    Args:
        path: Its name.
        force: Whether a file of that name may be replaced.

    Raises:
        ConfigError: There is such a file, or something that is no file.
        StartupError: It cannot be written.
    """
    target = path.resolve()
    _see_that_it_may_be_written(path, target, force=force)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}{UNFINISHED}")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _see_that_it_may_be_written(path, target, force=force)
        unfinished.replace(target)
    except OSError as error:
        raise StartupError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _see_that_it_may_be_written(path: Path, target: Path, *, force: bool) -> None:
    try:
        mode = target.stat().st_mode
    except OSError:
        return  # not there, or whoever opens it is told why it cannot be
    if not stat.S_ISREG(mode):
        raise ConfigError(f"--output: {path} is no regular file; - means standard output")
    if not force:
        raise ConfigError(f"--output: {path} is there already; --force replaces it")
