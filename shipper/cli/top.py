"""The word `top`: what the page shows, in a terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from rich.console import Console

from shipper.cli.flags import Command, option, token_of
from shipper.config.flags import FLAGS, Flag
from shipper.core.errors import ConfigError

if TYPE_CHECKING:
    from shipper.live.terminal.link import Link

EVERYWHERE = {
    "": "127.0.0.1",
    "0.0.0.0": "127.0.0.1",  # nosec B104 # noqa: S104 - asked, not listened on
    "::": "::1",
}
"""Where a Shipper is reached that listens on every address of this machine."""

_SERVED = {flag.name: flag for flag in FLAGS}

TOP_FLAGS = (
    Flag("url", "text", "-", "Address of the Shipper (http or https, path prefix); beats host and port"),
    replace(_SERVED["http_host"], help="Its host"),
    replace(_SERVED["http_port"], help="Its port"),
    Flag("token_file", "secret_file", "$SHIPPER_HTTP_TOKEN_FILE", "File with the bearer token that it wants"),
    Flag("interval_seconds", "seconds", "1", "How often it is asked when it cannot tell by itself"),
    Flag("once", "switch", "off", "Print the table once, for scripts and pipes"),
    Flag("json", "switch", "off", "Print the whole state once, as JSON"),
)  # fmt: skip

LEAST_INTERVAL_SECONDS = 0.1


def _with_top_flags(command: Command) -> Command:
    also = {"token_file": _SERVED["http_token_file"].variable}
    for flag in reversed(TOP_FLAGS):
        command = option(flag, also_variable=also.get(flag.name))(command)
    return command


@click.command()
@_with_top_flags
def top(
    url: str | None,
    http_host: str | None,
    http_port: int | None,
    token_file: str | None,
    interval_seconds: float | None,
    once: bool | None,
    json: bool | None,
) -> None:
    """Watch a Shipper in the terminal, this machine's or one that is far away.

    Shows what its page shows, trouble first. Keys: q quits, p pauses, s changes the order, / filters, Enter opens a
    metric and its live lines, Esc goes back.
    """
    from shipper.wiring.top import print_state, show_once, watch

    link = _link(url, http_host, http_port, token_file)
    console = Console()
    if json:
        print_state(link)
    elif once:
        show_once(link, console)
    elif not console.is_terminal or console.is_dumb_terminal:
        raise click.UsageError("this is no terminal to draw on; --once prints the table")
    else:
        interval = 1.0 if interval_seconds is None else interval_seconds
        watch(link, max(interval, LEAST_INTERVAL_SECONDS), console)


def _link(url: str | None, host: str | None, port: int | None, token_file: str | None) -> Link:
    """Return where the Shipper is.

    Raises:
        ConfigError: The flags do not say it.
    """
    from shipper.live.terminal.link import Link, read_address

    source = click.get_current_context().get_parameter_source
    typed = [
        name for name in ("http_host", "http_port") if source(name) is ParameterSource.COMMANDLINE
    ]
    if url and typed and source("url") is ParameterSource.COMMANDLINE:
        raise click.UsageError(f"--url and --{typed[0]} are two places")
    if url and not typed:
        return Link(read_address(url), token_of(token_file))
    if port == 0:
        raise ConfigError(
            "--http_port: 0 is no port to ask at; the log of the run says which it got"
        )
    place = EVERYWHERE.get(host or "", host or "")
    shown = f"[{place}]" if ":" in place else place
    return Link(read_address(f"http://{shown}:{port or 9108}"), token_of(token_file))
