"""Shows how far every source was read, and sets or forgets it while Shipper does not run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from shipper.config.complaint import nearest
from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import ConfigError, StartupError
from shipper.core.record import Cursor, CursorValue
from shipper.pipeline.cursors import CursorUnreadable, shown, typed_cursor, types_of
from shipper.pipeline.dead_letter import rfc3339
from shipper.pipeline.spool import Checkpoint, SpoolTaken, claim_spool, spool_path
from shipper.pipeline.spool.offline import read_checkpoint, write_checkpoint
from shipper.startup.surroundings import claim_state_dir
from shipper.wiring.settings import RunSettings
from shipper.wiring.vocabulary import vocabulary

CLAIM_SECONDS = 2.0
"""How long a worker that lost its supervisor may take to end."""

NO_CURSOR = "no cursor"


@dataclass(frozen=True, slots=True)
class Place:
    """How far the source of a metric was read.

    Attributes:
        metric: The metric.
        checkpoint: The cursor, with the kind of source it is of; `None` when there is none.
        trouble: Why it cannot be read; empty when it can.
    """

    metric: str
    checkpoint: Checkpoint | None
    trouble: str = ""


def survey(state_dir: Path) -> list[Place]:
    """Return every metric that has a cursor, and every one whose cursor cannot be read; works while Shipper runs.

    Raises:
        StartupError: The state directory cannot be read.
    """
    folder = spool_path(state_dir, "any").parent
    try:
        metrics = sorted(path.stem for path in folder.iterdir() if path.suffix == ".db")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StartupError(f"{folder} cannot be read: {error.strerror}") from None
    places = [_place(state_dir, metric) for metric in metrics]
    return [place for place in places if place.checkpoint is not None or place.trouble]


def as_text(places: Sequence[Place]) -> Iterator[str]:
    """Yield the lines that people read: one for each metric."""
    if not places:
        yield "No cursors."
    for place in places:
        yield f"{place.metric}: {_told(place)}"


def as_json(places: Sequence[Place]) -> str:
    """Return what machines read: the same."""
    cursors = [
        {
            "metric": place.metric,
            "kind": place.checkpoint.kind,
            "types": types_of(place.checkpoint.cursor),
            "values": [shown(value) for value in place.checkpoint.cursor],
            "set_at": rfc3339(place.checkpoint.set_ns),
        }
        for place in places
        if place.checkpoint is not None
    ]
    unreadable = [
        {"metric": place.metric, "error": place.trouble} for place in places if place.trouble
    ]
    return json.dumps({"cursors": cursors, "unreadable": unreadable})


def set_cursor(
    settings: RunSettings,
    metric: str,
    words: Sequence[str],
    *,
    types: Sequence[str] = (),
    kind: str | None = None,
) -> None:
    """Let the source of a metric go on behind the values that `words` are, and print what was and what is.

    Args:
        settings: Where state and configuration are.
        metric: An entry of the configuration.
        words: The values as they were typed.
        types: Their types, for a metric without a cursor; none: guessed.
        kind: The kind of source; `None`: what the configuration says.

    Raises:
        ConfigError: There is no such metric or kind, or the values are not of the types that are wanted.
        StartupError: A Shipper runs on the state directory, or it cannot be written.
    """
    kind = _kind_of(settings, metric, kind)
    with _claimed(settings.state_dir, metric) as path:
        before = _place(settings.state_dir, metric)
        cursor = _cursor(words, _types_wanted(before, kind, types))
        after = Checkpoint(kind, cursor, SystemClock().now_ns())
        _write(path, after, SystemClock())
    click.echo(f"{metric} was: {_told(before)}")
    click.echo(f"{metric} is now: {_told(Place(metric, after))}")


def reset_cursor(settings: RunSettings, metric: str) -> None:
    """Forget how far the source of a metric was read, and print what that was.

    Raises:
        ConfigError: Neither the configuration nor the state directory knows the metric.
        StartupError: A Shipper runs on the state directory, or it cannot be written.
    """
    known = {place.metric for place in survey(settings.state_dir)}
    if metric not in known:
        _see_that_it_exists(settings, metric)
        click.echo(f"{metric} has no cursor.")
        return
    with _claimed(settings.state_dir, metric) as path:
        before = _place(settings.state_dir, metric)
        _write(path, None, SystemClock())
    click.echo(f"{metric} was: {_told(before)}")
    click.echo(f"{metric} has no cursor any more; the next start begins as its entry says.")


def _place(state_dir: Path, metric: str) -> Place:
    path = spool_path(state_dir, metric)
    try:
        return Place(metric, read_checkpoint(path) if path.exists() else None)
    except (CursorUnreadable, StartupError) as error:
        return Place(metric, None, str(error))


def _told(place: Place) -> str:
    if place.trouble:
        return f"a cursor that cannot be read: {place.trouble}"
    if place.checkpoint is None:
        return NO_CURSOR
    checkpoint = place.checkpoint
    values = ", ".join(
        f"{kind} {_printable(value)}"
        for kind, value in zip(types_of(checkpoint.cursor), checkpoint.cursor, strict=True)
    )
    return f"{checkpoint.kind}, {values}; set at {rfc3339(checkpoint.set_ns)}"


def _printable(value: CursorValue) -> str:
    """Return a value for people; text in quotes, without what a terminal takes for an order."""
    if not isinstance(value, str):
        return shown(value)
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _kind_of(settings: RunSettings, metric: str, kind: str | None) -> str:
    _see_that_it_exists(settings, metric)
    if kind is None:
        entry = settings.load().metrics[metric]
        if not entry.goes_on:
            raise ConfigError(
                f"{metric} has no cursor: its entry, of type {entry.type}, needs none"
            )
        return entry.type
    kinds = vocabulary().kinds
    if kind not in kinds:
        raise ConfigError(f"--kind: {kind} is not a kind of source{nearest(kind, kinds)}")
    if not kinds[kind].keeps_cursor:
        raise ConfigError(f"--kind: a source of kind {kind} has no cursor")
    return kind


def _see_that_it_exists(settings: RunSettings, metric: str) -> None:
    metrics = settings.load().metrics
    if metric not in metrics:
        text = (
            f"there is no metric {metric}{nearest(metric, metrics)} (--config names another file)"
        )
        raise ConfigError(f"{settings.path}: {text}")


def _types_wanted(before: Place, kind: str, types: Sequence[str]) -> Sequence[str]:
    """Return the types of the cursor that is there; of another kind of source, it is no model."""
    if before.checkpoint is None or before.checkpoint.kind != kind:
        return types
    stored = types_of(before.checkpoint.cursor)
    if types and tuple(types) != stored:
        raise ConfigError(
            f"--types: the cursor of {before.metric} has the types {', '.join(stored)}; "
            "for others, reset it first"
        )
    return stored


def _cursor(words: Sequence[str], types: Sequence[str]) -> Cursor:
    try:
        return typed_cursor(words, types)
    except CursorUnreadable as error:
        raise ConfigError(f"cursor set: {error}") from None


@contextmanager
def _claimed(state_dir: Path, metric: str) -> Iterator[Path]:
    """Keep everybody else from the spool of a metric meanwhile; its path."""
    claimed = claim_state_dir(state_dir)
    try:
        path = spool_path(state_dir, metric)
        lock = claim_spool(path, wait_seconds=CLAIM_SECONDS)
        try:
            yield path
        finally:
            if lock is not None:
                os.close(lock)
    except SpoolTaken as error:
        raise StartupError(str(error)) from None
    finally:
        claimed.release()


def _write(path: Path, checkpoint: Checkpoint | None, clock: Clock) -> None:
    torn = write_checkpoint(path, checkpoint, clock)
    if torn is not None:
        click.echo(f"The end of {path} was torn; it was set aside as {torn}.", err=True)
