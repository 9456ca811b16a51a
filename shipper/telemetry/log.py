"""Our own log lines: to the console, and to a rotating file when asked; as text or as JSON."""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from shipper.core.words import harmless

LEVELS = ("debug", "info", "warning", "error")
FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where our log lines go and how they look.

    Attributes:
        level: The least severe level that is written.
        form: `text` for people, `json` for machines.
        path: A rotating file beside the console; `None` for the console alone.
        console: False keeps the console free, for a screen that is drawn on.
    """

    level: str = "info"
    form: Literal["text", "json"] = "text"
    path: Path | None = None
    console: bool = True


def start_logging(settings: LogSettings, *, metric: str = "") -> logging.Logger:
    """Set up the logging of this process and return its logger.

    Every worker opens the same file in append mode; only the supervisor (no `metric`) rotates it, and workers
    follow because they reopen a file that was moved.

    Raises:
        OSError: The file cannot be opened.
    """
    outlets: list[logging.Handler] = []
    if settings.console:
        outlets.append(logging.StreamHandler(sys.stderr))
    if settings.path is not None:
        outlets.append(_file(settings.path, rotates=not metric))
    if not outlets:
        # Without any outlet Python's last resort would still write warnings to the console.
        outlets.append(logging.NullHandler())
    formatter = JsonFormatter() if settings.form == "json" else TextFormatter()
    root = logging.getLogger("shipper")
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for outlet in outlets:
        outlet.setFormatter(formatter)
        root.addHandler(outlet)
    root.setLevel(settings.level.upper())
    root.propagate = False
    return logging.getLogger(f"shipper.{metric}" if metric else "shipper")


class TextFormatter(logging.Formatter):
    """`2026-11-22T01:02:03.456Z INFO  [show_locks] Shipped 2 lines.`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, plus the traceback where there is one; what a far end wrote is no order to a terminal."""
        metric = _metric(record)
        place = f"[{metric}] " if metric else ""
        text = f"{_time(record)} {record.levelname:<7} {place}{record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return harmless(text)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `metric`, `message`, and `traceback` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        content = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "metric": _metric(record),
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in content.items() if value})


def _file(path: Path, *, rotates: bool) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not rotates:
        return logging.handlers.WatchedFileHandler(
            path, encoding="utf-8", errors="backslashreplace"
        )
    return logging.handlers.RotatingFileHandler(
        path,
        maxBytes=FILE_BYTES,
        backupCount=FILES_KEPT,
        encoding="utf-8",
        errors="backslashreplace",
    )


def _metric(record: logging.LogRecord) -> str:
    return record.name.removeprefix("shipper").lstrip(".")


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
