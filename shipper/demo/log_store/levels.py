"""Finds the level of an entry, the `detected_level` that Loki 3.6 adds as structured metadata.

A label named like a level wins, then metadata, then a JSON key (two levels deep) or a logfmt key of
the line, then words such as [error] in it. What tells nothing is "unknown".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import orjson

DETECTED_LEVEL: Final = "detected_level"

_UNKNOWN = "unknown"
_FIELDS = (
    "level",
    "LEVEL",
    "Level",
    "log.level",
    "severity",
    "SEVERITY",
    "Severity",
    "SeverityText",
    "lvl",
    "LVL",
    "Lvl",
    "severity_text",
    "Severity_Text",
    "SEVERITY_TEXT",
)
_FIELD_SET = frozenset(_FIELDS)
_NAMES = {
    "trace": "trace",
    "trc": "trace",
    "debug": "debug",
    "dbg": "debug",
    "info": "info",
    "inf": "info",
    "information": "info",
    "warn": "warn",
    "wrn": "warn",
    "warning": "warn",
    "error": "error",
    "err": "error",
    "critical": "critical",
    "fatal": "fatal",
}
# In this order, and only wholly lower or upper case, as Loki looks for them.
_WORDS = (
    ("info", ("info", "INFO")),
    ("error", ("err:", "ERR:", "[err]", "[ERR]", "[error]", "[ERROR]")),
    ("warn", ("warn:", "WARN:", "[warn]", "[WARN]", "warning", "WARNING")),
    ("critical", ("critical:", "CRITICAL:", "[critical]", "[CRITICAL]")),
    ("debug", ("debug", "DEBUG")),
)
_JSON_KEY = re.compile(r'"(?:log\.level|level|severity(?:_?text)?|lvl)"', re.IGNORECASE)
_LOGFMT_KEYS = tuple(dict.fromkeys(f" {name.lower()}=" for name in _FIELDS))
_JSON_DEPTH = 2


def level_in(pairs: Iterable[tuple[str, str]]) -> str | None:
    """Return the level named by a label or by metadata, or None when none is named."""
    named = {name: value for name, value in pairs if name in _FIELD_SET}
    for field in _FIELDS:
        if field in named:
            return _NAMES.get(named[field].lower(), named[field])
    return None


def level_of_line(line: str) -> str:
    """Return the level that the line itself tells, or "unknown"."""
    told = _told_level(line)
    return _NAMES.get(told.lower()) or _level_by_words(line)


def _told_level(line: str) -> str:
    stripped = line.strip()
    if stripped.startswith("{") and stripped.endswith("}"):
        return _json_level(stripped)
    return _logfmt_level(line) if "=" in line else ""


def _json_level(line: str) -> str:
    if not _JSON_KEY.search(line):
        return ""
    try:
        return _level_in_object(orjson.loads(line), _JSON_DEPTH) or ""
    except orjson.JSONDecodeError:
        return ""


def _level_in_object(document: object, depth: int) -> str | None:
    if depth == 0 or not isinstance(document, dict):
        return None
    for key, value in document.items():
        if isinstance(value, str) and key in _FIELD_SET:
            return value
        if (found := _level_in_object(value, depth - 1)) is not None:
            return found
    return None


def _logfmt_level(line: str) -> str:
    # Looking for each key is several times faster than cutting every line into pairs.
    padded = f" {line.lower()}"
    for key in _LOGFMT_KEYS:
        _, found, rest = padded.partition(key)
        if found:
            return rest.partition(" ")[0].strip('"')
    return ""


def _level_by_words(line: str) -> str:
    for level, words in _WORDS:
        if any(word in line for word in words):
            return level
    return _UNKNOWN
