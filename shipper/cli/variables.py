"""Environment variables that look like flags and are none: a misspelt one would else do nothing, and say nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import click

PREFIX = "SHIPPER_"


def complaints(environment: Mapping[str, str], commands: Iterable[click.Command]) -> Iterator[str]:
    """Yield a sentence for every variable with our prefix that no command knows; empty ones are as good as unset."""
    ours = sorted(name for name, text in environment.items() if name.startswith(PREFIX) and text)
    if not ours:
        return
    known = set(_variables(commands))
    for name in ours:
        if name not in known:
            yield f"the environment variable {name} is no flag{_nearest(name, known)}"


def _variables(commands: Iterable[click.Command]) -> Iterator[str]:
    for command in commands:
        if isinstance(command, click.Group):
            yield from _variables(command.commands.values())
        for parameter in command.params:
            names = parameter.envvar or ()
            yield from [names] if isinstance(names, str) else names


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # who has none does not wait for it

    close = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""
