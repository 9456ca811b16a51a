"""Configurations as they come from a file, for rooms that take them ready-made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shipper.config.loading import Configuration, load
from shipper.wiring.vocabulary import vocabulary


def written(folder: Path, document: dict[str, Any]) -> Path:
    """Write a configuration file and return where it lies."""
    path = folder / "monitor_input.json"
    path.write_text(json.dumps(document))
    return path


def configuration(folder: Path, document: dict[str, Any]) -> Configuration:
    """Return what a run would make of `document`."""
    return load(written(folder, document), vocabulary())
