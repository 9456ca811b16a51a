"""Makes labels legal for Loki and writes them as the selector that names a stream.

The rules and numbers are those of Loki 3.6 with its limits at their defaults. One illegal label name makes Loki
refuse the whole push, so names are changed rather than sent and refused:

- characters outside `[a-zA-Z0-9_]` become `_`, and a leading digit gets a `_` before it;
- two names that become the same are told apart by `_2`, `_3`, ..., legal ones first, the others in order;
- values lose their end beyond 2048 bytes, and an empty value is as good as no label, to Loki too;
- of more than 15 labels, `job`, `service_name` and `instance` stay, then the others in the order of their names;
  those that are left over travel as structured metadata of every record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

MAX_LABELS = 15
MAX_NAME_BYTES = 1024
MAX_VALUE_BYTES = 2048
KEPT_FIRST = ("job", "service_name", "instance")

CACHED_STREAMS = 4096

_ILLEGAL = re.compile("[^a-zA-Z0-9_]")

# The selector is read as Go string literals. Control characters, which such a literal may not hold, are escaped
# the way Go's own strconv.Quote does it, and so is the byte order mark, which Go's scanner skips.
_ESCAPES = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F)},
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    ord('"'): '\\"',
    ord("\\"): "\\\\",
    0xFEFF: "\\ufeff",
}


@dataclass(frozen=True, slots=True)
class LegalLabels:
    """Labels as Loki takes them.

    Attributes:
        labels: At most 15 labels with legal names and values.
        selector: The same as text, like `{job="show_locks", instance="db:5000"}`.
        moved: Labels beyond the 15, to be sent as structured metadata.
    """

    labels: Mapping[str, str]
    selector: str
    moved: Mapping[str, str]


class LabelBook:
    """Remembers what labels became, because the same ones come with every poll."""

    def __init__(self) -> None:
        self._legal = lru_cache(maxsize=CACHED_STREAMS)(legal_labels)

    def look_up(self, labels: Mapping[str, str]) -> LegalLabels:
        """Return the legal form of `labels`; the order they are given in makes no difference."""
        return self._legal(tuple(labels.items()))


def legal_labels(labels: Iterable[tuple[str, str]]) -> LegalLabels:
    """Return the legal form of pairs of names and values."""
    values = {name: legal for name, value in labels if (legal := legal_value(value))}
    named = {new: values[name] for name, new in _legal_names(values).items()}
    fixed = [name for name in KEPT_FIRST if name in named]
    others = sorted(named.keys() - set(fixed))
    ordered = [*fixed, *others]
    kept = {name: named[name] for name in ordered[:MAX_LABELS]}
    moved = {name: named[name] for name in ordered[MAX_LABELS:]}
    return LegalLabels(kept, selector_text(kept), moved)


def legal_value(value: str) -> str:
    """Return the value without lone surrogates, cut to 2048 bytes at the end of a character."""
    whole = value.encode("utf-8", "backslashreplace")
    return whole[:MAX_VALUE_BYTES].decode("utf-8", "ignore")


def selector_text(labels: Mapping[str, str]) -> str:
    """Write legal labels the way Loki reads them."""
    pairs = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return "{" + ", ".join(pairs) + "}"


def _legal_names(names: Iterable[str]) -> dict[str, str]:
    """Give every name a legal one of its own."""
    given: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names, key=lambda name: (name != _legal_name(name), name)):
        legal = _free_name(_legal_name(name), taken)
        taken.add(legal)
        given[name] = legal
    return given


def _legal_name(name: str) -> str:
    legal = _ILLEGAL.sub("_", name)
    if not legal or legal[0].isdigit():
        legal = f"_{legal}"
    return legal[:MAX_NAME_BYTES]


def _free_name(name: str, taken: set[str]) -> str:
    free, number = name, 1
    while free in taken:
        number += 1
        suffix = f"_{number}"
        free = name[: MAX_NAME_BYTES - len(suffix)] + suffix
    return free
