"""The word `job-event`: tells the jobs service what happens to a job; a batch job calls it often, so it starts fast."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from shipper.cli.flags import Command, option, token_of
from shipper.config.flags import Flag
from shipper.core.errors import ConfigError, ShipperError

if TYPE_CHECKING:
    from shipper.wiring.job_event.post import Service

NEEDLESS_EXIT_CODE = 10
"""The job is not needed any more; no other exit code of ours, and none of a shell."""

MOST_PAYLOAD_CHARACTERS = 1024 * 1024
ADDRESS_VARIABLE = "JOB_EVENT_ADDR"
LEAST_SECONDS = 0.1

JOB_EVENT_FLAGS = (
    Flag("address", "text", "-", "Where to post, as the submission of the job says"),
    Flag("progress", "number", "-", "How far the job is, as a whole number"),
    Flag("payload", "text", "-", "Any text to be kept with the event; - reads it from standard input"),
    Flag("token_file", "secret_file", "-", "File with the bearer token that the service wants"),
    Flag("timeout_seconds", "seconds", "5", "How long one attempt may take"),
    Flag("retry_seconds", "seconds", "0", "How long to keep trying while the service is away"),
    Flag("best_effort", "switch", "off", "Warn and end with 0 when it is not taken or no address is given"),
    Flag("check_keep_going", "switch", "off", f"End with {NEEDLESS_EXIT_CODE}, and the command, when it is needless"),
    Flag("quiet", "switch", "off", "Print nothing; the exit code says it"),
    Flag("run", "switch", "off", "Run a command, and post STARTED, a BEAT now and then, and DONE or FAILED"),
    Flag("beat_seconds", "seconds", "60", "How often BEAT is posted"),
)  # fmt: skip


def _with_job_event_flags(command: Command) -> Command:
    for flag in reversed(JOB_EVENT_FLAGS):
        also = ADDRESS_VARIABLE if flag.name == "address" else None
        command = option(flag, also_variable=also)(command)
    return command


@click.command(name="job-event")
@click.argument("words", nargs=-1, metavar="EVENT_CLASS | -- COMMAND...")
@_with_job_event_flags
@click.pass_context
def job_event(ctx: click.Context, /, words: tuple[str, ...], **given: Any) -> None:  # noqa: ANN401 - flags
    """Tell the jobs service what happened to this job: STARTED, PROGRESS, DONE, FAILED, or a word of your own.

    The address comes from JOB_EVENT_ADDR, which the submission of a job sets. Exit codes: 0 taken, 2 bad usage,
    3 not taken, 10 not needed any more (--check_keep_going). With --run: that of the command.
    """
    say = _Say(quiet=bool(given["quiet"]))
    ctx.exit(_around(words, given, say) if given["run"] else _one(words, given, say))


@dataclass(frozen=True, slots=True)
class _Say:
    quiet: bool

    def __call__(self, text: str) -> None:
        """Print a sentence, to where it is in nobody's way."""
        if not self.quiet:
            click.echo(f"job-event: {text}", err=True)


def _one(words: tuple[str, ...], given: dict[str, Any], say: _Say) -> int:
    from time import sleep

    from shipper.wiring.job_event.post import Event

    if len(words) != 1 or not words[0].strip():
        raise click.UsageError("one event class is wanted, like STARTED; --run is for commands")

    def post() -> bool:
        event = Event(words[0], given["progress"], _payload(given["payload"]))
        return _service(given).post(event, sleep)

    return _exit_code(post, given, say)


def _exit_code(post: Callable[[], bool], given: dict[str, Any], say: _Say) -> int:
    try:
        goes_on = post()
    except ShipperError as error:
        say(f"{'warning: ' if given['best_effort'] else ''}{error}")
        return 0 if given["best_effort"] else error.exit_code
    if goes_on:
        return 0
    say("the job is not needed any more (keepGoing: false)")
    return NEEDLESS_EXIT_CODE if given["check_keep_going"] else 0


def _around(words: tuple[str, ...], given: dict[str, Any], say: _Say) -> int:
    from shipper.wiring.job_event.around import Around

    if not words:
        raise click.UsageError("--run wants a command: job-event --run -- COMMAND ...")
    if given["progress"] is not None or given["payload"] is not None:
        raise click.UsageError("--progress and --payload are for one event, not for --run")
    try:
        service = _service(given)
    except ConfigError as error:
        if not given["best_effort"]:
            raise
        say(f"warning: nothing is posted: {error}")
        return _become(words, say)
    beat_seconds = 60.0 if given["beat_seconds"] is None else given["beat_seconds"]
    around = Around(
        service, say, max(beat_seconds, LEAST_SECONDS), obeys=bool(given["check_keep_going"])
    )
    exit_code = around.run(words)
    if around.needless:
        say("the job is not needed any more (keepGoing: false)")
        return NEEDLESS_EXIT_CODE if given["check_keep_going"] else exit_code
    return exit_code


def _become(command: tuple[str, ...], say: _Say) -> int:
    """Let the command take our place, for it is all that is left to do; an exit code only if it cannot."""
    from shipper.wiring.job_event.around import exit_code_of

    try:
        os.execvp(command[0], command)  # nosec B606 # noqa: S606 - no shell is wanted
    except OSError as error:
        say(f"{command[0]}: {error.strerror}")
        return exit_code_of(error)


def _service(given: dict[str, Any]) -> Service:
    """Return where events go.

    Raises:
        ConfigError: The flags do not say it.
    """
    from random import Random
    from socket import gethostname

    from shipper.core.clock import SystemClock
    from shipper.wiring.job_event.post import Service, read_address

    if not given["address"]:
        raise ConfigError(f"no address is given: {ADDRESS_VARIABLE} is not set, nor --address")
    timeout_seconds = 5.0 if given["timeout_seconds"] is None else given["timeout_seconds"]
    return Service(
        read_address(given["address"]),
        token_of(given["token_file"]),
        gethostname(),
        max(timeout_seconds, LEAST_SECONDS),
        given["retry_seconds"] or 0.0,
        SystemClock(),
        Random(),  # noqa: S311 - jitter
    )


def _payload(written: str | None) -> str | None:
    """Return the payload, from standard input if it says so.

    Raises:
        ConfigError: It is too long.
    """
    if written == "-":
        read = sys.stdin.buffer.read(MOST_PAYLOAD_CHARACTERS + 1)
        written = read.decode("utf-8", "replace").removesuffix("\n")
    if written is not None and len(written) > MOST_PAYLOAD_CHARACTERS:
        raise ConfigError(f"--payload: at most {MOST_PAYLOAD_CHARACTERS} characters")
    return written
