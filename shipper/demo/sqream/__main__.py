"""Run the emulator by itself: `python -m shipper.demo.sqream --port 5000`."""

from __future__ import annotations

import random
import signal
import time

import click

from shipper.demo.sqream.emulator import SqreamEmulator
from shipper.demo.sqream.world import World

_ENDING = (signal.SIGINT, signal.SIGTERM)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=5000, show_default=True, help="Port to listen on; 0 for any free one."
)
@click.option("--seed", type=int, help="Seed of the invented world; random by default.")
@click.option("--gpu", is_flag=True, help="Be a worker with a GPU, on which 'select 1' runs.")
@click.option("--picker-port", type=int, help="Also be a server picker, on this port.")
def run(host: str, port: int, seed: int | None, *, gpu: bool, picker_port: int | None) -> None:
    """Answer as a SQreamDB worker until SIGINT or SIGTERM."""
    # Blocked before any thread starts, so that no thread but this one gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    world = World(random.Random(seed), time.time)  # noqa: S311 - a play, no secret
    emulator = SqreamEmulator(host, port, gpu=gpu, world=world, picker_port=picker_port)
    try:
        emulator.start()
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error}") from error
    click.echo(f"SQream emulator on {emulator.host}:{emulator.port}")
    if emulator.picker_port:
        click.echo(f"server picker on {emulator.host}:{emulator.picker_port}")
    signal.sigwait(_ENDING)
    emulator.stop()


if __name__ == "__main__":
    run()
