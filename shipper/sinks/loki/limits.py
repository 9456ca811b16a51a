"""Reads the limits of a Loki from its `/config`, and says where they clash with what is sent.

`/config` is YAML as Go writes it (Loki 3.6): one key a line, sizes like `256KB` (a KB is 1024 bytes) and durations
like `1w` or `10m0s`. Only plain values directly under `limits_config` are read, which needs no YAML library. What an
operator allows single tenants (`overrides`) does not stand there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import dropwhile, islice, takewhile
from typing import Any

from shipper.core.checks import Finding, Outcome
from shipper.core.errors import SinkUnavailable
from shipper.core.words import KIB, MIB, size
from shipper.sinks.loki.check import NOT_TRIED
from shipper.sinks.loki.client import Client
from shipper.sinks.loki.labels import MAX_LABELS
from shipper.sinks.loki.metadata import MAX_PAIRS, MAX_PAIRS_BYTES
from shipper.sinks.loki.prepare import MAX_LINE_BYTES

CONFIG_PATH = "/config"

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class LokiLimits:
    """The limits that matter to who pushes; every default is Loki 3.6's.

    Sizes are bytes, rates bytes per second. In `max_line_bytes`, `max_streams`, `max_metadata_bytes` and
    `max_metadata_pairs` 0 means that there is no limit.
    """

    rate_bytes: int = 4 * MIB
    burst_bytes: int = 6 * MIB
    stream_rate_bytes: int = 3 * MIB
    stream_burst_bytes: int = 15 * MIB
    max_streams: int = 5000
    max_label_names: int = 15
    max_label_name_bytes: int = 1024
    max_label_value_bytes: int = 2048
    max_line_bytes: int = 256 * KIB
    cuts_lines: bool = False
    refuses_old: bool = True
    old_seconds: int = 7 * DAY_SECONDS
    new_seconds: int = 600
    takes_metadata: bool = True
    max_metadata_bytes: int = 64 * KIB
    max_metadata_pairs: int = 128


def read_limits(client: Client) -> LokiLimits | None:
    """Ask for the limits; `None` when Loki, or a gateway before it, does not show them.

    Raises:
        SinkUnavailable: There was no answer.
    """
    answer = client.request("GET", CONFIG_PATH)
    written = _block(answer.text, "limits_config") if answer.status == 200 else {}
    return _understood(written) if written else None


def check_loki_limits(client: Client, *, max_batch_bytes: int, metadata: bool) -> Finding:
    """Say what the limits are, and note those that will refuse something.

    Args:
        client: Loki.
        max_batch_bytes: The most that one push of ours weighs.
        metadata: Whether lines will carry structured metadata.
    """
    try:
        limits = read_limits(client)
    except SinkUnavailable:
        return Finding(Outcome.FAILED, NOT_TRIED)
    finally:
        client.close()
    if limits is None:
        return Finding(Outcome.PASSED, "its limits cannot be read here; defaults are assumed")
    clashes = _clashes(limits, max_batch_bytes=max_batch_bytes, metadata=metadata)
    if not clashes:
        return Finding(Outcome.PASSED, _sentence(limits))
    facts, hints = zip(*clashes, strict=True)
    return Finding(Outcome.NOTED, "; ".join(facts), "; ".join(hints))


def _clashes(limits: LokiLimits, *, max_batch_bytes: int, metadata: bool) -> list[tuple[str, str]]:
    """Return what will be refused, each with what to do about it."""
    clashes = []
    burst_bytes = min(limits.burst_bytes, limits.stream_burst_bytes)
    if max_batch_bytes > burst_bytes:
        fact = f"a push of {size(max_batch_bytes)} is above the burst of {size(burst_bytes)}"
        hint = f"set loki.max_batch_bytes to {burst_bytes} or less"
        clashes.append((fact, hint))
    if 0 < limits.max_line_bytes < MAX_LINE_BYTES and not limits.cuts_lines:
        fact = f"lines over {size(limits.max_line_bytes)} are refused"
        clashes.append((fact, f"raise Loki's max_line_size to {MAX_LINE_BYTES // KIB}KB"))
    if limits.max_label_names < MAX_LABELS:
        fact = f"lines with more than {limits.max_label_names} labels are refused"
        clashes.append((fact, "see that no metric has more, or raise max_label_names_per_series"))
    if metadata and (refused := _refused_metadata(limits)):
        clashes.append((refused, "see to limits_config of Loki, or use no metadata_fields"))
    return clashes


def _refused_metadata(limits: LokiLimits) -> str:
    if not limits.takes_metadata:
        return "lines with structured metadata are refused (allow_structured_metadata is false)"
    if 0 < limits.max_metadata_pairs < MAX_PAIRS:
        return f"lines with more than {limits.max_metadata_pairs} metadata fields are refused"
    if 0 < limits.max_metadata_bytes < MAX_PAIRS_BYTES:
        return f"lines with more than {size(limits.max_metadata_bytes)} of metadata are refused"
    return ""


def _sentence(limits: LokiLimits) -> str:
    line = f"lines to {size(limits.max_line_bytes)}" if limits.max_line_bytes else "any line"
    old = f"{_duration(limits.old_seconds)} old" if limits.refuses_old else "any age"
    new = f"{_duration(limits.new_seconds)} ahead"
    rate = f"{size(limits.rate_bytes)}/s, {size(limits.burst_bytes)} at once"
    return f"{line}, {limits.max_label_names} labels, {old} to {new}, {rate}"


def _duration(seconds: int) -> str:
    for unit, unit_seconds in (("days", DAY_SECONDS), ("h", 3600), ("min", 60)):
        if seconds >= unit_seconds:
            return f"{seconds / unit_seconds:g} {unit}"
    return f"{seconds} s"


def _block(text: str, name: str) -> dict[str, str]:
    """Return the plain values directly under a top-level key."""
    following = dropwhile(lambda line: line.rstrip() != f"{name}:", text.splitlines())
    inside = list(takewhile(lambda line: line.startswith(" "), islice(following, 1, None)))
    indent = inside[0][: len(inside[0]) - len(inside[0].lstrip())] if inside else ""
    value = re.compile(rf"{indent}(?P<key>\w+): (?P<value>\S.*)")
    found = (value.fullmatch(line) for line in inside)
    return {one["key"]: one["value"].strip("\"' ") for one in found if one is not None}


def _understood(written: Mapping[str, str]) -> LokiLimits:
    # Sizes and times are numbers, and two limits are flags; one that is not understood keeps Loki's default.
    values: dict[str, Any] = {}
    for key, text in written.items():
        if key in _KEYS:
            name, read = _KEYS[key]
            value = read(text)
            if value is not None:
                values[name] = value
    return LokiLimits(**values)


_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>[KMGT]?)(?:i?B)?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "K": KIB, "M": MIB, "G": 1024 * MIB, "T": 1024 * 1024 * MIB}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdwy]))+|0")
_DURATION_PART = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|[smhdwy])")
_DURATION_UNITS = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": DAY_SECONDS,
    "w": 7 * DAY_SECONDS,
    "y": 365 * DAY_SECONDS,
}


def _bytes(text: str) -> int | None:
    size = _SIZE.fullmatch(text)
    return None if size is None else int(float(size["number"]) * _SIZE_UNITS[size["unit"].upper()])


def _megabytes(text: str) -> int | None:
    try:
        return round(float(text) * MIB)
    except (ValueError, OverflowError):
        return None


def _seconds(text: str) -> int | None:
    if not _DURATION.fullmatch(text):
        return None
    parts = _DURATION_PART.finditer(text)
    return int(sum(float(part["number"]) * _DURATION_UNITS[part["unit"]] for part in parts))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _flag(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


_KEYS: Mapping[str, tuple[str, Callable[[str], int | None]]] = {
    "ingestion_rate_mb": ("rate_bytes", _megabytes),
    "ingestion_burst_size_mb": ("burst_bytes", _megabytes),
    "per_stream_rate_limit": ("stream_rate_bytes", _bytes),
    "per_stream_rate_limit_burst": ("stream_burst_bytes", _bytes),
    "max_global_streams_per_user": ("max_streams", _number),
    "max_label_names_per_series": ("max_label_names", _number),
    "max_label_name_length": ("max_label_name_bytes", _number),
    "max_label_value_length": ("max_label_value_bytes", _number),
    "max_line_size": ("max_line_bytes", _bytes),
    "max_line_size_truncate": ("cuts_lines", _flag),
    "reject_old_samples": ("refuses_old", _flag),
    "reject_old_samples_max_age": ("old_seconds", _seconds),
    "creation_grace_period": ("new_seconds", _seconds),
    "allow_structured_metadata": ("takes_metadata", _flag),
    "max_structured_metadata_size": ("max_metadata_bytes", _bytes),
    "max_structured_metadata_entries_count": ("max_metadata_pairs", _number),
}
