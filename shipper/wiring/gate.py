"""The gate of a run: takes what a run needs of the machine, and tries what sources and sinks need."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from shipper.ahead import start_fork_server
from shipper.config.loading import Configuration
from shipper.config.models import HttpSettings, SourceSettings
from shipper.core.checks import Check, Finding, Outcome
from shipper.core.clock import SystemClock
from shipper.core.errors import StartupError
from shipper.core.words import size
from shipper.sinks.loki.check import NOT_TRIED
from shipper.sinks.store.building import store_checks
from shipper.startup.gate import Gate, Verdict
from shipper.startup.surroundings import (
    StateDir,
    Unusable,
    claim_state_dir,
    is_loopback,
    listen,
)
from shipper.startup.table import show
from shipper.store.settings import StoreSettings
from shipper.supervise.signals import signal_words
from shipper.wiring.destinations import lokis, lokis_of
from shipper.wiring.settings import RunSettings

TAKEN = TypeVar("TAKEN", StateDir, socket.socket)

ROOMY_BYTES = 1024**3
"""What waits on disk while Loki is away may take this much, for each metric, by default."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run has taken hold of."""

    state_dir: StateDir
    listening: socket.socket

    @property
    def address(self) -> str:
        """Where the page is, like `http://127.0.0.1:9108`."""
        return f"http://{_address(self.listening)}"


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
        return [*verdicts, *_tried(gate, configuration, settings)]


def fork_server(configuration: Configuration) -> ForkServerContext:
    """Start the process that workers are forked from, with the drivers of the configured sources loaded."""
    entries = configuration.metrics.values()
    start_fork_server(
        sorted({entry.type for entry in entries}), store=any(entry.store for entry in entries)
    )
    return multiprocessing.get_context("forkserver")


def pass_gate(
    settings: RunSettings,
    configuration: Configuration,
    context: ForkServerContext,
    console: Console,
    words: Sequence[str],
) -> Surroundings | None:
    """Try everything, print the table, and return what was taken; `None` when told to stop meanwhile."""
    gate = Gate(
        context, SystemClock(), stopped=lambda: "stop" in words, not_yet=partial(_not_yet, console)
    )
    taken, verdicts = _take_surroundings(settings, configuration, required=True)
    verdicts += _tried(gate, configuration, settings)
    if "stop" in words:
        return None
    show(verdicts, console)
    failed = [verdict.check.name for verdict in verdicts if verdict.failed]
    if failed or taken is None:
        raise StartupError(f"failed: {', '.join(failed)}")
    return taken


def _not_yet(console: Console, failed: Sequence[Verdict], left_seconds: float) -> None:
    """Say what the gate is waiting for."""
    for verdict in failed:
        if verdict.finding.text == NOT_TRIED:
            continue
        text = f" not yet {verdict.check.name:<23} {verdict.finding.text}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Trying for {left_seconds:.0f} s more.", highlight=False)


def _tried(gate: Gate, configuration: Configuration, settings: RunSettings) -> list[Verdict]:
    """Try the checks; those that another one's failure kept from being tried are no failures of their own."""
    verdicts = gate.verdicts(
        _checks(configuration, settings.state_dir), wait_seconds=settings.wait_seconds
    )
    not_tried = Finding(Outcome.NOTED, NOT_TRIED)
    return [
        replace(each, finding=not_tried) if each.finding.text == NOT_TRIED else each
        for each in verdicts
    ]


def _checks(configuration: Configuration, state_dir: Path) -> list[Check]:
    """Return the checks of every kind of source in use, and of every sink."""
    checks: list[Check] = []
    for kind in sorted({entry.type for entry in configuration.metrics.values()}):
        entries = {
            name: entry for name, entry in configuration.metrics.items() if entry.type == kind
        }
        first: SourceSettings = next(iter(entries.values()))
        checks.extend(first.checks(configuration.section_of(first), entries))
    for loki in lokis(configuration):
        shipped = [
            entry
            for name, entry in configuration.metrics.items()
            if loki in lokis_of(configuration, name)
        ]
        if shipped:
            checks.extend(loki.checks(metadata=any(map(_has_metadata, shipped))))
    store = configuration.section("store", StoreSettings)
    checks.extend(store_checks(store, state_dir, _table_sets(configuration)))
    return checks


def _has_metadata(entry: SourceSettings) -> bool:
    return bool(entry.metadata_fields or entry.label_fields or entry.gives_metadata)


def _table_sets(configuration: Configuration) -> Mapping[str, bool]:
    """Return the sets of tables that entries want, each with whether one of these entries is required."""
    wanted: dict[str, bool] = {}
    for entry in configuration.metrics.values():
        if entry.table_set is not None:
            wanted[entry.table_set] = wanted.get(entry.table_set, False) or entry.required
    return wanted


def _take_surroundings(
    settings: RunSettings, configuration: Configuration, *, required: bool
) -> tuple[Surroundings | None, list[Verdict]]:
    http = configuration.section("http", HttpSettings)
    state_dir, state_verdict = _taken(
        "check_state_dir",
        partial(claim_state_dir, settings.state_dir),
        _where,
        required=required,
    )
    listening, http_verdict = _taken(
        "check_http",
        partial(_listen, http),
        _listens,
        required=required,
    )
    verdicts = [state_verdict, http_verdict]
    if state_dir is None or listening is None:
        return None, verdicts
    return Surroundings(state_dir, listening), verdicts


def _listen(http: HttpSettings) -> socket.socket:
    if http.token is None and not is_loopback(http.host):
        text = f"{http.host} can be reached from outside, so a token is needed"
        raise Unusable(text, hint="write one into a file and name it with --http_token_file")
    return listen(http.host, http.port)


def _where(state_dir: StateDir) -> Finding:
    text = str(state_dir.path)
    if state_dir.free_bytes >= ROOMY_BYTES:
        return Finding(Outcome.PASSED, text)
    return Finding(
        Outcome.NOTED,
        f"{text}: {size(state_dir.free_bytes)} are free there",
        "lines wait there while Loki is away: make room, or choose another with --state_dir",
    )


def _listens(listening: socket.socket) -> Finding:
    return Finding(Outcome.PASSED, _address(listening))


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _taken(
    name: str,
    take: Callable[[], TAKEN],
    tell: Callable[[TAKEN], Finding],
    *,
    required: bool,
) -> tuple[TAKEN | None, Verdict]:
    """Take hold of something and say so as a verdict; what another process has is noted if it is not required."""
    check = Check(name, lambda _deadline_seconds: Finding(Outcome.FAILED, "not tried"), required)
    try:
        taken = take()
    except Unusable as error:
        if error.taken and not required:
            hint = "no trouble if that is the Shipper that runs here"
            return None, Verdict(check, Finding(Outcome.NOTED, str(error), hint), 0.0)
        return None, Verdict(check, Finding(Outcome.FAILED, str(error), error.hint), 0.0)
    return taken, Verdict(check, tell(taken), 0.0)
