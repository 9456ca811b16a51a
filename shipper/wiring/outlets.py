"""Puts together the ways from a worker to its sinks, and to its dead letters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from logging import Logger
from pathlib import Path
from random import Random
from typing import Protocol

from shipper.config.models import SourceSettings
from shipper.core.clock import Clock
from shipper.core.ports import Sink
from shipper.core.words import Count
from shipper.pipeline.circuit import SUFFIX, Circuit
from shipper.pipeline.dead_letter import DeadLetters, path_of
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing, FilingRules
from shipper.pipeline.inputs import SOURCE, Inputs
from shipper.pipeline.outlet import Outlet
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.refusals import Refusals, TooOld
from shipper.pipeline.showing import Show
from shipper.pipeline.spool import Shelf, Spool
from shipper.sinks.loki.settings import LokiSettings
from shipper.sinks.store.building import build_store
from shipper.store.sets import wanted_by
from shipper.telemetry import families
from shipper.telemetry.tally import Tally
from shipper.wiring.assignment import Assignment
from shipper.wiring.desk import Desk

LONGEST_VALUE_CHARACTERS = 100
"""How much of a value that is no time is shown."""


class Limits(Protocol):
    """How much may wait for a sink, and how much is written at once; both sections of sinks have these keys."""

    @property
    def queue_max_bytes(self) -> int:
        """The most in memory."""

    @property
    def max_batch_bytes(self) -> int:
        """The most in one write."""

    @property
    def spool_max_bytes(self) -> int:
        """The most on disk."""

    @property
    def dead_letter_max_bytes(self) -> int:
        """The most of refused records."""


@dataclass(frozen=True, slots=True)
class Workbench:
    """What the outlets of one worker are made of.

    Attributes:
        assignment: What the worker was told.
        spool: Where things are kept on disk.
        log: The worker's log.
        desk: Where things are counted and reported.
        clock: Time.
    """

    assignment: Assignment
    spool: Spool
    log: Logger
    desk: Desk
    clock: Clock

    def outlets(self) -> Sequence[Outlet]:
        """Return the ways to every sink that the entry asks for: first to Loki, then to the store."""
        assignment = self.assignment
        outlets = [self._lokis(assignment.lokis)] if assignment.lokis else []
        if assignment.entry.store is not None:
            outlets.append(self._store(assignment.entry.store))
        return outlets

    def inputs(self) -> Inputs:
        """Return where what is no row goes."""
        sinks: Sequence[Limits] = self.assignment.lokis or [self.assignment.store]
        limit = max(sink.dead_letter_max_bytes for sink in sinks)
        return Inputs(self._refusals(SOURCE, limit, "dead_letter"), self.assignment.labels)

    def _lokis(self, lokis: Sequence[LokiSettings]) -> Outlet:
        """Return the way to one Loki or several, which get the same lines, each in its own time."""
        metric, log, tally = self.assignment.metric, self.log, self.desk.tally
        filing = Filing(
            filing_rules(self.assignment.entry, self.assignment.labels),
            partial(_overflowed, metric, log, tally, set()),
            partial(warn_of_unknown_fields, log),
            partial(warn_of_no_times, log),
        )
        # Whoever looks on sees a line once: when the first Loki took it.
        shows = [self.desk.show, *[None] * (len(lokis) - 1)]
        return Outlet(
            [self._loki(loki, show) for loki, show in zip(lokis, shows, strict=True)], filing
        )

    def _loki(self, loki: LokiSettings, show: Show | None) -> Delivery:
        path = circuit_path(self.assignment.state_dir, loki)
        too_old = self.assignment.entry.too_old or loki.too_old
        return self._delivery(loki.build(), loki, path, too_old, show=show)

    def _store(self, name: str) -> Outlet:
        assignment, store = self.assignment, self.assignment.store
        path = _circuit(assignment.state_dir, f"{store.shown(assignment.state_dir)} {name}")
        sink = build_store(store, assignment.state_dir, name, self.log)
        # Whoever looks on sees a line once: when Loki took it, or the store where it goes there alone.
        show = None if assignment.lokis else self.desk.show
        delivery = self._delivery(sink, store, path, "dead_letter", prepare=sink.prepare, show=show)
        return store_outlet(delivery, name)

    def _delivery(
        self,
        sink: Sink,
        limits: Limits,
        circuit: Path,
        too_old: TooOld,
        *,
        prepare: Callable[[], object] = lambda: None,
        show: Show | None,
    ) -> Delivery:
        entry, random = self.assignment.entry, Random()  # noqa: S311 - jitter needs no secrecy
        return Delivery(
            metric=self.assignment.metric,
            sink=sink,
            queue=DeliveryQueue(
                max_bytes=limits.queue_max_bytes,
                batch_bytes=limits.max_batch_bytes,
                clock=self.clock,
                shelf=self._shelf(sink.name, entry.spool_max_bytes or limits.spool_max_bytes),
                drops_oldest=not entry.waits_when_full,
            ),
            pace=self._circuit(circuit, sink.name, random),
            refusals=self._refusals(sink.name, limits.dead_letter_max_bytes, too_old),
            tally=self.desk.tally,
            log=self.log,
            clock=self.clock,
            settled=self.desk.report,
            random=random,
            prepare=prepare,
            show=show,
        )

    def _shelf(self, sink: str, max_bytes: int) -> Shelf:
        shelf = Shelf(self.spool, sink, max_bytes=max_bytes)
        if shelf.lines and self.spool.of_earlier_run:
            self.log.info(
                "On disk for %(sink)s, and delivered first: %(lines)s of an earlier run.",
                {"event": "lines_recovered", "sink": sink, "lines": Count(shelf.lines, "line")},
            )
            self.desk.tally.count(
                families.LINES_RECOVERED, self.assignment.metric, sink, by=shelf.lines
            )
        return shelf

    def _circuit(self, path: Path, sink: str, random: Random) -> Circuit:
        circuit = Circuit(path, clock=self.clock, random=random)
        if circuit.alone_because:
            self.log.warning(
                "What %(sink)s does is not shared with other workers: %(error)s.",
                {"event": "circuit_alone", "sink": sink, "error": circuit.alone_because},
            )
        return circuit

    def _refusals(self, sink: str, max_bytes: int, too_old: TooOld) -> Refusals:
        path = path_of(self.assignment.state_dir, self.assignment.metric)
        return Refusals(
            metric=self.assignment.metric,
            sink=sink,
            tally=self.desk.tally,
            log=self.log,
            clock=self.clock,
            too_old=too_old,
            letterbox=DeadLetters(path, max_bytes=max_bytes, clock=self.clock),
        )


def store_outlet(delivery: Delivery, name: str) -> Outlet:
    """Return the outlet to a set of tables, which gets all fields, and the moment of the read as the time."""
    # The label only names what may wait together.
    filing = Filing(FilingRules({"store": name}), lambda _field: None)
    return Outlet([delivery], filing, wanted_by(name))


def filing_rules(entry: SourceSettings, labels: Mapping[str, str]) -> FilingRules:
    """Return how the rows of an entry become records."""
    return FilingRules(
        labels=labels,
        label_fields=entry.label_fields,
        metadata_fields=entry.metadata_fields,
        max_label_values=entry.max_label_values,
        time_field=entry.time_field,
        line=entry.line,
        known_fields=entry.known_fields,
        omit_fields=entry.omit_fields,
        cut_fields=entry.cut_fields,
    )


def circuit_path(state_dir: Path, loki: LokiSettings) -> Path:
    """Return where all workers that push to the same Loki as the same tenant share what they know of it."""
    return _circuit(state_dir, f"{loki.url} {loki.tenant or ''}")


def warn_of_unknown_fields(log: Logger, missing: Sequence[str], there: Sequence[str]) -> None:
    """Say that fields are asked for which the rows do not have."""
    log.warning(
        "No row of the first poll has a field %(missing)s; its fields are %(there)s.",
        {"event": "fields_unknown", "missing": " or ".join(missing), "there": ", ".join(there)},
    )


def warn_of_no_times(log: Logger, field: str, value: object) -> None:
    """Say that no row has a time in the field that should hold it."""
    log.warning(
        "The time field %(field)s holds no time, for example %(value)s; lines have the moment of the poll.",
        {
            "event": "times_unknown",
            "field": field,
            "value": repr(value)[:LONGEST_VALUE_CHARACTERS],
        },
    )


def _overflowed(metric: str, log: Logger, tally: Tally, warned: set[str], name: str) -> None:
    tally.count(families.LABEL_OVERFLOWS, metric, name)
    if name not in warned:
        warned.add(name)
        log.warning(
            "The label field %(field)s has more than max_label_values values; further ones go to structured metadata.",
            {"event": "label_overflowed", "field": name},
        )


def _circuit(state_dir: Path, destination: str) -> Path:
    name = sha256(destination.encode()).hexdigest()[:16]
    return state_dir / "circuit" / f"{name}{SUFFIX}"
