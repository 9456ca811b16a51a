"""The words an operator types, and the exit code every one of them ends with.

What a command needs is imported when it runs: nobody waits for what others need.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from shipper import __version__
from shipper.ahead import usual_config
from shipper.cli import variables
from shipper.cli.completion import complete_kinds, complete_metrics, completion
from shipper.cli.flags import option, run_settings, with_flags
from shipper.cli.job_event import job_event
from shipper.cli.timeframes import COMMANDS as TIME_FRAME_COMMANDS
from shipper.cli.top import top
from shipper.config.flags import FLAGS
from shipper.core.errors import ShipperError
from shipper.core.secrecy import redacted
from shipper.core.words import harmless
from shipper.startup.surroundings import default_state_dir, state_dir_to_read

USAGE_EXIT_CODE = 2


class DefaultToRun(click.Group):
    """A group of commands in which flags without a command mean `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` in front of what starts with a flag, or of nothing at all."""
        flags_alone = not args or (
            args[0].startswith("-") and args[0] not in ("-h", "--help", "--version")
        )
        # Who asks the shell for completion has not typed the command yet.
        if flags_alone and not ctx.resilient_parsing:
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - what the command returns
        """Run the command; before that, tell of variables that look like flags and are none."""
        for complaint in variables.complaints(os.environ, self.commands.values()):
            click.echo(f"shipper: warning: {complaint}", err=True)
        return super().invoke(ctx)


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
        click.echo(f"shipper: {harmless(redacted(str(error)))}", err=True)
        return error.exit_code
    return 0


@click.group(cls=DefaultToRun, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="shipper %(version)s")
def cli() -> None:
    """Ship the state of databases and data-taking systems to Loki and Prometheus.

    Without a command, `run` is meant: `shipper --host 10.0.0.5 --loki_host loki`.
    `shipper run --help` lists its flags.
    """


@cli.command()
@with_flags
def run(**given: Any) -> None:  # noqa: ANN401 - the values of the flags
    """Check the surroundings, then run one worker per metric until SIGINT or SIGTERM; SIGHUP reloads."""
    from shipper.wiring.run import run as run_workers

    run_workers(run_settings(given), console=Console())


@cli.command()
@with_flags
@click.option("--json", "as_machine", is_flag=True, help="Print JSON for machines.")
@click.pass_context
def check(ctx: click.Context, /, as_machine: bool, **given: Any) -> None:  # noqa: ANN401 - flags
    """Run every startup check and nothing else: one table, a hint per failure."""
    from shipper.startup.table import as_json, show
    from shipper.wiring.gate import check as try_checks

    console = Console(stderr=as_machine)
    verdicts = try_checks(run_settings(given), console=console)
    if as_machine:
        click.echo(as_json(verdicts))
    else:
        show(verdicts, console)
    if any(verdict.failed for verdict in verdicts):
        ctx.exit(3)


@cli.command()
@click.argument("metric", shell_complete=complete_metrics)
@click.option("--dry-run", "--dry_run", is_flag=True, help="Deliver nothing; print what would be.")
@click.option("--verdict", is_flag=True, help="With --dry-run: print what Loki would say to it.")
@with_flags
def once(metric: str, dry_run: bool, verdict: bool, **given: Any) -> None:  # noqa: ANN401 - flags
    """Poll METRIC once and deliver what it brought."""
    from shipper.wiring.once import poll_once

    if verdict and not dry_run:
        raise click.UsageError("--verdict needs --dry-run")
    poll_once(run_settings(given), metric, dry_run=dry_run, verdict=verdict, console=Console())


@cli.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself after so long.")
@with_flags
def demo(seconds: float | None, **given: Any) -> None:  # noqa: ANN401 - the values of the flags
    """Run against an emulated SQream and a small log store, to see how it works."""
    from shipper.wiring.demo import demo_config, demonstrate

    if not given["config"] and not usual_config(Path(sys.argv[0])).exists():
        given["config"] = str(demo_config())
    demonstrate(run_settings(given), given, seconds=seconds, console=Console())


@cli.group(name="dead-letter")
def dead_letter() -> None:
    """Look at the lines that Loki refused for good, and send them again."""


@dead_letter.command(name="list")
@click.argument("metric", required=False, shell_complete=complete_metrics)
@click.option("--json", "as_machine", is_flag=True, help="Print JSON for machines.")
@click.option(
    "--limit",
    "newest_records",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many to show.",
)
@option(next(flag for flag in FLAGS if flag.name == "state_dir"))
def list_dead_letters(
    metric: str | None, as_machine: bool, newest_records: int, state_dir: str | None
) -> None:
    """Count the lines that were refused, by metric and reason, and show the newest, of METRIC or of all."""
    from shipper.wiring import dead_letters

    folder = state_dir_to_read(Path(state_dir) if state_dir else default_state_dir())
    found = dead_letters.survey(folder, metric, newest_records=newest_records)
    click.echo(
        dead_letters.as_json(found) if as_machine else "\n".join(dead_letters.as_text(found))
    )


@dead_letter.command(name="replay")
@click.argument("metric", required=False, shell_complete=complete_metrics)
@click.option("--reason", help="Only those refused for this reason, like too_old.")
@click.option(
    "--restamp", is_flag=True, help="Give them the present time; theirs becomes original_time."
)
@with_flags
def replay_dead_letters(
    metric: str | None,
    reason: str | None,
    restamp: bool,
    **given: Any,  # noqa: ANN401 - flags
) -> None:
    """Send the lines that were refused to Loki again, of METRIC or of all; works while Shipper runs."""
    from shipper.wiring.replay import replay

    replay(run_settings(given), metric, reason=reason, restamp=restamp, console=Console())


@cli.group()
def cursor() -> None:
    """Look at how far every source was read, and change it while Shipper does not run."""


@cursor.command(name="list")
@click.option("--json", "as_machine", is_flag=True, help="Print JSON for machines.")
@option(next(flag for flag in FLAGS if flag.name == "state_dir"))
def list_cursors(as_machine: bool, state_dir: str | None) -> None:
    """Show the cursor of every metric that has one; works while Shipper runs."""
    from shipper.wiring import cursors

    places = cursors.survey(
        state_dir_to_read(Path(state_dir) if state_dir else default_state_dir())
    )
    click.echo(cursors.as_json(places) if as_machine else "\n".join(cursors.as_text(places)))


@cursor.command(name="set")
@click.argument("metric", shell_complete=complete_metrics)
@click.argument("values", nargs=-1, required=True)
@click.option("--types", help="Types of the values, like datetime,int; where there is no cursor.")
@click.option("--kind", help="Kind of source.  [default: what the configuration says]")
@with_flags
def set_cursor(
    metric: str,
    values: tuple[str, ...],
    types: str | None,
    kind: str | None,
    **given: Any,  # noqa: ANN401 - flags
) -> None:
    """Let METRIC go on behind VALUES, one for each cursor column; write -- before a negative one."""
    from shipper.wiring import cursors

    wanted = [word.strip() for word in types.split(",")] if types else ()
    cursors.set_cursor(run_settings(given), metric, values, types=wanted, kind=kind)


@cursor.command(name="reset")
@click.argument("metric", shell_complete=complete_metrics)
@with_flags
def reset_cursor(metric: str, **given: Any) -> None:  # noqa: ANN401 - flags
    """Forget the cursor of METRIC: the next start begins as its entry says."""
    from shipper.wiring import cursors

    cursors.reset_cursor(run_settings(given), metric)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of the configuration."""
    from shipper.config.reference import schema_text
    from shipper.wiring.vocabulary import vocabulary

    click.echo(schema_text(vocabulary()))


@cli.command()
@click.argument("kind", shell_complete=complete_kinds)
def example(kind: str) -> None:
    """Print a valid configuration with every key of one KIND of source.

    The configuration goes to standard output, what its keys mean to standard error.
    """
    from shipper.config.reference import example_comments, example_text
    from shipper.wiring.vocabulary import vocabulary

    known = vocabulary()
    click.echo(example_text(known, kind))
    click.echo(example_comments(known, kind), err=True)


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"shipper {__version__}")


for each in (*TIME_FRAME_COMMANDS, top, job_event, completion):
    cli.add_command(each)


def _forget_stdout() -> None:
    """Let Python end quietly although what we printed cannot be written any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
