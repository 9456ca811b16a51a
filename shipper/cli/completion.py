"""The command `completion`, and what completes the words that only we know."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from shipper.ahead import usual_config

PROGRAM = "shipper"
VARIABLE = "_SHIPPER_COMPLETE"
"""Where click looks for what the shell wants; its name follows from the program's."""

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    """Print what lets SHELL complete commands, flags and metrics of an installed `shipper`."""
    click.echo(completion_script(ctx.find_root().command, shell))


def completion_script(command: click.Command, shell: str) -> str:
    """Return the script that a shell sources."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"{shell} is not known to click")
    script = found(command, {}, PROGRAM, VARIABLE)
    return script.source_template % script.source_vars()


def complete_metrics(
    ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the metrics of the configuration that begin with what was typed; none when it cannot be read."""
    path = ctx.params.get("config") or usual_config(Path(sys.argv[0]))
    try:
        document = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return []
    entries = document.get("metrics", document) if isinstance(document, dict) else {}
    return [CompletionItem(name) for name in entries if name.startswith(incomplete)]


def complete_kinds(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the kinds of sources that begin with what was typed."""
    from shipper.sources import discover

    return [CompletionItem(kind) for kind in discover() if kind.startswith(incomplete)]
