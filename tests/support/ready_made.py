"""Runs the program with copies of the files in `config_files/` that differ in addresses and folders alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipper.demo.log_store import LogStore, StoredLine
from tests.support.shipper_process import ROOT, ShipperProcess

DELIVERED = "shipper_lines_delivered_total"
REJECTED = "shipper_lines_rejected_total"

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True, slots=True)
class Changes:
    """How a copy differs from its file.

    Attributes:
        keys: New values of keys that the file has, by their places, like `metrics.pysmurf.port`.
        variables: What the program finds in its environment.
        without: Sections that are left out.
    """

    keys: Mapping[str, Any]
    variables: Mapping[str, str] | None = None
    without: Sequence[str] = ()

    def made_in(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a configuration with these changes in it; none of them adds anything."""
        for section in self.without:
            del document[section]
        for place, value in self.keys.items():
            *parents, key = place.split(".")
            found = document
            for each in parents:
                found = found[each]
            assert key in found, f"there is no {place} to change"
            found[key] = value
        return document


def shipping(name: str, folder: Path, loki: LogStore, changes: Changes) -> ShipperProcess:
    """Return the program with a copy of a ready-made file, not started yet; the flag that names Loki beats the file."""
    document = json.loads((ROOT / "config_files" / name).read_text(encoding="utf-8"))
    copy = folder / name
    copy.write_text(json.dumps(changes.made_in(document)), encoding="utf-8")
    arguments = ["run", "--config", str(copy), "--loki_url", loki.url]
    return ShipperProcess(arguments, folder, variables=changes.variables)


@dataclass(frozen=True)
class Shipped:
    """What a run left behind.

    Attributes:
        lines: Everything in the log store, by time.
        samples: The page `/metrics` shortly before the end.
        exit_code: How it ended.
    """

    lines: Sequence[StoredLine]
    samples: Samples
    exit_code: int

    def of(self, **wanted: str) -> list[StoredLine]:
        """Return the lines that have these labels."""
        return [line for line in self.lines if wanted.items() <= line.labels.items()]

    def rows(self, **wanted: str) -> list[dict[str, Any]]:
        """Return the rows of the lines that have these labels."""
        return [json.loads(line.line) for line in self.of(**wanted)]

    def value(self, name: str, **labels: str) -> float | None:
        """Return a sample; `None` when there is none."""
        return self.samples.get((name, frozenset(labels.items())))


def ended(shipper: ShipperProcess, loki: LogStore) -> Shipped:
    """Stop the program in good order, and return what is left."""
    samples = shipper.metrics()
    exit_code = shipper.terminate()
    return Shipped(loki.lines(), samples, exit_code)


def given(line: StoredLine) -> dict[str, str]:
    """Return the structured metadata of a line without what Loki itself adds."""
    return {name: value for name, value in line.metadata.items() if name != "detected_level"}
