"""The run itself: configuration, gate, workers, until somebody says stop."""

from __future__ import annotations

from collections.abc import Callable
from logging import Logger
from multiprocessing.context import ForkServerContext
from random import Random

from rich.console import Console
from setproctitle import setproctitle

from shipper.config.loading import Configuration
from shipper.config.models import HttpSettings
from shipper.core.clock import SystemClock
from shipper.core.errors import StartupError
from shipper.live.feed import FeedSender, feed_address
from shipper.pipeline.schedule import spread
from shipper.sinks.loki.settings import LokiSettings
from shipper.supervise.signals import signal_words
from shipper.supervise.supervisor import Supervisor, WorkerPlan
from shipper.telemetry.log import LogSettings, start_logging
from shipper.wiring.gate import Surroundings, fork_server, pass_gate
from shipper.wiring.rollcall import Rollcall
from shipper.wiring.settings import RunSettings
from shipper.wiring.vocabulary import families, fixed_labels
from shipper.wiring.web import WebAssignment, run_web
from shipper.wiring.worker import Assignment, run_worker

WEB = "(web)"
"""No metric can have this name."""


def run(
    settings: RunSettings,
    *,
    console: Console,
    started: Callable[[Surroundings, list[str]], None] | None = None,
    hangup: str = "reload",
) -> None:
    """Run until SIGINT or SIGTERM.

    Args:
        settings: What the command line says.
        console: Where the table of the checks goes.
        started: Called once workers run, with the list that `stop` can be added to.
        hangup: What SIGHUP means.

    Raises:
        ConfigError: The configuration cannot be used.
        StartupError: A startup check failed.
        EveryWorkerGaveUp: No worker is left.
    """
    configuration = settings.load()
    context = fork_server(configuration)
    log = _open_log(settings.log)
    # From here on `ps` shows this instead of our arguments, which may hold a password.
    setproctitle("shipper: supervisor")
    with signal_words(hangup=hangup) as words:
        surroundings = pass_gate(settings, configuration, context, console, words)
        if surroundings is None:
            log.info("Stopped before anything ran.")
            return
        log.info("Serving %s/ and %s/metrics.", surroundings.address, surroundings.address)
        supervisor = _supervisor(settings, configuration, context, surroundings, log)
        if started is not None:
            started(surroundings, words)
        supervisor.run(words)
        log.info("Stopped.")


def _supervisor(
    settings: RunSettings,
    configuration: Configuration,
    context: ForkServerContext,
    surroundings: Surroundings,
    log: Logger,
) -> Supervisor:
    feed = feed_address(surroundings.state_dir.path)
    rollcall = Rollcall(configuration.metrics, FeedSender(feed))
    return Supervisor(
        plans=_plans(settings, configuration, surroundings, feed),
        context=context,
        clock=SystemClock(),
        random=Random(),  # noqa: S311 - jitter needs no secrecy
        log=log,
        hung=rollcall.hung,
        report=rollcall.report,
        drain_seconds=settings.drain_seconds,
    )


def _open_log(settings: LogSettings) -> Logger:
    try:
        return start_logging(settings)
    except OSError as error:
        raise StartupError(
            f"the log file {settings.path} cannot be written: {error.strerror}"
        ) from None


def _plans(
    settings: RunSettings,
    configuration: Configuration,
    surroundings: Surroundings,
    feed: str,
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
    return [*plans, _web_plan(configuration, surroundings, feed)]


def _web_plan(
    configuration: Configuration,
    surroundings: Surroundings,
    feed: str,
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
        families=tuple(families(configuration)),
        metrics=metrics,
        token=None if token is None else token.reveal(),
    )
    return WorkerPlan(WEB, run_web, (assignment,), attendant=True)
