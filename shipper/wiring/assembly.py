"""Puts the parts of one worker together: source, pump, queue, spool and sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from logging import Logger
from pathlib import Path
from random import Random
from threading import Event

from shipper.config.models import SourceSettings
from shipper.core.clock import Clock, SystemClock
from shipper.core.record import Cursor
from shipper.pipeline.circuit import SUFFIX, Circuit
from shipper.pipeline.dead_letter import DeadLetters, path_of
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing, FilingRules
from shipper.pipeline.pump import Pump
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.refusals import Refusals
from shipper.pipeline.schedule import Schedule
from shipper.pipeline.spool import Shelf, Spool, claim_spool, spool_path
from shipper.sinks.columns import ColumnMetrics
from shipper.sinks.loki.settings import LokiSettings
from shipper.supervise.pulse import SharedPulse
from shipper.telemetry import families
from shipper.telemetry.tally import Tally
from shipper.wiring.assignment import Assignment
from shipper.wiring.desk import Desk

CLAIM_SECONDS = 20.0
"""How long a worker waits for its predecessor to let go of the spool."""


def build_pump(
    assignment: Assignment,
    spool: Spool,
    pulse: SharedPulse,
    *,
    stop: Event,
    log: Logger,
    desk: Desk,
) -> Pump:
    """Put the parts of one worker together."""
    entry, metric, clock, tally = assignment.entry, assignment.metric, SystemClock(), desk.tally
    deliveries = [_loki_delivery(assignment, spool, log, desk, clock)] if entry.ship else []
    pump = Pump(
        metric=metric,
        source=entry.build(metric, assignment.section),
        schedule=Schedule(assignment.first_seconds, entry.every_seconds),
        timeout_seconds=entry.poll_timeout_seconds,
        filing=Filing(
            filing_rules(entry, assignment.labels),
            partial(_overflowed, metric, log, tally, set()),
            partial(warn_of_unknown_fields, log),
        ),
        deliveries=deliveries,
        observe_rows=ColumnMetrics(entry.metrics, tally).observe,
        tally=tally,
        pulse=pulse,
        report=desk.report,
        log=log,
        clock=clock,
        random=Random(),  # noqa: S311 - jitter needs no secrecy
        stop=stop,
        waits_when_full=entry.waits_when_full,
        cursor=_resumed(spool, entry, log),
        checkpoint=partial(spool.set_checkpoint, entry.type),
    )
    desk.watch(pump.state, deliveries)
    return pump


def open_spool(assignment: Assignment, log: Logger, tally: Tally) -> Spool:
    """Open the spool of a metric for this process alone, and count what an earlier run left in it.

    Raises:
        SpoolTaken: Another process works on it.
    """
    metric = assignment.metric
    path = spool_path(assignment.state_dir, metric)
    claim_spool(path, wait_seconds=CLAIM_SECONDS)

    def damaged(lines: int) -> None:
        tally.count(families.SPOOL_DAMAGED, metric)
        if lines:
            tally.count(families.LINES_DROPPED, metric, "spool_damaged", by=lines)

    return Spool(path, clock=SystemClock(), log=log, damaged=damaged, run=assignment.run_id)


def _resumed(spool: Spool, entry: SourceSettings, log: Logger) -> Cursor | None:
    """Return where to go on reading; a cursor that another kind of source left is of no use."""
    checkpoint = spool.checkpoint()
    if checkpoint is None:
        return None
    if checkpoint.kind != entry.type:
        log.warning(
            "The cursor on disk is of a source of type %s; this one begins anew.", checkpoint.kind
        )
        return None
    return checkpoint.cursor


def filing_rules(entry: SourceSettings, labels: Mapping[str, str]) -> FilingRules:
    """Return how the rows of an entry become records."""
    return FilingRules(
        labels=labels,
        label_fields=entry.label_fields,
        metadata_fields=entry.metadata_fields,
        max_label_values=entry.max_label_values,
        time_field=entry.time_field,
        line=entry.line,
    )


def _loki_delivery(
    assignment: Assignment, spool: Spool, log: Logger, desk: Desk, clock: Clock
) -> Delivery:
    settings, entry, metric = assignment.loki, assignment.entry, assignment.metric
    sink = settings.build()
    random = Random()  # noqa: S311 - jitter needs no secrecy
    shelf = Shelf(spool, sink.name, max_bytes=entry.spool_max_bytes or settings.spool_max_bytes)
    if shelf.lines and spool.of_earlier_run:
        log.info("%d lines of an earlier run wait on disk and are delivered first.", shelf.lines)
        desk.tally.count(families.LINES_RECOVERED, metric, sink.name, by=shelf.lines)
    letters = DeadLetters(
        path_of(assignment.state_dir, metric),
        max_bytes=settings.dead_letter_max_bytes,
        clock=clock,
    )
    circuit = Circuit(circuit_path(assignment.state_dir, settings), clock=clock, random=random)
    if circuit.alone_because:
        log.warning("What Loki does is not shared with other workers: %s.", circuit.alone_because)
    return Delivery(
        metric=metric,
        sink=sink,
        queue=DeliveryQueue(
            max_bytes=settings.queue_max_bytes,
            batch_bytes=settings.max_batch_bytes,
            clock=clock,
            shelf=shelf,
            drops_oldest=not entry.waits_when_full,
        ),
        pace=circuit,
        refusals=Refusals(
            metric=metric,
            sink=sink.name,
            tally=desk.tally,
            log=log,
            clock=clock,
            too_old=entry.too_old or settings.too_old,
            letterbox=letters,
        ),
        tally=desk.tally,
        log=log,
        clock=clock,
        settled=desk.report,
        random=random,
    )


def circuit_path(state_dir: Path, loki: LokiSettings) -> Path:
    """Return where all workers that push to the same Loki as the same tenant share what they know of it."""
    destination = f"{loki.url} {loki.tenant or ''}"
    name = sha256(destination.encode()).hexdigest()[:16]
    return state_dir / "circuit" / f"{name}{SUFFIX}"


def warn_of_unknown_fields(log: Logger, missing: Sequence[str], there: Sequence[str]) -> None:
    """Say that fields are asked for which the rows do not have."""
    log.warning(
        "No row of the first poll has a field %s; its fields are %s.",
        " or ".join(missing),
        ", ".join(there),
    )


def _overflowed(metric: str, log: Logger, tally: Tally, warned: set[str], name: str) -> None:
    tally.count(families.LABEL_OVERFLOWS, metric, name)
    if name not in warned:
        warned.add(name)
        log.warning(
            "The label field %s has more than max_label_values values; further ones go to structured metadata.",
            name,
        )
