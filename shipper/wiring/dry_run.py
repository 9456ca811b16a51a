"""Prints what one poll brought and what would become of it; nothing is delivered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from logging import getLogger

from rich.console import Console

from shipper.config.loading import Configuration
from shipper.config.models import SourceSettings
from shipper.core.record import Batch, Stream
from shipper.core.words import counted, printable
from shipper.pipeline.lines import text
from shipper.sinks.columns import ColumnMetrics
from shipper.sinks.loki.limits import LokiLimits
from shipper.sinks.loki.settings import LokiSettings
from shipper.sinks.prometheus import Exposition
from shipper.telemetry import families as names
from shipper.telemetry.tally import Tally
from shipper.wiring.rehearsal import Opinion, opinions
from shipper.wiring.vocabulary import families

SUSPICIOUS_ROWS = 3
"""That every row has a value of its own says nothing about fewer rows than these."""

UNKNOWABLE = (
    "Only the real Loki knows whether its rates and its number of streams leave room for these, and whether they are "
    "too far behind what its streams hold already."
)
_ADVICE = "list it under metadata_fields instead of label_fields"


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll of one metric brought."""

    metric: str
    entry: SourceSettings
    batch: Batch
    streams: Sequence[Stream]


def show(console: Console, configuration: Configuration, poll: Poll) -> None:
    """Print streams, labels, lines, samples and how many streams the labels make."""
    shipped = "" if poll.entry.ship else " (not shipped: its `ship` is false)"
    rows, streams = len(poll.batch.rows), len(poll.streams)
    _print(
        console,
        f"{poll.metric}: {counted(rows, 'row')} in {counted(streams, 'stream')}{shipped}; nothing was delivered.",
        *(line for stream in poll.streams for line in _shown(stream)),
        *_not_rows(poll.batch),
        "",
        *_forecast(poll),
        "",
        "Prometheus samples:",
        *(f"  {line}" for line in _samples(configuration, poll)),
    )


def show_verdict(console: Console, loki: LokiSettings, poll: Poll) -> None:
    """Print what Loki would say to each stream."""
    limits = loki.limits()
    whose = (
        f"Loki's default limits, because {loki.url} does not show its own"
        if limits is None
        else f"the limits of {loki.url}"
    )
    found = opinions(loki, limits or LokiLimits(), poll.streams)
    _print(
        console,
        "",
        f"What Loki would say, asked of a stand-in with {whose}:",
        *(
            [line for each in found for line in _told(each)]
            or ["  nothing, for nothing would be sent"]
        ),
        UNKNOWABLE,
    )


def _print(console: Console, *lines: str) -> None:
    # Rows are shown as they are, for people: brackets are no markup, long lines stay whole, no terminal obeys them.
    for line in lines:
        console.print(printable(line, len(line)), markup=False, highlight=False, soft_wrap=True)


def _shown(stream: Stream) -> Iterator[str]:
    yield ""
    yield f"stream {_labels(stream)}"
    for record in stream.records():
        aside = f"  {dict(record.metadata)}" if record.metadata else ""
        yield f"  {record.time_ns} {_readable(record.line)}{aside}"


def _labels(stream: Stream) -> str:
    return ", ".join(f'{name}="{value}"' for name, value in stream.labels.items())


def _readable(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def _not_rows(batch: Batch) -> Iterator[str]:
    """Show what came in and is no row."""
    for refused in batch.refused:
        aside = f"  {dict(refused.metadata)}" if refused.metadata else ""
        yield f"no row ({refused.reason}): {_readable(refused.content)}{aside}"


def _forecast(poll: Poll) -> Iterator[str]:
    """Say how many streams the labels make, and which label may make ever more of them."""
    yield (
        f"streams of this poll: {len(poll.streams)}, one for each combination of labels "
        "(Loki takes 5000 of a tenant by default)"
    )
    lifted = {name: _values(poll.batch, name) for name in poll.entry.label_fields}
    for name, values in {**_label_values(poll.streams), **lifted}.items():
        yield f"  {name}: {counted(len(values), 'value')}"
    rows, most = len(poll.batch.rows), poll.entry.max_label_values
    for name, values in lifted.items():
        if len(values) > most:
            yield (
                f"  warning: {name} has more values than max_label_values ({most}), and the others became "
                f"metadata: {_ADVICE}"
            )
        elif len(values) == rows >= SUSPICIOUS_ROWS:
            yield (
                f"  warning: every row has a {name} of its own; if new ones keep coming, so do new streams: {_ADVICE}"
            )


def _label_values(streams: Sequence[Stream]) -> Mapping[str, set[str]]:
    distinct: dict[str, set[str]] = {}
    for stream in streams:
        for name, value in stream.labels.items():
            distinct.setdefault(name, set()).add(value)
    return distinct


def _values(batch: Batch, name: str) -> set[str]:
    return {value for row in batch.rows if (value := text(row.get(name)))}


def _samples(configuration: Configuration, poll: Poll) -> list[str]:
    tally = Tally()
    tally.count(names.POLLS, poll.metric, "ok")
    tally.count(names.ROWS, poll.metric, by=len(poll.batch.rows))
    asked = poll.entry.column_metrics(configuration.section_of(poll.entry))
    columns = ColumnMetrics(poll.metric, asked, tally, log=getLogger("shipper"))
    columns.observe(replace(poll.batch, more=False))
    exposition = Exposition(families(configuration))
    exposition.take(poll.metric, 1, tally.snapshot())
    lines = exposition.page().decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def _told(opinion: Opinion) -> Iterator[str]:
    lines, refused = len(opinion.stream), len(opinion.refused)
    verdict = f"{refused} of {counted(lines, 'line')} refused" if refused else "taken"
    yield f"  {_labels(opinion.stream)}: {'would have to wait' if opinion.waits else verdict}"
    if opinion.waits:
        yield f"    {opinion.waits}"
    alike = groupby(opinion.refused, key=lambda one: f"    {one.reason}: {one.answer}")
    for reason, members in alike:
        yield reason
        for one in members:
            line = _readable(opinion.stream.lines[one.index])
            yield f"      {opinion.stream.times_ns[one.index]} {line}"
