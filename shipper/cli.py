"""The words an operator types, and the exit code every one of them ends with."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

from shipper import __version__
from shipper.config.flags import FLAGS, Flag, overrides
from shipper.config.reference import example_comments, example_text, schema_text
from shipper.core.errors import ShipperError
from shipper.startup.surroundings import default_state_dir
from shipper.startup.table import as_json, show
from shipper.telemetry.log import LogSettings
from shipper.wiring.gate import check as try_checks
from shipper.wiring.once import poll_once
from shipper.wiring.run import run as run_workers
from shipper.wiring.settings import RunSettings
from shipper.wiring.vocabulary import vocabulary

USAGE_EXIT_CODE = 2
SAID_IN_ANOTHER_WAY = (
    ("password_file", "password"),
    ("loki_url", "loki_host"),
    ("loki_url", "loki_port"),
)
"""The first beats the second, unless it comes from the environment and the second is typed."""

TYPES = {"number": click.INT, "seconds": click.FloatRange(min=0)}


class DefaultToRun(click.Group):
    """A group of commands in which flags without a command mean `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` in front of what starts with a flag, or of nothing at all."""
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help", "--version")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        # None at the end of a command, a number after `ctx.exit`.
        return cli.main(arguments, standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return USAGE_EXIT_CODE
    except (click.Abort, KeyboardInterrupt):
        return 0
    except (BrokenPipeError, SystemExit):
        # The reader of our output, like `head`, has gone; click tells it with SystemExit.
        _forget_stdout()
    except ShipperError as error:
        click.echo(f"shipper: {error}", err=True)
        return error.exit_code
    return 0


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all flags of the table."""
    for flag in reversed(FLAGS):
        command = _option(flag)(command)
    return command


def _option(flag: Flag) -> Callable[[Callable[..., None]], Callable[..., None]]:
    spellings = []
    for name in (flag.name, *flag.aliases):
        spellings += [f"--{name}", f"--{name.replace('_', '-')}"] if "_" in name else [f"--{name}"]
    more: dict[str, Any] = {"is_flag": True, "default": None} if flag.kind == "switch" else {}
    if flag.choices:
        more["type"] = click.Choice(flag.choices)
    elif flag.kind in TYPES:
        more["type"] = TYPES[flag.kind]
    return click.option(
        *dict.fromkeys(spellings),
        flag.name,
        envvar=flag.variable,
        help=f"{flag.help}.  [default: {flag.default}]" if flag.default != "-" else f"{flag.help}.",
        **more,
    )


@click.group(cls=DefaultToRun, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="shipper %(version)s")
def cli() -> None:
    """Ship the state of databases and data-taking systems to Loki and Prometheus.

    Without a command, `run` is meant: `python main.py --host 10.0.0.5 --loki_host loki`.
    `python main.py run --help` lists its flags.
    """


@cli.command()
@with_flags
def run(**given: Any) -> None:  # noqa: ANN401 - the values of the flags
    """Check the surroundings, then run one worker per metric until SIGINT or SIGTERM."""
    run_workers(_settings(given), console=Console())


@cli.command()
@with_flags
@click.option("--json", "as_machine", is_flag=True, help="Print JSON for machines.")
@click.pass_context
def check(ctx: click.Context, /, as_machine: bool, **given: Any) -> None:  # noqa: ANN401 - flags
    """Run every startup check and nothing else: one table, a hint per failure."""
    console = Console(stderr=as_machine)
    verdicts = try_checks(_settings(given), console=console)
    if as_machine:
        click.echo(as_json(verdicts))
    else:
        show(verdicts, console)
    if any(verdict.failed for verdict in verdicts):
        ctx.exit(3)


@cli.command()
@click.argument("metric")
@click.option("--dry-run", "--dry_run", is_flag=True, help="Deliver nothing; print what would be.")
@with_flags
def once(metric: str, dry_run: bool, **given: Any) -> None:  # noqa: ANN401 - flags
    """Poll METRIC once and deliver what it brought."""
    poll_once(_settings(given), metric, dry_run=dry_run, console=Console())


@cli.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself after so long.")
@with_flags
def demo(seconds: float | None, **given: Any) -> None:  # noqa: ANN401 - the values of the flags
    """Run against an emulated SQream and a small log store, to see how it works."""
    # The demo's far ends are a third of all imports; a run does not wait for them.
    from shipper.wiring.demo import demonstrate

    demonstrate(_settings(given), given, seconds=seconds, console=Console())


@cli.command()
def schema() -> None:
    """Print the JSON Schema of the configuration."""
    click.echo(schema_text(vocabulary()))


@cli.command()
@click.argument("kind")
def example(kind: str) -> None:
    """Print a valid configuration with every key of one KIND of source.

    The configuration goes to standard output, what its keys mean to standard error.
    """
    known = vocabulary()
    click.echo(example_text(known, kind))
    click.echo(example_comments(known, kind), err=True)


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"shipper {__version__}")


def _settings(given: dict[str, Any]) -> RunSettings:
    _drop_beaten(given)
    log_path = given["log_file_path"]
    return RunSettings(
        path=Path(given["config"]) if given["config"] else _default_config(),
        overrides=overrides(given),
        state_dir=Path(given["state_dir"]) if given["state_dir"] else default_state_dir(),
        wait_seconds=given["wait_seconds"] or 0.0,
        log=LogSettings(
            level=given["log_level"] or "info",
            form=given["log_format"] or "text",
            path=Path(log_path) if log_path else None,
        ),
    )


def _drop_beaten(given: dict[str, Any]) -> None:
    """Forget what came from the environment when a flag says the same thing in another way."""
    source = click.get_current_context().get_parameter_source
    for stronger, weaker in SAID_IN_ANOTHER_WAY:
        typed = source(weaker) is ParameterSource.COMMANDLINE
        if typed and source(stronger) is ParameterSource.ENVIRONMENT:
            given[stronger] = None


def _default_config() -> Path:
    """Return `monitor_input.json` beside `main.py`, as short as it can be written."""
    path = Path(sys.argv[0]).resolve().parent / "monitor_input.json"
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _forget_stdout() -> None:
    """Let Python end quietly although what we printed cannot be written any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
