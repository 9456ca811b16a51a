"""What Loki's distributor checks of each stream and entry before anything is stored.

A failing stream or entry is left out with a fault, and the others go on. Texts as in Loki 3.6.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from shipper.demo.log_store.golang import NS_PER_SECOND, quote, rfc3339, utf8_bytes
from shipper.demo.log_store.labels import Labels, format_labels
from shipper.demo.log_store.levels import DETECTED_LEVEL, level_in, level_of_line
from shipper.demo.log_store.limits import Limits
from shipper.demo.log_store.pushed import AcceptedEntry, AcceptedStream, Entry, PushedStream
from shipper.demo.log_store.refusal import Refused

_SEE_LIMITS = "Please see `limits_config.{}` or contact your Loki administrator to increase it."
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9]+", re.ASCII)


@dataclass(slots=True)
class Faults:
    """The refusals of single streams and entries, counted by text and by reason."""

    texts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, text: str, *, entries: int = 1) -> None:
        """Count one refusal that leaves out `entries` entries."""
        self.texts[text] += 1
        self.reasons[reason] += entries

    def sentence(self) -> str:
        """Return the one text, or all of them grouped as Loki groups them."""
        if self.texts.total() == 1:
            return next(iter(self.texts))
        return "; ".join(f"{count} errors like: {text}" for text, count in self.texts.items())


def checked_stream(
    stream: PushedStream, *, limits: Limits, now_ns: int, faults: Faults
) -> AcceptedStream | None:
    """Return the stream with its good entries, or None when nothing of it is good.

    Raises:
        Refused: A metadata name that Loki answers with 500; nothing of the push may be stored.
    """
    text = format_labels(stream.labels)
    if label_fault := _label_fault(stream.labels, text, limits):
        reason, sentence = label_fault
        faults.add(reason, sentence, entries=len(stream.entries))
        return None
    check = _EntryCheck(stream.labels, text, limits, now_ns)
    accepted = [kept for entry in stream.entries if (kept := check.accept(entry, faults))]
    return AcceptedStream(stream.labels, text, accepted) if accepted else None


def _label_fault(labels: Labels, text: str, limits: Limits) -> tuple[str, str] | None:
    # service_name is not counted: Loki itself may have added it.
    count = len(labels) - 1
    if count > limits.max_label_names:
        sentence = (
            f"entry for stream '{text}' has {count} label names; limit {limits.max_label_names}"
        )
        return "max_label_names_per_series", sentence
    previous = None
    for name, value in labels:
        if utf8_bytes(name) > limits.max_label_name_bytes:
            return "label_name_too_long", f"stream '{text}' has label name too long: '{name}'"
        if utf8_bytes(value) > limits.max_label_value_bytes:
            return "label_value_too_long", f"stream '{text}' has label value too long: '{value}'"
        if name == previous:
            return "duplicate_label_names", f"stream '{text}' has duplicate label name: '{name}'"
        previous = name
    return None


class _EntryCheck:
    """The checks of one stream's entries; made once a stream, because entries are many."""

    def __init__(self, labels: Labels, text: str, limits: Limits, now_ns: int) -> None:
        self._text = text
        self._limits = limits
        self._oldest_ns = now_ns - limits.old_seconds * NS_PER_SECOND
        self._newest_ns = now_ns + limits.new_seconds * NS_PER_SECOND
        self._level = level_in(labels)

    def accept(self, entry: Entry, faults: Faults) -> AcceptedEntry | None:
        line_bytes = utf8_bytes(entry.line)
        if not self._oldest_ns <= entry.time_ns <= self._newest_ns:
            self._refuse_time(entry, faults)
            return None
        if line_bytes > self._limits.max_line_bytes:
            self._refuse_line(line_bytes, faults)
            return None
        metadata = entry.metadata
        size_bytes = line_bytes
        if metadata:
            metadata_bytes = _metadata_bytes(metadata)
            if self._refuse_metadata(len(metadata), metadata_bytes, faults):
                return None
            metadata = _normalised(metadata)
            size_bytes += _metadata_bytes(metadata)
        metadata = self._with_level(metadata, entry.line)
        return AcceptedEntry(entry.time_ns, entry.line, metadata, line_bytes, size_bytes)

    def _with_level(
        self, metadata: tuple[tuple[str, str], ...], line: str
    ) -> tuple[tuple[str, str], ...]:
        if any(name == DETECTED_LEVEL for name, _ in metadata):
            return metadata
        level = self._level
        if level is None and metadata:
            level = level_in(metadata)
        if level is None:
            level = level_of_line(line)
        return (*metadata, (DETECTED_LEVEL, level)) if level else metadata

    def _refuse_time(self, entry: Entry, faults: Faults) -> None:
        start = f"entry for stream '{self._text}' has timestamp"
        time = rfc3339(entry.time_ns)
        if entry.time_ns > self._newest_ns:
            faults.add("too_far_in_future", f"{start} too new: {time}")
            return
        oldest = f"oldest acceptable timestamp is: {rfc3339(self._oldest_ns)}"
        faults.add("greater_than_max_sample_age", f"{start} too old: {time}, {oldest}")

    def _refuse_line(self, line_bytes: int, faults: Faults) -> None:
        faults.add(
            "line_too_long",
            f"max entry size '{self._limits.max_line_bytes}' bytes exceeded for stream "
            f"'{self._text}' while adding an entry with length '{line_bytes}' bytes",
        )

    def _refuse_metadata(self, count: int, metadata_bytes: int, faults: Faults) -> bool:
        limits = self._limits
        if not limits.allow_metadata:
            faults.add(
                "disallowed_structured_metadata",
                f"stream '{self._text}' includes structured metadata, but this feature is "
                "disallowed. Please see `limits_config.allow_structured_metadata` or contact your "
                "Loki administrator to enable it.",
            )
            return True
        if metadata_bytes > limits.max_metadata_bytes:
            faults.add(
                "structured_metadata_too_large",
                f"stream '{self._text}' has structured metadata too large: '{metadata_bytes}' "
                f"bytes, limit: '{limits.max_metadata_bytes}' bytes. "
                + _SEE_LIMITS.format("max_structured_metadata_size"),
            )
            return True
        if count > limits.max_metadata_entries:
            faults.add(
                "structured_metadata_too_many",
                f"stream '{self._text}' has too many structured metadata labels: '{count}', "
                f"limit: '{limits.max_metadata_entries}'. "
                + _SEE_LIMITS.format("max_structured_metadata_entries_count"),
            )
            return True
        return False


def _metadata_bytes(metadata: tuple[tuple[str, str], ...]) -> int:
    # Loki leaves the level out of the size, whoever added it.
    return sum(
        utf8_bytes(name) + utf8_bytes(value) for name, value in metadata if name != DETECTED_LEVEL
    )


def _normalised(metadata: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    # Loki 3.6 turns invalid UTF-8 of a metadata value into spaces; of a line, into U+FFFD.
    return tuple((_normal_name(name), value.replace("\ufffd", " ")) for name, value in metadata)


def _normal_name(name: str) -> str:
    if not name:
        raise Refused(500, "label name is empty")
    normal = _NOT_IN_NAME.sub("_", name)
    if normal[0].isdigit():
        normal = f"key_{normal}"
    if normal == "_":
        found = f'{quote(name)} resulted in invalid name "_"'
        raise Refused(500, f"normalization for label name {found}")
    return normal
