"""What a Prometheus metric may be called: the rules that `promtool check metrics` goes by, told before anything runs.

Source: Prometheus documentation, "Metric and label naming", and the linter of client_golang.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

BASE_UNITS: Mapping[str, Mapping[str, float | None]] = {
    "seconds": {
        "nanoseconds": 1e-9,
        "microseconds": 1e-6,
        "milliseconds": 0.001,
        "minutes": 60,
        "hours": 3600,
        "days": 86400,
        "weeks": 604800,
        "ns": 1e-9,
        "us": 1e-6,
        "ms": 0.001,
        "s": 1,
        "sec": 1,
        "m": 60,
        "h": 3600,
        "d": 86400,
    },
    "bytes": {
        "kilobytes": 1e3,
        "megabytes": 1e6,
        "gigabytes": 1e9,
        "terabytes": 1e12,
        "petabytes": 1e15,
        "kibibytes": 2**10,
        "mebibytes": 2**20,
        "gibibytes": 2**30,
        "tebibytes": 2**40,
        "bits": 0.125,
        "b": 1,
        "kb": 1e3,
        "mb": 1e6,
        "gb": 1e9,
        "tb": 1e12,
        "pb": 1e15,
    },
    "meters": {"kilometers": 1000, "centimeters": 0.01, "millimeters": 0.001, "micrometers": 1e-6},
    "celsius": {"fahrenheit": None},
    "ratio": {"percent": 0.01, "percentage": 0.01, "pct": 0.01},
}
"""The unit that a name should have, by the words that stand for others, with what makes it of them."""

BASE_UNIT_OF = {
    word: (unit, scale) for unit, words in BASE_UNITS.items() for word, scale in words.items()
}
TYPES = ("gauge", "counter", "histogram", "summary")
OF_HISTOGRAMS = ("_bucket", "_sum", "_count")
OURS = "shipper_"
KEPT_LABELS = {"le": "histograms", "quantile": "summaries"}
"""Labels that Prometheus gives itself."""

PLAIN = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)


def name_objection(name: str, kind: str) -> str:
    """Return what is wrong with the name of a metric of this kind, and what would be right; nothing when it is fine."""
    stem = name.removesuffix("_total")
    words = stem.split("_")
    if name.startswith(OURS):
        return f'"{name}": names with {OURS} are our own'
    if not PLAIN.fullmatch(name):
        words_apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
        plain = re.sub(r"[^a-z0-9]+", "_", words_apart).strip("_")
        better = f'; call it "{plain}"' if PLAIN.fullmatch(plain) else ""
        return f'"{name}": a name has small letters, digits and _ only{better}'
    if kind == "counter" and name == stem:
        return f'"{name}": the name of a counter ends in _total; call it "{name}_total"'
    if kind != "counter" and name != stem:
        return f'"{name}": only the name of a counter ends in _total; call it "{stem}", or add "type": "counter"'
    if name.endswith(OF_HISTOGRAMS):
        ending = name[name.rindex("_") :]
        return f'"{name}": Prometheus adds {ending} itself; call it "{name.removesuffix(ending)}"'
    for word in words[1:]:
        if word in TYPES:
            return f'"{name}": a name does not tell the type; leave {word} out'
    return _unit_objection(name, words)


def _unit_objection(name: str, words: list[str]) -> str:
    for place, word in enumerate(words[1:], start=1):
        if word in BASE_UNIT_OF:
            unit, scale = BASE_UNIT_OF[word]
            better = "_".join([*words[:place], unit, *words[place + 1 :]])
            better += "_total" if name.endswith("_total") else ""
            how = "" if scale in (None, 1) else f', with "scale": {scale:g}'
            return f'"{name}": the base unit is {unit}, not {word}; call it "{better}"{how}'
    return ""


def label_objection(name: str) -> str:
    """Return what is wrong with the name of a label; nothing when it is fine."""
    if not name:
        return "a label has a name"
    if name in KEPT_LABELS:
        return f'"{name}" is a label that Prometheus gives to {KEPT_LABELS[name]} itself'
    if name.startswith("__"):
        return f'"{name}": labels with __ are Prometheus\'s own'
    if not PLAIN.fullmatch(name):
        return f'"{name}": a label has small letters, digits and _ only'
    return ""
