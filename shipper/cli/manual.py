"""The manual page, made of the same definitions as the help of the commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import click

from shipper import __version__
from shipper.config.flags import FLAGS

EXIT_CODES: Mapping[str, str] = {
    "0": "finished, or stopped on request",
    "1": "a fault of the program",
    "2": "the command line or the configuration cannot be used",
    "3": "a startup check failed",
    "4": "every worker gave up",
    "10": "of job-event with --check_keep_going: the job should not go on",
}
SIGNALS: Mapping[str, str] = {
    "SIGINT, SIGTERM": "deliver what waits, and stop; a second one stops at once",
    "SIGHUP": "read the configuration again; a file that cannot be used changes nothing",
}
FILES: Mapping[str, str] = {
    "./monitor_input.json": "which metrics run; looked for first",
    "~/.config/shipper/monitor_input.json": "looked for next",
    "/etc/shipper/monitor_input.json": "looked for last",
    "~/.local/state/shipper": "spool, cursors, dead letters and history",
}


def manual_page(cli: click.Group) -> str:
    """Return the page as roff, for the macros of man(7)."""
    return "\n".join(_page(cli)) + "\n"


def _page(cli: click.Group) -> Iterator[str]:
    yield f'.TH SHIPPER 1 "" "shipper {__version__}" "Shipper"'
    yield ".SH NAME"
    yield r"shipper \- ships the state of databases and data-taking systems to Loki and Prometheus"
    yield ".SH SYNOPSIS"
    yield ".B shipper"
    yield "[\\fICOMMAND\\fR] [\\fIFLAGS\\fR]"
    yield ".SH DESCRIPTION"
    yield _escaped(_sentences(cli.help))
    yield ".SH COMMANDS"
    for words, command in _commands(cli, ()):
        yield from _command(words, command)
    yield ".SH FLAGS"
    yield "Those of the commands that run, check, or poll; names may be written with hyphens as well."
    for flag in FLAGS:
        default = "" if flag.default == "-" else f" Default: {flag.default}."
        yield from _item(f"--{flag.name}", f"{flag.help}.{default}")
    yield ".SH ENVIRONMENT"
    yield _escaped(
        "Every flag can come from a variable: SHIPPER_ and its name in capitals, like SHIPPER_LOKI_URL. A flag beats "
        "the variable, which beats the file."
    )
    for title, items in (("FILES", FILES), ("SIGNALS", SIGNALS), ("EXIT STATUS", EXIT_CODES)):
        yield f".SH {title}"
        for name, meaning in items.items():
            yield from _item(name, f"{meaning[0].upper()}{meaning[1:]}.")


def _commands(
    group: click.Group, before: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in sorted(group.commands.items()):
        words = (*before, name)
        if isinstance(command, click.Group):
            yield from _commands(command, words)
        else:
            yield words, command


def _command(words: tuple[str, ...], command: click.Command) -> Iterator[str]:
    arguments = [
        each.make_metavar(click.Context(command))
        for each in command.params
        if isinstance(each, click.Argument)
    ]
    yield ".TP"
    yield f".B {_escaped(' '.join(words))} {_escaped(' '.join(arguments))}".rstrip()
    yield _escaped(_sentences(command.help))
    known = {flag.name for flag in FLAGS}
    own = [
        each
        for each in command.params
        if isinstance(each, click.Option) and each.name not in known and each.help
    ]
    if own:
        yield ".RS"
        for each in own:
            yield from _item(each.opts[0], each.help or "")
        yield ".RE"


def _item(name: str, meaning: str) -> Iterator[str]:
    yield ".TP"
    yield f".B {_escaped(name)}"
    yield _escaped(meaning)


def _sentences(text: str | None) -> str:
    """Return a help text in one paragraph."""
    return re.sub(r"\s+", " ", (text or "").replace("`", "")).strip()


def _escaped(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-")
    # A dot or a quote at the beginning of a line would be an order to roff.
    return rf"\&{text}" if text[:1] in (".", "'") else text
