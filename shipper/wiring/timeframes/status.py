"""What `status` says: the newest runs, or one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy.engine import URL

from shipper.store.timeframes import queries
from shipper.store.timeframes.queries import RunLine, RunReport
from shipper.wiring.timeframes.doors import NoTables, to_read
from shipper.wiring.timeframes.line import MIB

NEWEST_RUNS = 10
NOTHING = "-"


def status(url: URL, run: int | None) -> list[str]:
    """Return the lines of the answer, from one question to the database.

    Raises:
        NotFound: There is no such SQLite file.
        StartupError: The database cannot be reached, or has other tables.
    """
    try:
        with to_read(url) as database, database.reading() as connection:
            if run is None:
                return list(overview(queries.overview(connection, NEWEST_RUNS)))
            return list(one_run(run, queries.run(connection, run)))
    except NoTables:
        return list(overview(()) if run is None else one_run(run, None))


def overview(runs: Sequence[RunLine]) -> Iterator[str]:
    """Yield a table of runs."""
    if not runs:
        yield "No runs found"
        return
    yield f"{'Run':>20}  {'Start time':<27}  {'Total TFs':>12}  {'Total size':>14}"
    for run in runs:
        yield (
            f"{run.run_number:>20}  {moment(run.start_time):<27}  {run.total_tfs:>12}  "
            f"{mebibytes(run.total_size_bytes):>14}"
        )


def one_run(number: int, run: RunReport | None) -> Iterator[str]:
    """Yield what is known of a run."""
    if run is None:
        yield f"Run {number} not found"
        return
    yield f"Run {run.run_number}"
    yield f"  Start time:  {moment(run.start_time)}"
    yield f"  Total TFs:   {run.total_tfs}"
    yield f"  First TF:    {moment(run.first_tf)}"
    yield f"  Last TF:     {moment(run.last_tf)}"
    yield f"  Total size:  {run.total_size_bytes} bytes"


def moment(time: datetime | None) -> str:
    """Return a moment as ISO 8601 in UTC."""
    return NOTHING if time is None else time.isoformat().replace("+00:00", "Z")


def mebibytes(size_bytes: int) -> str:
    """Return a size in MiB, 1048576 bytes each."""
    return f"{size_bytes / MIB:.1f} MiB"
