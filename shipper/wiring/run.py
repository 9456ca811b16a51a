"""The run itself: configuration, gate, workers, until somebody says stop."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from logging import Logger
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random
from uuid import uuid4

from rich.console import Console
from setproctitle import setproctitle

from shipper import __version__
from shipper.config.loading import Configuration
from shipper.config.models import HttpSettings
from shipper.core.clock import SystemClock
from shipper.core.errors import ConfigError, StartupError
from shipper.core.words import Count, counted
from shipper.live.doors import Doors
from shipper.live.feed import FeedSender, feed_address
from shipper.pipeline.circuit import Circuit
from shipper.pipeline.schedule import spread
from shipper.pipeline.spool import spool_path
from shipper.pipeline.spool.offline import lines_left
from shipper.startup.surroundings import is_loopback
from shipper.store.settings import SINK_NAME, StoreSettings
from shipper.supervise.notify import Notifier
from shipper.supervise.plan import WorkerPlan
from shipper.supervise.signals import signal_words
from shipper.supervise.supervisor import Supervisor
from shipper.telemetry.log import LogSettings, start_logging
from shipper.wiring.assignment import Assignment
from shipper.wiring.destinations import lokis, lokis_of
from shipper.wiring.gate import Surroundings, fork_server, pass_gate
from shipper.wiring.own_logs import with_own_logs
from shipper.wiring.rollcall import Rollcall
from shipper.wiring.settings import RunSettings
from shipper.wiring.vocabulary import families, fixed_labels
from shipper.wiring.web import WebAssignment, WebView, run_web
from shipper.wiring.worker import run_worker

WEB = "(web)"
"""No metric can have this name."""

GATE_SECONDS = 60.0
"""How long the gate may take beyond `wait_seconds` before whoever watches us is right to think that it hangs; one
round of its checks takes 16 s at most."""


def run(
    settings: RunSettings,
    *,
    console: Console,
    started: Callable[[Surroundings, list[str]], None] | None = None,
    hangup: str = "reload",
) -> None:
    """Run until SIGINT or SIGTERM; SIGHUP reads the configuration again.

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
    notifier = Notifier.taken_from(os.environ, pid=os.getpid(), clock=SystemClock())
    configuration = settings.load()
    context = fork_server(configuration)
    log = _open_log(settings.log)
    # From here on `ps` shows this instead of our arguments, which may hold a password.
    setproctitle("shipper: supervisor")
    with signal_words(hangup=hangup) as words:
        notifier.status("Trying the startup checks")
        with notifier.patience(settings.wait_seconds + GATE_SECONDS):
            surroundings = pass_gate(settings, configuration, context, console, words)
        if surroundings is None:
            log.info("Stopped before anything ran.", {"event": "stopped"})
            return
        start_logging(with_own_logs(settings.log, configuration, surroundings.state_dir.path))
        _tell_of_the_run(configuration, surroundings, log)
        supervisor = _supervisor(settings, configuration, context, surroundings, log, notifier)
        if started is not None:
            started(surroundings, words)
        supervisor.run(words)
        log.info("Stopped.", {"event": "stopped"})


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes plans of configurations: of the one the run starts with, and of every one that is read again.

    Attributes:
        settings: What the command line says.
        surroundings: What the run has taken hold of.
        feed: Address of the feed to the web process.
        http: Where the run serves, and whatever is configured later, goes on to serve.
        log: Where changes are told that a reload cannot follow.
        run_id: Names this run.
    """

    settings: RunSettings
    surroundings: Surroundings
    feed: str
    http: HttpSettings
    log: Logger
    run_id: str = field(default_factory=lambda: uuid4().hex)

    def replan(self) -> list[WorkerPlan]:
        """Read the configuration again and return its plans.

        Raises:
            ConfigError: It cannot be used, at least not without a restart.
        """
        configuration = self.settings.load()
        http = configuration.section("http", HttpSettings)
        if http.token is None and not is_loopback(self.http.host):
            raise ConfigError(
                f"http.token: {self.http.host} can be reached from outside, so a token is needed"
            )
        plans = self.plans(configuration)
        start_logging(self._log_settings(configuration))
        for key in ("host", "port"):
            now, wanted = getattr(self.http, key), getattr(http, key)
            if now != wanted:
                self.log.warning(
                    "http.%(key)s: %(wanted)s instead of %(now)s needs a restart.",
                    {"event": "restart_needed", "key": key, "wanted": wanted, "now": now},
                )
        return plans

    def plans(self, configuration: Configuration) -> list[WorkerPlan]:
        """Return what to keep running: a worker for every metric, and the web process.

        Raises:
            ConfigError: A secret cannot be read.
        """
        now = SystemClock().monotonic_seconds()
        labels = fixed_labels(configuration)
        count = len(configuration.metrics)
        workers = [
            self._worker_plan(
                configuration,
                metric,
                labels[metric],
                now + spread(position, count, entry.every_seconds),
            )
            for position, (metric, entry) in enumerate(configuration.metrics.items())
        ]
        return [*workers, self._web_plan(configuration, labels)]

    def _worker_plan(
        self,
        configuration: Configuration,
        metric: str,
        labels: Mapping[str, str],
        first_seconds: float,
    ) -> WorkerPlan:
        entry = configuration.metrics[metric]
        assignment = Assignment(
            metric=metric,
            entry=entry,
            section=configuration.section_of(entry),
            lokis=lokis_of(configuration, metric),
            store=configuration.section("store", StoreSettings),
            labels=labels,
            first_seconds=first_seconds,
            feed=self.feed,
            log=self._log_settings(configuration),
            drain_seconds=self.settings.drain_seconds,
            state_dir=self.surroundings.state_dir.path,
            run_id=self.run_id,
            shows_time_frames=self.settings.shows_time_frames,
        )
        return WorkerPlan(
            name=metric,
            target=run_worker,
            arguments=(assignment,),
            timeout_seconds=entry.poll_timeout_seconds,
            fingerprint=replace(assignment, first_seconds=0.0),
        )

    def _log_settings(self, configuration: Configuration) -> LogSettings:
        return with_own_logs(self.settings.log, configuration, self.surroundings.state_dir.path)

    def _web_plan(
        self, configuration: Configuration, labels: Mapping[str, Mapping[str, str]]
    ) -> WorkerPlan:
        http = configuration.section("http", HttpSettings)
        metrics = {
            name: {
                **entry.shown,
                "type": entry.type,
                "instance": entry.instance(configuration.section_of(entry)),
                "every_seconds": entry.every_seconds,
                "required": entry.required,
                "waits": entry.waits,
                "labels": dict(labels[name]),
                "max_label_values": entry.max_label_values,
            }
            for name, entry in configuration.metrics.items()
        }
        view = WebView(
            families=tuple(families(configuration)),
            metrics=metrics,
            doors=Doors(
                token=None if http.token is None else http.token.reveal(),
                origins=tuple(http.origins),
                loopback=is_loopback(self.http.host),
            ),
            sections=_sections(configuration),
            store=configuration.section("store", StoreSettings),
            state_dir=self.surroundings.state_dir.path,
        )
        assignment = WebAssignment(self.surroundings.listening, self.feed, view)
        return WorkerPlan(WEB, run_web, (assignment,), attendant=True, fingerprint=view, news=view)


def _sections(configuration: Configuration) -> Mapping[str, bool]:
    """Return whether runs of Time Frames, and jobs, are kept by any entry."""
    sets = {entry.table_set for entry in configuration.metrics.values()}
    return {"runs": "tf_metadata" in sets, "jobs": "jobs" in sets}


def _supervisor(
    settings: RunSettings,
    configuration: Configuration,
    context: ForkServerContext,
    surroundings: Surroundings,
    log: Logger,
    notifier: Notifier,
) -> Supervisor:
    feed = feed_address(surroundings.state_dir.path)
    http = configuration.section("http", HttpSettings)
    # What a former run, or one before the machine was started again, knew of Loki is of no use now.
    Circuit.forget_all(surroundings.state_dir.path / "circuit")
    planner = Planner(settings, surroundings, feed, http, log)
    rollcall = Rollcall(FeedSender(feed), surroundings.state_dir.path)
    return Supervisor(
        plans=planner.plans(configuration),
        replan=planner.replan,
        context=context,
        clock=SystemClock(),
        random=Random(),  # noqa: S311 - jitter needs no secrecy
        log=log,
        notifier=notifier,
        hung=rollcall.hung,
        report=rollcall.report,
        drain_seconds=settings.drain_seconds,
    )


def _tell_of_the_run(configuration: Configuration, surroundings: Surroundings, log: Logger) -> None:
    """Say where to look, where everything goes, and what of earlier runs goes nowhere."""
    log.info(
        "Serving %(address)s/ and %(address)s/metrics.",
        {"event": "serving", "address": surroundings.address},
    )
    state_dir = surroundings.state_dir.path
    shipped = sum(entry.ship for entry in configuration.metrics.values())
    kept = sum(entry.table_set is not None for entry in configuration.metrics.values())
    ways = []
    if shipped:
        found = lokis(configuration)
        urls = " and ".join(
            loki.url if len(found) == 1 else f"{loki.url} ({loki.sink_name})" for loki in found
        )
        ways.append(f"ships {counted(shipped, 'metric')} to {urls}")
    if kept:
        database = configuration.section("store", StoreSettings).shown(state_dir)
        ways.append(f"keeps {counted(kept, 'metric')} in {database}")
    log.info(
        "Shipper %(version)s %(ways)s; its state is in %(state_dir)s.",
        {
            "event": "started",
            "version": __version__,
            "ways": " and ".join(ways) or "ships nothing",
            "state_dir": state_dir,
        },
    )
    _tell_of_leftovers(state_dir, configuration, log)


def _tell_of_leftovers(state_dir: Path, configuration: Configuration, log: Logger) -> None:
    """Warn of lines that nobody will ship: their metric, or the sink they wait for, is not configured any more."""
    for path in sorted(spool_path(state_dir, "any").parent.glob("*.db")):
        metric = path.stem
        configured = metric in configuration.metrics
        sinks = _sinks_of(configuration, metric) if configured else frozenset()
        try:
            left = lines_left(path)
        except StartupError as error:
            log.warning("%(error)s.", {"event": "spool_unreadable", "error": str(error)})
            continue
        for sink, lines in left.items():
            if lines and sink not in sinks:
                log.warning(
                    "%(lines)s of %(of)s wait on disk, to be shipped when %(what)s is configured again.",
                    {
                        "event": "lines_of_nobody",
                        "lines": Count(lines, "line"),
                        "of": metric,
                        "what": f"the way to {sink}" if configured else "it",
                    },
                )


def _sinks_of(configuration: Configuration, metric: str) -> frozenset[str]:
    store = () if configuration.metrics[metric].store is None else (SINK_NAME,)
    return frozenset([*(loki.sink_name for loki in lokis_of(configuration, metric)), *store])


def _open_log(settings: LogSettings) -> Logger:
    try:
        return start_logging(settings, strict=True)
    except OSError as error:
        raise StartupError(
            f"the log file {settings.path} cannot be written: {error.strerror}"
        ) from None
