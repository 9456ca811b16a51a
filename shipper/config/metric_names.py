"""What a Prometheus metric may be called: the rules that `promtool check metrics` goes by, told before anything runs.

Source: Prometheus documentation, "Metric and label naming", and the linter of client_golang.
"""

from __future__ import annotations

import re

BASE_UNITS = {
    "seconds": (
        *("nanoseconds", "microseconds", "milliseconds", "minutes", "hours", "days", "weeks"),
        *("ns", "us", "ms", "s", "sec", "m", "h", "d"),
    ),
    "bytes": (
        *("kilobytes", "megabytes", "gigabytes", "terabytes", "petabytes"),
        *("kibibytes", "mebibytes", "gibibytes", "tebibytes", "bits"),
        *("b", "kb", "mb", "gb", "tb", "pb"),
    ),
    "meters": ("kilometers", "centimeters", "millimeters", "micrometers"),
    "celsius": ("fahrenheit",),
    "ratio": ("percent", "percentage", "pct"),
}
"""The unit that a name should have, by the words that stand for others."""

BASE_UNIT_OF = {word: unit for unit, words in BASE_UNITS.items() for word in words}
TYPES = ("gauge", "counter", "histogram", "summary")
OF_HISTOGRAMS = ("_bucket", "_sum", "_count")
OURS = "shipper_"
KEPT_LABELS = {"le": "histograms", "quantile": "summaries"}
"""Labels that Prometheus gives itself."""

LABEL = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)


def name_objection(name: str, kind: str) -> str:
    """Return what is wrong with the name of a metric of this kind, and what would be right; nothing when it is fine."""
    stem = name.removesuffix("_total")
    words = stem.split("_")
    if name.startswith(OURS):
        return f'"{name}": names with {OURS} are our own'
    if name != name.lower() or ":" in name:
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|:", "_", name).lower()
        return f'"{name}": small letters, digits and _ only; call it "{snake}"'
    if kind == "counter" and name == stem:
        return f'"{name}": the name of a counter ends in _total; call it "{name}_total"'
    if kind != "counter" and name != stem:
        return f'"{name}": only the name of a counter ends in _total; call it "{stem}"'
    if name.endswith(OF_HISTOGRAMS):
        ending = name[name.rindex("_") :]
        return f'"{name}": Prometheus adds {ending} itself; call it "{name.removesuffix(ending)}"'
    for word in words[1:]:
        if word in TYPES:
            return f'"{name}": a name does not tell the type; leave {word} out'
    return _unit_objection(name, words)


def _unit_objection(name: str, words: list[str]) -> str:
    for place, word in enumerate(words[1:], start=1):
        unit = BASE_UNIT_OF.get(word)
        if unit is not None:
            better = "_".join([*words[:place], unit, *words[place + 1 :]])
            better += "_total" if name.endswith("_total") else ""
            return (
                f'"{name}": the base unit is {unit}, not {word}; call it "{better}", with a scale'
            )
    return ""


def label_objection(name: str) -> str:
    """Return what is wrong with the name of a label; nothing when it is fine."""
    if not name:
        return "a label has a name"
    if name in KEPT_LABELS:
        return f'"{name}" is a label that Prometheus gives to {KEPT_LABELS[name]} itself'
    if name.startswith("__"):
        return f'"{name}": labels with __ are Prometheus\'s own'
    if not LABEL.fullmatch(name):
        return f'"{name}": a label has small letters, digits and _ only'
    return ""
