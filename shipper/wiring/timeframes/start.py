"""What `start` does: a run with one metric, every Time Frame on the screen, and a summary at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

import click
from rich.console import Console
from sqlalchemy.engine import URL

from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import ShipperError
from shipper.core.words import counted
from shipper.startup.surroundings import default_state_dir
from shipper.store.address import shown
from shipper.store.timeframes import queries
from shipper.store.timeframes.queries import Kept
from shipper.wiring.gate import Surroundings
from shipper.wiring.run import run
from shipper.wiring.settings import RunSettings
from shipper.wiring.timeframes.composed import Composition
from shipper.wiring.timeframes.doors import NoTables, NotFound, to_read
from shipper.wiring.timeframes.status import mebibytes


def start(composition: Composition, settings: RunSettings) -> None:
    """Run until SIGINT or SIGTERM, and sum up what was kept meanwhile.

    Args:
        composition: What the configuration is made of.
        settings: What is said beside it; the overrides in it beat the file.

    Raises:
        ConfigError: The configuration cannot be used.
        StartupError: A startup check failed.
        EveryWorkerGaveUp: No worker is left.
    """
    account = Account(composition.database)
    composed = replace(
        settings,
        compose=partial(composition.configuration, settings.overrides),
        shows_time_frames=True,
    )
    try:
        # Standard output is for Time Frames; who closes the terminal wants no more of them.
        run(composed, console=Console(stderr=True), started=account.open, hangup="stop")
    finally:
        account.close(click.echo)


def state_dir_of(database: URL) -> Path:
    """Return where the state of a client with this database is, unless another place is asked for.

    A service that runs beside us has the directory above it. What waits for one database never gets into another.
    """
    name = sha256(shown(database).encode()).hexdigest()[:12]
    return default_state_dir() / "time-frames" / name


@dataclass(slots=True)
class Account:
    """What was kept from one moment to another, as the database has it.

    Attributes:
        database: Where Time Frames are kept.
        clock: Time.
    """

    database: URL
    clock: Clock = field(default_factory=SystemClock)
    _began_seconds: float | None = None
    _newest_id: int = 0

    def open(self, _surroundings: Surroundings, _words: list[str]) -> None:
        """Begin now: what is there already does not count."""
        try:
            with to_read(self.database) as database, database.reading() as connection:
                self._newest_id = queries.newest_id(connection)
        except (NotFound, NoTables):
            self._newest_id = 0
        self._began_seconds = self.clock.monotonic_seconds()

    def close(self, say: Callable[[str], object]) -> None:
        """Tell what was kept since it was opened; nothing when it never was."""
        if self._began_seconds is None:
            return
        uptime_seconds = self.clock.monotonic_seconds() - self._began_seconds
        try:
            with to_read(self.database) as database, database.reading() as connection:
                kept = queries.kept_since(connection, self._newest_id)
        except ShipperError as error:
            say(f"\nUptime {_span(uptime_seconds)}; what was kept is not known: {error}")
            return
        say("\n".join(summary(kept, uptime_seconds)))


def summary(kept: Sequence[Kept], uptime_seconds: float) -> Iterator[str]:
    """Yield the lines of a summary."""
    files = sum(each.tfs for each in kept)
    size = mebibytes(sum(each.size_bytes for each in kept))
    yield ""
    yield "Summary"
    yield f"  Uptime: {_span(uptime_seconds)}"
    yield f"  Files:  {files}"
    yield f"  Size:   {size}"
    yield f"  Runs:   {len(kept)}"
    for each in kept:
        yield f"  Run {each.run_number}: {counted(each.tfs, 'file')}, {mebibytes(each.size_bytes)}"


def _span(seconds: float) -> str:
    """Return a span like `1:02:03`, or `2 days, 1:02:03`."""
    return str(timedelta(seconds=round(seconds)))
