"""One poll of one metric, shown or delivered: how to try an entry before it runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from logging import Logger
from pathlib import Path
from random import Random

from rich.console import Console

from shipper.config.complaint import nearest
from shipper.config.loading import Configuration
from shipper.config.models import SourceSettings
from shipper.core.clock import SystemClock
from shipper.core.errors import ConfigError, SourceError, StartupError
from shipper.core.ports import Sink, Source
from shipper.core.record import Batch
from shipper.core.words import counted
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.dead_letter import DeadLetters, path_of
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing
from shipper.pipeline.inputs import SOURCE, Inputs
from shipper.pipeline.outlet import Outlet
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.refusals import Refusals
from shipper.sinks.loki.settings import LokiSettings
from shipper.sinks.store.building import build_store
from shipper.store.settings import StoreSettings
from shipper.telemetry import families
from shipper.telemetry.families import Family
from shipper.telemetry.log import start_logging
from shipper.telemetry.tally import Tally
from shipper.wiring.destinations import lokis, lokis_of
from shipper.wiring.dry_run import Poll, show, show_verdict
from shipper.wiring.outlets import (
    Limits,
    filing_rules,
    store_outlet,
    warn_of_no_times,
    warn_of_unknown_fields,
)
from shipper.wiring.settings import RunSettings
from shipper.wiring.vocabulary import fixed_labels

DELIVER_SECONDS = 20.0


def poll_once(
    settings: RunSettings, metric: str, *, dry_run: bool, verdict: bool = False, console: Console
) -> None:
    """Poll one metric and deliver what it brought; a dry run prints it instead, with Loki's `verdict` on it.

    Raises:
        ConfigError: The configuration cannot be used, or has no such metric.
        StartupError: The source could not be read, or Loki did not take the lines.
    """
    configuration = settings.load()
    if metric not in configuration.metrics:
        raise ConfigError(
            f"{settings.path}: there is no metric {metric}{nearest(metric, configuration.metrics)}"
        )
    start_logging(settings.log)
    entry = configuration.metrics[metric]
    if dry_run and entry.changes_far_end:
        raise StartupError(
            f"polling {metric} changes the server; leave out --dry-run if you mean it"
        )
    log = logging.getLogger(f"shipper.{metric}")
    with _read(configuration, metric, settings.state_dir, console) as (source, batch):
        if dry_run:
            _rehearse(console, configuration, metric, batch, verdict=verdict)
            return
        once = _Once(settings, configuration, metric, entry, log)
        console.print(once.delivered(batch), highlight=False, soft_wrap=True)
        if batch.more:
            console.print("There is more to read; a run goes on at once.", highlight=False)
        if batch.cursor is not None:
            source.acknowledge(batch.cursor)
        if once.refused:
            raise StartupError(f"{counted(once.refused, 'line')} refused for good: see {once.path}")


def _rehearse(
    console: Console, configuration: Configuration, metric: str, batch: Batch, *, verdict: bool
) -> None:
    """Print what would become of a batch, and where `verdict` is asked for, what every Loki would say to it."""
    entry, log = configuration.metrics[metric], logging.getLogger(f"shipper.{metric}")
    filing = Filing(
        filing_rules(entry, fixed_labels(configuration)[metric]),
        lambda _name: None,
        partial(warn_of_unknown_fields, log),
        partial(warn_of_no_times, log),
    )
    poll = Poll(metric, entry, batch, filing.streams(batch))
    show(console, configuration, poll)
    if verdict:
        for loki in lokis_of(configuration, metric) or lokis(configuration)[:1]:
            show_verdict(console, loki, poll)


@contextmanager
def _read(
    configuration: Configuration, metric: str, state_dir: Path, console: Console
) -> Iterator[tuple[Source, Batch]]:
    """Read once, and keep the source open until the block has done what it wants with the batch."""
    entry = configuration.metrics[metric]
    source = entry.build(metric, configuration.section_of(entry), state_dir)
    try:
        source.open()
        if entry.waits:
            text = f"Waiting up to {entry.poll_timeout_seconds:g} s for something to come."
            console.print(text, highlight=False)
        yield source, source.read(entry.poll_timeout_seconds)
    except SourceError as error:
        raise StartupError(f"{metric} could not be polled: {error}") from error
    finally:
        source.close()


@dataclass(slots=True)
class _Once:
    """Everything that one poll is delivered with, and how many lines sinks refused for good."""

    settings: RunSettings
    configuration: Configuration
    metric: str
    entry: SourceSettings
    log: Logger
    refused: int = 0

    @property
    def path(self) -> Path:
        """Where dead letters go."""
        return path_of(self.settings.state_dir, self.metric)

    def delivered(self, batch: Batch) -> str:
        """Deliver a batch everywhere it goes, and return what came of it in a sentence.

        Raises:
            StartupError: Not everything was taken.
        """
        said = [f"{counted(len(batch.rows), 'row')} polled"]
        if batch.refused:
            said.append(self._set_aside(batch))
        found = lokis_of(self.configuration, self.metric)
        for loki in found:
            lines = counted(self._deliver(batch, self._loki(loki)), "line")
            where = f" to {loki.sink_name}" if len(found) > 1 else ""
            said.append(f"{lines} delivered{where}")
        if self.entry.store is not None:
            records = counted(self._deliver(batch, self._store(self.entry.store)), "record")
            said.append(f"{records} kept")
        if len(said) == 1 and not self.entry.ship:
            return f"{said[0]}; this metric is not shipped."
        return f"{', '.join(said)}."

    def _set_aside(self, batch: Batch) -> str:
        inputs = Inputs(self._refusals(SOURCE), fixed_labels(self.configuration)[self.metric])
        inputs.take(batch)
        inputs.refusals.give_up_waiting()
        self._see_that_they_are_kept(inputs.refusals.tally)
        return f"{counted(len(batch.refused), 'dead letter')} in {self.path}"

    def _see_that_they_are_kept(self, tally: Tally) -> None:
        if _total(tally, families.DEAD_LETTERS_LOST):
            raise StartupError(
                f"{self.path} cannot be written, and what was refused has to go there"
            )

    def _loki(self, loki: LokiSettings) -> Outlet:
        rules = filing_rules(self.entry, fixed_labels(self.configuration)[self.metric])
        unknown = partial(warn_of_unknown_fields, self.log)
        untimed = partial(warn_of_no_times, self.log)
        delivery = self._delivery(loki.build(), loki)
        return Outlet([delivery], Filing(rules, lambda _name: None, unknown, untimed))

    def _store(self, name: str) -> Outlet:
        store = self.configuration.section("store", StoreSettings)
        sink = build_store(store, self.settings.state_dir, name, self.log)
        return store_outlet(self._delivery(sink, store), name)

    def _deliver(self, batch: Batch, outlet: Outlet) -> int:
        """Deliver what an outlet wants of a batch and return how many records were taken."""
        (delivery,) = outlet.deliveries
        delivery.start()
        outlet.put(batch)
        left, name = delivery.finish(DELIVER_SECONDS), delivery.sink.name
        if left.lines:
            text = f"{name} did not take {counted(left.lines, 'line')} within {DELIVER_SECONDS:g} s"
            raise StartupError(text)
        self._see_that_they_are_kept(delivery.tally)
        self.refused += _total(delivery.tally, families.LINES_REJECTED)
        return _total(delivery.tally, families.LINES_DELIVERED)

    def _delivery(self, sink: Sink, limits: Limits) -> Delivery:
        clock = SystemClock()
        random = Random()  # noqa: S311 - jitter needs no secrecy
        refusals = self._refusals(sink.name)
        return Delivery(
            metric=self.metric,
            sink=sink,
            queue=DeliveryQueue(
                max_bytes=limits.queue_max_bytes, batch_bytes=limits.max_batch_bytes, clock=clock
            ),
            pace=OwnPace(backoff=Backoff(), clock=clock, random=random),
            refusals=refusals,
            tally=refusals.tally,
            log=self.log,
            clock=clock,
            settled=lambda: None,
            random=random,
        )

    def _refusals(self, sink: str) -> Refusals:
        clock = SystemClock()
        limit = max(loki.dead_letter_max_bytes for loki in lokis(self.configuration))
        return Refusals(
            metric=self.metric,
            sink=sink,
            tally=Tally(),
            log=self.log,
            clock=clock,
            letterbox=DeadLetters(self.path, max_bytes=limit, clock=clock),
        )


def _total(tally: Tally, family: Family) -> int:
    return round(sum(numbers[0] for _, numbers in tally.snapshot().get(family.name, [])))
