"""The alerts as the tests see them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.dashboards import ROOT

FOLDER = ROOT / "config_files" / "prometheus" / "rules"
RUNBOOKS = ROOT / "docs" / "runbooks"


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert, or a recorded series, which has no annotations."""

    name: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]


def read(path: Path) -> Any:
    """Return what a file in YAML holds."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


RULES = [
    Rule(
        rule.get("alert") or rule["record"],
        rule["expr"],
        rule.get("labels", {}),
        rule.get("annotations", {}),
    )
    for group in read(FOLDER / "shipper.yml")["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if rule.annotations]
