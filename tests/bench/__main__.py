"""Measures the shipper: `python -m tests.bench [NAME...]`; see docs/bench.md."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import click
import psutil
from rich.console import Console

from tests.bench import (
    channels,
    connections,
    jobs,
    lateness,
    lines,
    polls,
    spool,
    sql,
    start,
    stomp,
    udp,
    viewers,
    ways,
    workers,
    zeromq,
)
from tests.bench.figures import Figure, as_json, table

BENCHES: dict[str, Callable[[], list[Figure]]] = {
    "lines": lines.measure,
    "udp": udp.measure,
    "stomp": stomp.measure,
    "zeromq": zeromq.measure,
    "channels": channels.measure,
    "sql": sql.measure,
    "jobs": jobs.measure,
    "ways": ways.measure,
    "viewers": viewers.measure,
    "spool": spool.measure,
    "workers": workers.measure,
    "start": start.measure,
    "polls": polls.measure,
    "lateness": lateness.measure,
    "connections": connections.measure,
}
LISTEN_SECONDS = 1.0


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHES)))
@click.option(
    "--json", "path", type=click.Path(path_type=Path), help="Also write the figures here."
)
def bench(names: tuple[str, ...], path: Path | None) -> None:
    """Run the benches of these NAMES, or all of them."""
    console = Console(width=None if Console().is_terminal else 140)
    results = {}
    for name in names or tuple(BENCHES):
        busy = psutil.cpu_percent(LISTEN_SECONDS)
        began = time.monotonic()
        figures = BENCHES[name]()
        took = time.monotonic() - began
        title = f"{name}: {took:.0f} s, {os.cpu_count()} cores, {busy:.0f} % busy before"
        console.print(table(title, figures))
        results[name] = {"busy_percent": busy, "figures": as_json(figures)}
    if path is not None:
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    bench()
