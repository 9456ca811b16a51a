"""How a line looks: text for people, JSON for machines.

An event is logged with a template and a mapping, `log.warning("%(sink)s is away.", {"sink": name})`: the text is made
of both, and the mapping becomes the fields of the JSON object. Secrets are struck out of either.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from shipper.core.secrecy import redacted
from shipper.core.words import harmless
from shipper.telemetry.log.repeats import repeated_text, repeats_of


class TextFormatter(logging.Formatter):
    """`2026-11-22T01:02:03.456Z WARNING [show_locks] The poll failed: it hung up. (show_locks-3f2a.17)`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, plus the traceback where there is one; what a far end wrote is no order to a terminal."""
        metric, poll = metric_of(record), poll_of(record)
        place = f"[{metric}] " if metric else ""
        behind = f" ({poll})" if poll else ""
        moment = _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = f"{record.getMessage()}{repeated_text(record)}{behind}"
        text = f"{moment} {record.levelname:<7} {place}{message}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return harmless(redacted(text))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `metric`, `poll`, `event`, `message`, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        fields = fields_of(record)
        repeats = repeats_of(record)
        content: dict[str, object] = {
            "time": _moment(record).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "metric": metric_of(record),
            "poll": poll_of(record),
            "event": fields.get("event", ""),
            "message": f"{record.getMessage()}{repeated_text(record)}",
            "repeats": 0 if repeats is None else repeats.count,
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        written = {key: value for key, value in content.items() if value}
        own = {key: value for key, value in fields.items() if key not in content}
        return json.dumps({key: _plain(value) for key, value in {**written, **own}.items()})


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """Return the fields of an event; none where the template was filled in another way."""
    return record.args if isinstance(record.args, Mapping) else {}


def metric_of(record: logging.LogRecord) -> str:
    """Return the metric whose line it is; empty for the supervisor's."""
    return record.name.removeprefix("shipper").lstrip(".")


def poll_of(record: logging.LogRecord) -> str:
    """Return the poll that the line belongs to; empty for none."""
    return str(getattr(record, "poll", ""))


def _plain(value: object) -> object:
    """Return a number as it is, and anything else as text without secrets."""
    if isinstance(value, float):
        return round(value, 6)
    return value if isinstance(value, int) or value is None else redacted(str(value))


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)
