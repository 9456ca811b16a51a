"""Puts the parts of one worker together: source, custody and pump."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from logging import Logger
from random import Random
from threading import Event

from shipper.config.models import SourceSettings
from shipper.core.clock import Clock, SystemClock
from shipper.core.record import Batch, Cursor, Row
from shipper.pipeline.custody import Custody
from shipper.pipeline.pump import Pump
from shipper.pipeline.reader import Reader
from shipper.pipeline.schedule import Schedule
from shipper.pipeline.spool import Spool, claim_spool, spool_path
from shipper.sinks.columns import ColumnMetrics
from shipper.supervise.pulse import SharedPulse
from shipper.telemetry import families
from shipper.telemetry.tally import Tally
from shipper.wiring.assignment import Assignment
from shipper.wiring.desk import Desk
from shipper.wiring.outlets import Workbench

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
    show: Callable[[Sequence[Row]], None] | None = None,
) -> Pump:
    """Put the parts of one worker together; `show`, where there is one, sees all rows."""
    entry, clock, tally = assignment.entry, SystemClock(), desk.tally
    bench = Workbench(assignment, spool, log, desk, clock)
    outlets = bench.outlets()
    custody = Custody(
        metric=assignment.metric,
        outlets=outlets,
        inputs=bench.inputs(),
        tally=tally,
        clock=clock,
        cursor=_resumed(spool, entry, log) if entry.keeps_cursor else None,
    )
    reader = _reader(assignment, pulse, log, tally, clock)
    filing = outlets[0].filing if assignment.lokis else None
    desk.watch(reader.state, custody.deliveries, filing=filing, waits=entry.waits)
    return Pump(
        metric=assignment.metric,
        reader=reader,
        schedule=Schedule(assignment.first_seconds, entry.every_seconds),
        timeout_seconds=entry.poll_timeout_seconds,
        custody=custody,
        observe=_observer(assignment, tally, log, show),
        tally=tally,
        report=desk.report,
        log=log,
        clock=clock,
        stop=stop,
        waits_when_full=entry.waits_when_full,
        checkpoint=partial(spool.set_checkpoint, entry.type) if entry.keeps_cursor else _forget,
    )


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


def _reader(
    assignment: Assignment, pulse: SharedPulse, log: Logger, tally: Tally, clock: Clock
) -> Reader:
    entry, metric = assignment.entry, assignment.metric
    return Reader(
        metric=metric,
        source=entry.build(metric, assignment.section, assignment.state_dir),
        tally=tally,
        pulse=pulse,
        log=log,
        clock=clock,
        random=Random(),  # noqa: S311 - jitter needs no secrecy
        waits=entry.waits,
    )


def _observer(
    assignment: Assignment,
    tally: Tally,
    log: Logger,
    show: Callable[[Sequence[Row]], None] | None,
) -> Callable[[Batch | None], None]:
    """Return what makes metrics of columns, and shows rows where somebody looks on."""
    entry = assignment.entry
    asked = entry.column_metrics(assignment.section)
    columns = ColumnMetrics(assignment.metric, asked, tally, log=log, source_waits=entry.waits)

    def observe(batch: Batch | None) -> None:
        if batch is None:
            columns.forget_poll()
            return
        columns.observe(batch)
        if show is not None:
            show(batch.rows)

    return observe


def _resumed(spool: Spool, entry: SourceSettings, log: Logger) -> Cursor | None:
    """Return where to go on reading; a cursor that another kind of source left is of no use."""
    checkpoint = spool.checkpoint()
    if checkpoint is None:
        return None
    if checkpoint.kind != entry.type:
        log.warning(
            "The cursor on disk is of a source of type %(kind)s; this one begins anew.",
            {"event": "cursor_foreign", "kind": checkpoint.kind},
        )
        return None
    return checkpoint.cursor


def _forget(cursor: Cursor) -> None:
    """Keep nothing: the far end remembers what was acknowledged."""
    del cursor
