"""What a worker is told: one value that is sent to its process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shipper.config.models import Settings, SourceSettings
from shipper.sinks.loki.settings import LokiSettings
from shipper.store.settings import StoreSettings
from shipper.telemetry.log import LogSettings


@dataclass(frozen=True, slots=True)
class Assignment:
    """Everything a worker needs to know; it is sent to the new process.

    Attributes:
        metric: The entry's name.
        entry: The entry.
        section: The settings that all entries of its kind share.
        lokis: Where lines go; none for a metric that is not shipped.
        store: Where records are kept in SQL, if they are.
        labels: The labels of every line.
        first_seconds: When the first poll is due, on the monotonic clock; restarts keep to the same grid.
        feed: Address of the feed to the web process.
        log: How to log.
        drain_seconds: How long it may go on delivering when it is told to stop.
        state_dir: Where spool, dead letters and circuit are.
        shows_time_frames: Whether what is read is shown as Time Frames on the terminal.
        run_id: Names the run of the supervisor; what another run left in the spool is counted as recovered.
    """

    metric: str
    entry: SourceSettings
    section: Settings | None
    lokis: tuple[LokiSettings, ...]
    store: StoreSettings
    labels: Mapping[str, str]
    first_seconds: float
    feed: str
    log: LogSettings
    drain_seconds: float
    state_dir: Path
    run_id: str
    shows_time_frames: bool = False
