"""The run itself: configuration, gate, workers, until somebody says stop."""

from __future__ import annotations

import multiprocessing
import platform
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from logging import Logger
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random
from typing import TypeVar

from rich.console import Console
from setproctitle import setproctitle

from shipper import __version__
from shipper.ahead import start_fork_server
from shipper.config.loading import Configuration, Override, load
from shipper.config.models import HttpSettings, SourceSettings
from shipper.core.checks import Check, Finding, Outcome
from shipper.core.clock import SystemClock
from shipper.core.errors import StartupError
from shipper.live.board import SUPERVISOR
from shipper.live.feed import FeedSender, feed_address
from shipper.pipeline.schedule import spread
from shipper.sinks.loki.settings import LokiSettings
from shipper.startup.gate import Gate, Verdict
from shipper.startup.surroundings import StateDir, claim_state_dir, is_loopback, listen
from shipper.startup.table import show
from shipper.supervise.lifecycle import Worker
from shipper.supervise.signals import signal_words
from shipper.supervise.supervisor import Supervisor, WorkerPlan
from shipper.telemetry import families as names
from shipper.telemetry.log import LogSettings, start_logging
from shipper.telemetry.tally import Tally
from shipper.wiring.vocabulary import families, fixed_labels, vocabulary
from shipper.wiring.web import WebAssignment, run_web
from shipper.wiring.worker import Assignment, run_worker

WEB = "(web)"
"""No metric can have this name."""

TAKEN = TypeVar("TAKEN", StateDir, socket.socket)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the command line says beside the configuration.

    Attributes:
        path: The configuration file.
        overrides: What beats the file.
        state_dir: Where state is kept; one Shipper at a time.
        wait_seconds: How long the gate keeps trying.
        log: How to log.
        drain_seconds: How long workers may deliver after the order to stop.
    """

    path: Path
    overrides: tuple[Override, ...]
    state_dir: Path
    wait_seconds: float = 0.0
    log: LogSettings = field(default_factory=LogSettings)
    drain_seconds: float = 20.0

    def load(self) -> Configuration:
        """Return the validated configuration.

        Raises:
            ConfigError: Something is wrong with it.
        """
        return load(self.path, vocabulary(), self.overrides)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run has taken hold of."""

    state_dir: StateDir
    listening: socket.socket

    @property
    def address(self) -> str:
        """Where the page is, like `http://127.0.0.1:9108`."""
        return f"http://{_address(self.listening)}"


def run(
    settings: RunSettings,
    *,
    console: Console,
    started: Callable[[Surroundings, list[str]], None] | None = None,
) -> None:
    """Run until SIGINT or SIGTERM; `started` is called once workers run, with the list that `stop` can be added to.

    Raises:
        ConfigError: The configuration cannot be used.
        StartupError: A startup check failed.
        EveryWorkerGaveUp: No worker is left.
    """
    configuration = settings.load()
    context = fork_server(configuration)
    shown_families = tuple(families(configuration))
    log = _open_log(settings.log)
    # From here on `ps` shows this instead of our arguments, which may hold a password.
    setproctitle("shipper: supervisor")
    with signal_words() as words:
        surroundings = _pass_gate(settings, configuration, context, console, words)
        if surroundings is None:
            log.info("Stopped before anything ran.")
            return
        log.info("Serving %s/ and %s/metrics.", surroundings.address, surroundings.address)
        feed = feed_address(surroundings.state_dir.path)
        plans = _plans(settings, configuration, surroundings, feed, shown_families)
        supervisor = _supervisor(settings, configuration, context, plans, feed, log)
        if started is not None:
            started(surroundings, words)
        supervisor.run(words)
        log.info("Stopped.")


def check(settings: RunSettings, *, console: Console) -> list[Verdict]:
    """Try every startup check once the way a run would, and let go of everything again.

    Raises:
        ConfigError: The configuration cannot be used.
    """
    configuration = settings.load()
    context = fork_server(configuration)
    with signal_words() as words, console.status("Checking…"):
        taken, verdicts = _take_surroundings(settings, configuration, required=False)
        if taken is not None:
            taken.listening.close()
            taken.state_dir.release()
        gate = Gate(context, SystemClock(), stopped=lambda: "stop" in words)
        return [
            *verdicts,
            *gate.verdicts(_checks(configuration), wait_seconds=settings.wait_seconds),
        ]


def fork_server(configuration: Configuration) -> ForkServerContext:
    """Start the process that workers are forked from, with the drivers of the configured sources loaded."""
    start_fork_server(sorted({entry.type for entry in configuration.metrics.values()}))
    return multiprocessing.get_context("forkserver")


def _open_log(settings: LogSettings) -> Logger:
    try:
        return start_logging(settings)
    except OSError as error:
        raise StartupError(
            f"the log file {settings.path} cannot be written: {error.strerror}"
        ) from None


def _pass_gate(
    settings: RunSettings,
    configuration: Configuration,
    context: ForkServerContext,
    console: Console,
    words: Sequence[str],
) -> Surroundings | None:
    """Try everything, print the table, and return what was taken; `None` when told to stop meanwhile."""
    gate = Gate(context, SystemClock(), stopped=lambda: "stop" in words)
    taken, verdicts = _take_surroundings(settings, configuration, required=True)
    verdicts += gate.verdicts(_checks(configuration), wait_seconds=settings.wait_seconds)
    if "stop" in words:
        return None
    show(verdicts, console)
    failed = [verdict.check.name for verdict in verdicts if verdict.failed]
    if failed or taken is None:
        raise StartupError(f"failed: {', '.join(failed)}")
    return taken


def _checks(configuration: Configuration) -> list[Check]:
    """Return the checks of every kind of source in use, and of every sink."""
    checks: list[Check] = []
    for kind in sorted({entry.type for entry in configuration.metrics.values()}):
        entries = {
            name: entry for name, entry in configuration.metrics.items() if entry.type == kind
        }
        first: SourceSettings = next(iter(entries.values()))
        checks.extend(first.checks(configuration.section_of(first), entries))
    checks.extend(configuration.section("loki", LokiSettings).checks())
    return checks


def _take_surroundings(
    settings: RunSettings, configuration: Configuration, *, required: bool
) -> tuple[Surroundings | None, list[Verdict]]:
    http = configuration.section("http", HttpSettings)
    state_dir, state_verdict = _taken(
        "check_state_dir",
        partial(claim_state_dir, settings.state_dir),
        _where,
        hint="choose another with --state_dir, or stop the other one",
        required=required,
    )
    listening, http_verdict = _taken(
        "check_http",
        partial(_listen, http),
        _address,
        hint="choose another with --http_host and --http_port",
        required=required,
    )
    verdicts = [state_verdict, http_verdict]
    if state_dir is None or listening is None:
        return None, verdicts
    return Surroundings(state_dir, listening), verdicts


def _listen(http: HttpSettings) -> socket.socket:
    if http.token is None and not is_loopback(http.host):
        raise StartupError(
            f"{http.host} can be reached from outside, so a token is needed: --http_token_file"
        )
    return listen(http.host, http.port)


def _where(state_dir: StateDir) -> str:
    return str(state_dir.path)


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _taken(
    name: str,
    take: Callable[[], TAKEN],
    tell: Callable[[TAKEN], str],
    *,
    hint: str,
    required: bool,
) -> tuple[TAKEN | None, Verdict]:
    """Take hold of something and say so as a verdict."""
    failure = Outcome.FAILED if required else Outcome.NOTED
    check = Check(name, lambda _deadline_seconds: Finding(failure, "not tried"), required)
    try:
        taken = take()
    except StartupError as error:
        return None, Verdict(check, Finding(failure, str(error), hint), 0.0)
    return taken, Verdict(check, Finding(Outcome.PASSED, tell(taken)), 0.0)


def _plans(
    settings: RunSettings,
    configuration: Configuration,
    surroundings: Surroundings,
    feed: str,
    shown_families: tuple[names.Family, ...],
) -> list[WorkerPlan]:
    labels = fixed_labels(configuration)
    now = SystemClock().monotonic_seconds()
    count = len(configuration.metrics)
    plans = []
    for position, (metric, entry) in enumerate(configuration.metrics.items()):
        assignment = Assignment(
            metric=metric,
            entry=entry,
            section=configuration.section_of(entry),
            loki=configuration.section("loki", LokiSettings),
            labels=labels[metric],
            first_seconds=now + spread(position, count, entry.every_seconds),
            feed=feed,
            log=settings.log,
            drain_seconds=settings.drain_seconds,
        )
        plans.append(
            WorkerPlan(
                name=metric,
                target=run_worker,
                arguments=(assignment,),
                timeout_seconds=entry.poll_timeout_seconds,
                required=entry.required,
            )
        )
    return [*plans, _web_plan(configuration, surroundings, feed, shown_families)]


def _web_plan(
    configuration: Configuration,
    surroundings: Surroundings,
    feed: str,
    shown_families: tuple[names.Family, ...],
) -> WorkerPlan:
    token = configuration.section("http", HttpSettings).token
    metrics = {
        name: {
            "type": entry.type,
            "instance": entry.instance(configuration.section_of(entry)),
            "every_seconds": entry.every_seconds,
            "required": entry.required,
        }
        for name, entry in configuration.metrics.items()
    }
    assignment = WebAssignment(
        listening=surroundings.listening,
        feed=feed,
        families=shown_families,
        metrics=metrics,
        token=None if token is None else token.reveal(),
    )
    return WorkerPlan(WEB, run_web, (assignment,), attendant=True)


def _supervisor(
    settings: RunSettings,
    configuration: Configuration,
    context: ForkServerContext,
    plans: Sequence[WorkerPlan],
    feed: str,
    log: Logger,
) -> Supervisor:
    sender = FeedSender(feed)
    tally = Tally()
    tally.show(names.BUILD, __version__, platform.python_version(), value=1)

    def hung(name: str) -> None:
        tally.count(names.POLLS, name, "timeout")

    def report(workers: Mapping[str, Worker], pids: Mapping[str, int]) -> None:
        metrics = {name: workers[name] for name in configuration.metrics}
        for name, worker in metrics.items():
            tally.show(names.WORKER_UP, name, value=float(name in pids))
            tally.show(names.WORKER_RESTARTS, name, value=worker.restarts)
        state = {
            name: {
                "phase": str(worker.phase),
                "pid": pids.get(name, 0),
                "restarts": worker.restarts,
                "reason": worker.reason,
            }
            for name, worker in metrics.items()
        }
        sender.send(
            {
                "origin": SUPERVISOR,
                "pid": 0,
                "state": {"workers": state},
                "tally": tally.snapshot(),
            }
        )

    return Supervisor(
        plans=plans,
        context=context,
        clock=SystemClock(),
        random=Random(),  # noqa: S311 - jitter needs no secrecy
        log=log,
        hung=hung,
        report=report,
        drain_seconds=settings.drain_seconds,
    )
