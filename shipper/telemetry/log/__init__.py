"""Our own log lines: to the console, and to files when asked; as text or as JSON; repeats are summed up."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shipper.telemetry.log.file import FILE_BYTES, FILES_KEPT, SharedFile, older_files
from shipper.telemetry.log.forms import JsonFormatter, TextFormatter, fields_of, metric_of
from shipper.telemetry.log.poll import follow, followed, incarnation
from shipper.telemetry.log.repeats import Repeats

__all__ = [
    "LEVELS",
    "JsonFormatter",
    "LogSettings",
    "ShippedLines",
    "TextFormatter",
    "end_logging",
    "follow",
    "followed",
    "incarnation",
    "shipped_files",
    "start_logging",
    "tell_due",
]

LEVELS = ("debug", "info", "warning", "error")

SHIPPED_FILES_KEPT = 3
"""With the one that is written, 40 MiB of our own lines wait for a Loki that is away, and for a spool that is full."""


@dataclass(frozen=True, slots=True)
class ShippedLines:
    """Lines that are also kept in the state directory, for a source that ships them.

    Attributes:
        state_dir: The state directory.
        level: The least severe level that is kept.
        silent: Metrics whose lines are not kept: those that ship them, which would never come to an end.
    """

    state_dir: Path
    level: str
    silent: frozenset[str]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where our log lines go and how they look.

    Attributes:
        level: The least severe level that is written.
        form: `text` for people, `json` for machines.
        path: A rotating file beside the console; `None` for the console alone.
        console: False keeps the console free, for a screen that is drawn on.
        file_bytes: At which size the file is rotated; 0: never.
        files_kept: How many older files are kept.
        shipped: What is kept to be shipped; `None` for nothing.
    """

    level: str = "info"
    form: Literal["text", "json"] = "text"
    path: Path | None = None
    console: bool = True
    file_bytes: int = FILE_BYTES
    files_kept: int = FILES_KEPT
    shipped: ShippedLines | None = None


def start_logging(
    settings: LogSettings, *, metric: str = "", strict: bool = False
) -> logging.Logger:
    """Set up the logging of this process and return its logger.

    Args:
        settings: Where lines go and how they look.
        metric: Whose lines they are; empty for those of the supervisor and of commands.
        strict: Whether a file that cannot be opened is an error; else that is told with the first line.

    Raises:
        OSError: The file cannot be opened.
    """
    outlets: list[logging.Handler] = []
    formatter = JsonFormatter() if settings.form == "json" else TextFormatter()
    if settings.console:
        outlets.append(logging.StreamHandler(sys.stderr))
    if settings.path is not None:
        file = SharedFile(settings.path, max_bytes=settings.file_bytes, kept=settings.files_kept)
        if strict:
            file.open()
        outlets.append(file)
    for outlet in outlets:
        outlet.setFormatter(formatter)
        outlet.setLevel(settings.level.upper())
    if settings.shipped is not None:
        outlets.append(_shipped(settings.shipped))
    root = logging.getLogger("shipper")
    end_logging()
    follow()
    # Also without any outlet: Python's last resort would still write warnings to the console.
    root.addHandler(Repeats(outlets))
    root.setLevel(min((outlet.level for outlet in outlets), default=logging.CRITICAL))
    root.propagate = False
    return logging.getLogger(f"shipper.{metric}" if metric else "shipper")


def tell_due() -> None:
    """Write the sums of repeated lines that are due; to be called every few seconds."""
    for outlet in logging.getLogger("shipper").handlers:
        if isinstance(outlet, Repeats):
            outlet.tell_due()


def end_logging() -> None:
    """Write what is still to be said, and let go of console and files."""
    root = logging.getLogger("shipper")
    for outlet in root.handlers[:]:
        root.removeHandler(outlet)
        outlet.close()


def shipped_files(state_dir: Path) -> list[Path]:
    """Return where lines are kept that a source ships, oldest first, whether the files exist or not."""
    return [*older_files(_shipped_path(state_dir), SHIPPED_FILES_KEPT)]


def _shipped(lines: ShippedLines) -> logging.Handler:
    file = SharedFile(_shipped_path(lines.state_dir), kept=SHIPPED_FILES_KEPT)
    file.setFormatter(JsonFormatter())
    file.setLevel(lines.level.upper())

    def may_be_shipped(record: logging.LogRecord) -> bool:
        return not lines.silent & {metric_of(record), str(fields_of(record).get("worker", ""))}

    file.addFilter(may_be_shipped)
    return file


def _shipped_path(state_dir: Path) -> Path:
    return state_dir / "log" / "shipper.jsonl"
