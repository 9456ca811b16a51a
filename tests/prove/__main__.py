"""Proves that no line is lost: `python -m tests.prove --minutes 10 --seed 7`.

The environment variable LOKI_URL names a real Loki to prove it with, like http://127.0.0.1:3100.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from types import FrameType

import click
from rich.console import Console

from tests.prove.performer import Hopeless
from tests.prove.prove import METRICS, Plan, prove
from tests.prove.report import Proof
from tests.prove.scenes import Scene, Troubles

LONGEST_OUTAGE_SECONDS = 20.0
# In a short proof an outage may not fill all of the time.
OUTAGE_SHARE = 1 / 15


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long chaos reigns.")
@click.option("--seed", default=7, show_default=True, help="Decides what happens.")
@click.option(
    "--json", "path", type=click.Path(path_type=Path), help="Also write the figures here."
)
@click.option("--keep", type=click.Path(path_type=Path), help="Keep logs and lines in this folder.")
@click.option("--quiet", is_flag=True, help="Do not tell every step.")
def main(minutes: float, seed: int, path: Path | None, keep: Path | None, *, quiet: bool) -> None:
    """Kill and starve the program for some minutes, and compare what was polled with what arrived.

    Without --keep, logs and lines are kept only when the proof does not hold.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    if keep is not None and keep.exists():
        raise click.BadParameter(f"{keep} exists", param_hint="--keep")
    folder = keep or Path(mkdtemp(prefix="prove-")) / "proof"
    plan = Plan(seed=seed, folder=folder, loki_url=os.environ.get("LOKI_URL"))
    worth_keeping = keep is not None
    try:
        proof = prove(plan, _lasting(minutes * 60, seed), _silent if quiet else click.echo)
        worth_keeping |= not proof.holds
        _show(proof)
        if path is not None:
            path.write_text(json.dumps(proof.as_json(), indent=2) + "\n")
    except Hopeless as reason:
        worth_keeping = True
        raise click.ClickException(str(reason)) from None
    finally:
        if worth_keeping:
            click.echo(f"kept: {folder}")
        else:
            shutil.rmtree(folder.parent)
    sys.exit(0 if proof.holds else 1)


def _lasting(seconds: float, seed: int) -> Iterator[Scene]:
    """Yield scenes for so long; the last one may end later."""
    longest = min(LONGEST_OUTAGE_SECONDS, seconds * OUTAGE_SHARE + 1)
    end = time.monotonic() + seconds
    script = Troubles(Random(seed), list(METRICS), longest).script()
    return itertools.takewhile(lambda _: time.monotonic() < end, script)


def _show(proof: Proof) -> None:
    console = Console(width=None if Console().is_terminal else 140, highlight=False)
    console.print(proof.table())
    for kind, lines in proof.examples().items():
        console.print(f"{kind}:", *lines, sep="\n  ", markup=False)


def _silent(_text: str) -> None:
    """Tell nobody."""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as after Ctrl-C: with everything tidied up."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
