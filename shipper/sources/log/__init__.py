"""Our own log: ships what Shipper's processes say, but not what is said by the worker that ships it."""

from __future__ import annotations

import socket
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from shipper.config.models import Settings, SourceSettings
from shipper.core.ports import Source
from shipper.sources.log.source import OwnLogSource
from shipper.telemetry.log import shipped_files

Level = Literal["debug", "info", "warning", "error"]


class OwnLogSettings(SourceSettings):
    """Shipper's own log lines."""

    # What is not read stays in its files, until there are too many of them.
    can_wait: ClassVar[bool] = True
    example_metric: ClassVar[str] = "own_logs"

    type: Literal["log"] = "log"
    """Shipper's own log lines."""

    level: Level = Field(default="info", examples=["info"])
    """The least severe level that is shipped, whatever `--log_level` says of the console."""

    @classmethod
    def complete(cls, metric: str, written: dict[str, Any]) -> dict[str, Any]:
        """File the lines under their level, with their own time, and under `shipper` as the service."""
        del metric
        labels = written.get("labels", {})
        defaults: dict[str, Any] = {
            "label_fields": ["level"],
            "metadata_fields": ["metric", "poll"],
            "time_field": "time",
        }
        if isinstance(labels, dict):
            written = written | {"labels": {"service_name": "shipper"} | labels}
        return defaults | written

    @property
    def known_fields(self) -> Collection[str]:
        """What the supervisor's lines do not have."""
        return ("metric", "poll")

    def build(self, metric: str, section: Settings | None, state_dir: Path) -> Source:
        """Make the source of this entry; nothing is opened yet."""
        del metric, section
        return OwnLogSource(shipped_files(state_dir), self.level)

    def instance(self, section: Settings | None) -> str:
        """Return the name of this machine."""
        del section
        return socket.gethostname()
