"""One poll of one metric, shown or delivered: how to try an entry before it runs."""

from __future__ import annotations

import logging
from collections import Counter
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
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing
from shipper.pipeline.queue import DeliveryQueue
from shipper.sinks.columns import ColumnMetrics
from shipper.sinks.loki.settings import LokiSettings
from shipper.sinks.prometheus import Exposition
from shipper.telemetry import families as names
from shipper.telemetry.log import start_logging
from shipper.telemetry.tally import Tally
from shipper.wiring.settings import RunSettings
from shipper.wiring.vocabulary import families, fixed_labels
from shipper.wiring.worker import filing_rules

DELIVER_SECONDS = 20.0


def poll_once(settings: RunSettings, metric: str, *, dry_run: bool, console: Console) -> None:
    """Poll one metric and deliver what it brought; a dry run prints it instead.

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
    overflowed: Counter[str] = Counter()
    rules = filing_rules(entry, fixed_labels(configuration)[metric])
    filing = Filing(rules, lambda name: overflowed.update([name]))
    batch = _read(configuration, metric, entry)
    streams = filing.streams(batch)
    if dry_run:
        _show(console, configuration, metric, batch, streams, overflowed)
    elif entry.ship:
        delivered = _deliver(configuration, metric, streams)
        console.print(f"{len(batch.rows)} rows polled, {delivered} lines delivered.")
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
    delivery = Delivery(
        metric=metric,
        sink=loki.build(),
        queue=DeliveryQueue(
            max_bytes=loki.queue_max_bytes, batch_bytes=loki.max_batch_bytes, clock=clock
        ),
        tally=tally,
        log=logging.getLogger(f"shipper.{metric}"),
        clock=clock,
        settled=lambda: None,
        random=Random(),  # noqa: S311 - jitter needs no secrecy
    )
    delivery.start()
    for stream in streams:
        delivery.queue.put(stream)
    left = delivery.finish(DELIVER_SECONDS)
    if left:
        raise StartupError(f"Loki did not take {left} lines within {DELIVER_SECONDS:g} s")
    return round(
        sum(numbers[0] for _, numbers in tally.snapshot().get(names.LINES_DELIVERED.name, []))
    )


def _show(
    console: Console,
    configuration: Configuration,
    metric: str,
    batch: Batch,
    streams: Sequence[Stream],
    overflowed: Counter[str],
) -> None:
    """Print streams, labels, lines, samples and distinct label values; nothing is delivered."""
    # Rows are shown as they are: brackets in them are no markup, and long lines stay whole.
    out = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    entry = configuration.metrics[metric]
    shipped = "" if entry.ship else " (not shipped: its `ship` is false)"
    out(
        f"{metric}: {len(batch.rows)} rows in {len(streams)} streams{shipped}; nothing was delivered."
    )
    for stream in streams:
        out("")
        out("stream " + ", ".join(f'{name}="{value}"' for name, value in stream.labels.items()))
        for record in stream.records():
            aside = f"  {dict(record.metadata)}" if record.metadata else ""
            out(f"  {record.time_ns} {record.line.decode('utf-8', 'replace')}{aside}")
    out("")
    out("distinct label values:")
    for name, values in _distinct(streams).items():
        beyond = f", and {overflowed[name]} beyond max_label_values" if overflowed[name] else ""
        out(f"  {name}: {len(values)}{beyond}")
    out("")
    out("Prometheus samples:")
    for line in _samples(configuration, metric, batch):
        out(f"  {line}")


def _distinct(streams: Sequence[Stream]) -> dict[str, set[str]]:
    distinct: dict[str, set[str]] = {}
    for stream in streams:
        for name, value in stream.labels.items():
            distinct.setdefault(name, set()).add(value)
    return distinct


def _samples(configuration: Configuration, metric: str, batch: Batch) -> list[str]:
    tally = Tally()
    tally.count(names.POLLS, metric, "ok")
    tally.count(names.ROWS, metric, by=len(batch.rows))
    ColumnMetrics(configuration.metrics[metric].metrics, tally).observe(batch.rows)
    exposition = Exposition(families(configuration))
    exposition.take(metric, 1, tally.snapshot())
    lines = exposition.page().decode().splitlines()
    return [line for line in lines if not line.startswith("#")]
