"""Runs the log store from a shell: `python -m shipper.demo.log_store --port 3100`."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from shipper.demo.log_store.limits import Limits
from shipper.demo.log_store.server import LogStore


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3100, show_default=True, help="Port; 0 lets the system choose.")
@click.option(
    "--path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SQLite file to keep the lines in; without it they are gone at the end.",
)
@click.option("--lift-rates", is_flag=True, help="Take any rate and number of streams: no 429.")
def main(host: str, port: int, path: Path | None, *, lift_rates: bool) -> None:
    """Run a small Loki-compatible log store, for trying out and for tests."""
    limits = Limits().with_lifted_rates() if lift_rates else Limits()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    store = LogStore(host, port, limits=limits, path=path)
    try:
        store.start()
    except OSError as error:
        store.close()
        raise click.ClickException(f"cannot listen on {host}:{port}: {error}") from error
    click.echo(
        f"Log store on {store.url}: for trying out and for tests, not a replacement for Loki."
    )
    stopped.wait()
    store.close()
    click.echo("Log store stopped.")


if __name__ == "__main__":
    main()
