"""The options of commands, made from the table of flags, and what a run is told by them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from shipper.ahead import usual_config, usual_configs
from shipper.config.flags import FLAGS, Flag, overrides
from shipper.config.secret import Secret
from shipper.core.errors import ConfigError
from shipper.startup.surroundings import default_state_dir
from shipper.telemetry.log import LogSettings
from shipper.telemetry.log.file import FILE_BYTES, FILES_KEPT

if TYPE_CHECKING:
    from shipper.wiring.settings import RunSettings

SAID_IN_ANOTHER_WAY = (
    ("password_file", "password"),
    ("loki_url", "loki_host"),
    ("loki_url", "loki_port"),
)
"""The first beats the second, unless it comes from the environment and the second is typed."""

TYPES = {
    "number": click.INT,
    "count": click.IntRange(min=1),
    "size": click.IntRange(min=0),
    "seconds": click.FloatRange(min=0),
}

Command = Callable[..., None]


def with_flags(command: Command) -> Command:
    """Give a command all flags of the table."""
    return with_options(FLAGS)(command)


def with_options(flags: tuple[Flag, ...]) -> Callable[[Command], Command]:
    """Give a command some flags."""

    def give(command: Command) -> Command:
        for flag in reversed(flags):
            command = option(flag)(command)
        return command

    return give


def option(flag: Flag, *, also_variable: str | None = None) -> Callable[[Command], Command]:
    """Give a command one flag; its name may be written with hyphens as well.

    Args:
        flag: The flag. An alias of one letter is its short form.
        also_variable: Another environment variable that it can come from, after its own.
    """
    spellings = []
    for name in (flag.name, *flag.aliases):
        dashes = "--" if len(name) > 1 else "-"
        spellings += [f"{dashes}{name}", f"{dashes}{name.replace('_', '-')}"]
    more: dict[str, Any] = {"is_flag": True, "default": None} if flag.kind == "switch" else {}
    if flag.choices:
        more["type"] = click.Choice(flag.choices)
    elif flag.kind in TYPES:
        more["type"] = TYPES[flag.kind]
    return click.option(
        *dict.fromkeys(spellings),
        flag.name,
        envvar=[flag.variable, also_variable] if also_variable else flag.variable,
        help=f"{flag.help}.  [default: {flag.default}]" if flag.default != "-" else f"{flag.help}.",
        **more,
    )


def run_settings(given: dict[str, Any]) -> RunSettings:
    """Return what a run is told by the given flags.

    Raises:
        ConfigError: A flag's value cannot be used.
    """
    # Not every command needs the configuration.
    from shipper.wiring.settings import DRAIN_SECONDS, RunSettings

    drop_beaten(given, SAID_IN_ANOTHER_WAY)
    return RunSettings(
        path=Path(given["config"]) if given["config"] else default_config(),
        overrides=overrides(given),
        state_dir=Path(given["state_dir"]) if given["state_dir"] else default_state_dir(),
        wait_seconds=given["wait_seconds"] or 0.0,
        drain_seconds=DRAIN_SECONDS if given["drain_seconds"] is None else given["drain_seconds"],
        log=log_settings(given),
    )


def token_of(file: str | None) -> str | None:
    """Return the bearer token in a file of `--token_file`; `None` without one.

    Raises:
        ConfigError: It cannot be read, or is no token.
    """
    if not file:
        return None
    try:
        token = Secret("file", file).reveal()
    except ConfigError as error:
        raise ConfigError(f"--token_file: {error}") from None
    if not (token.isascii() and token.isprintable()):
        raise ConfigError(f"--token_file: {file}: a token has only visible ASCII characters")
    return token


def log_settings(given: dict[str, Any]) -> LogSettings:
    """Return how to log."""
    return LogSettings(
        level=given["log_level"] or "info",
        form=given["log_format"] or "text",
        path=Path(given["log_file_path"]) if given["log_file_path"] else None,
        file_bytes=FILE_BYTES
        if given["log_file_max_bytes"] is None
        else given["log_file_max_bytes"],
        files_kept=given["log_files_kept"] or FILES_KEPT,
    )


def drop_beaten(given: dict[str, Any], pairs: tuple[tuple[str, str], ...]) -> None:
    """Forget what came from the environment when a flag says the same thing in another way."""
    source = click.get_current_context().get_parameter_source
    for stronger, weaker in pairs:
        typed = source(weaker) is ParameterSource.COMMANDLINE
        if typed and source(stronger) is ParameterSource.ENVIRONMENT:
            given[stronger] = None


def default_config() -> Path:
    """Return the configuration that is used when none is named, as short as its path can be written.

    Raises:
        ConfigError: There is none.
    """
    program = Path(sys.argv[0])
    path = usual_config(program)
    looked = [each for each in usual_configs(program) if not each.exists()]
    # Beside main.py there always was one; the loader says best what is wrong with it.
    if len(looked) > 1 and path in looked:
        raise ConfigError(
            f"there is no configuration in {', '.join(map(str, looked))}: name one with --config, "
            "print one with `shipper example sqream`, or look at `shipper demo`"
        )
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
