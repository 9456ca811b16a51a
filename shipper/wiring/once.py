"""One poll of one metric, shown or delivered: how to try an entry before it runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from random import Random

from rich.console import Console

from shipper.config.complaint import nearest
from shipper.config.loading import Configuration
from shipper.config.models import SourceSettings
from shipper.core.clock import SystemClock
from shipper.core.errors import ConfigError, SourceError, StartupError
from shipper.core.record import Batch, Stream
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.refusals import Refusals
from shipper.sinks.loki.settings import LokiSettings
from shipper.telemetry import families as names
from shipper.telemetry.log import start_logging
from shipper.telemetry.tally import Tally
from shipper.wiring.assembly import filing_rules, warn_of_unknown_fields
from shipper.wiring.dry_run import Poll, show, show_verdict
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
    rules = filing_rules(entry, fixed_labels(configuration)[metric])
    log = logging.getLogger(f"shipper.{metric}")
    filing = Filing(rules, lambda _name: None, partial(warn_of_unknown_fields, log))
    batch = _read(configuration, metric, entry)
    streams = filing.streams(batch)
    if dry_run:
        poll = Poll(metric, entry, batch, streams)
        show(console, configuration, poll)
        if verdict:
            show_verdict(console, configuration.section("loki", LokiSettings), poll)
    elif entry.ship:
        delivered = _deliver(configuration, metric, streams)
        console.print(f"{len(batch.rows)} rows polled, {delivered} lines delivered.")
        refused = len(batch.rows) - delivered
        if refused:
            raise StartupError(f"Loki refused {refused} lines for good; the warning above says why")
    else:
        console.print(f"{len(batch.rows)} rows polled; this metric is not shipped.")


def _read(configuration: Configuration, metric: str, entry: SourceSettings) -> Batch:
    source = entry.build(metric, configuration.section_of(entry))
    try:
        source.open()
        return source.read(entry.poll_timeout_seconds)
    except SourceError as error:
        raise StartupError(f"{metric} could not be polled: {error}") from error
    finally:
        source.close()


def _deliver(configuration: Configuration, metric: str, streams: Sequence[Stream]) -> int:
    """Deliver everything and return how many lines Loki took."""
    loki = configuration.section("loki", LokiSettings)
    tally, clock = Tally(), SystemClock()
    log = logging.getLogger(f"shipper.{metric}")
    random = Random()  # noqa: S311 - jitter needs no secrecy
    delivery = Delivery(
        metric=metric,
        sink=loki.build(),
        queue=DeliveryQueue(
            max_bytes=loki.queue_max_bytes, batch_bytes=loki.max_batch_bytes, clock=clock
        ),
        pace=OwnPace(backoff=Backoff(), clock=clock, random=random),
        refusals=Refusals(metric=metric, sink="loki", tally=tally, log=log, clock=clock),
        tally=tally,
        log=log,
        clock=clock,
        settled=lambda: None,
        random=random,
    )
    delivery.start()
    for stream in streams:
        delivery.queue.put(stream)
    left = delivery.finish(DELIVER_SECONDS)
    if left.lines:
        raise StartupError(f"Loki did not take {left.lines} lines within {DELIVER_SECONDS:g} s")
    return round(
        sum(numbers[0] for _, numbers in tally.snapshot().get(names.LINES_DELIVERED.name, []))
    )
