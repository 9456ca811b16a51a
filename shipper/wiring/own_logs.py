"""Whether our own log lines are kept for an entry that ships them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from shipper.config.loading import Configuration
from shipper.sources.log import OwnLogSettings
from shipper.telemetry.log import LEVELS, LogSettings, ShippedLines


def with_own_logs(log: LogSettings, configuration: Configuration, state_dir: Path) -> LogSettings:
    """Return how to log, when the lines that entries of type `log` ask for are kept as well."""
    entries = {
        metric: entry
        for metric, entry in configuration.metrics.items()
        if isinstance(entry, OwnLogSettings)
    }
    if not entries:
        return replace(log, shipped=None)
    level = min((entry.level for entry in entries.values()), key=LEVELS.index)
    return replace(log, shipped=ShippedLines(state_dir, level, frozenset(entries)))
