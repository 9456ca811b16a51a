"""Which sets of tables there are, known without loading any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from logging import Logger
from typing import TYPE_CHECKING, Any

from shipper.core.record import Row

if TYPE_CHECKING:
    from shipper.store.table_set import TableSet


@dataclass(frozen=True, slots=True)
class KnownSet:
    """A set of tables.

    Attributes:
        name: What stands under `store` of an entry.
        branch: Its branch of the migrations.
        tables: The tables it writes to.
        only_for: Keys and values that an entry must have, because only its records fit.
    """

    name: str
    branch: str
    tables: tuple[str, ...]
    only_for: Mapping[str, str] = field(default_factory=dict)


SETS: Mapping[str, KnownSet] = {
    known.name: known
    for known in (
        KnownSet("tf_metadata", "tf", ("runs", "tf_metadata")),
        KnownSet(
            "pysmurf_files_v1",
            "files",
            ("pysmurf_files_v1", "pysmurf_remote_v1"),
            {"type": "udp", "format": "pysmurf"},
        ),
        KnownSet(
            "jobs",
            "jobs",
            (
                *("tasks", "tags", "tag_associations", "processes", "arrays"),
                *("events", "departed_events", "jobs_incarnation", "job_states"),
            ),
            {"type": "jobs"},
        ),
    )
}
"""By their names."""

RULES = {
    "tf_metadata": ("shipper.store.timeframes.table_set", "TimeFrames"),
    "pysmurf_files_v1": ("shipper.store.files.table_set", "PysmurfFiles"),
}
"""Module and class of the rules of every set that a sink writes; jobs are written where they come in."""


def table_set_names() -> Sequence[str]:
    """Return what may stand under `store` of an entry."""
    return tuple(SETS)


def wanted_by(name: str) -> Callable[[Row], bool]:
    """Return what tells whether a record is meant for a set at all.

    Raises:
        KeyError: There is no such set.
    """
    wants: Callable[[Row], bool] = _rules(name).wants
    return wants


def load_set(
    name: str,
    *,
    log: Logger,
    md5_retries: int = 5,
    md5_retry_seconds: float = 1.0,
    site: str = "observatory",
    instance_id: str = "pysmurf-monitor",
) -> TableSet[Any]:
    """Make the rules of a set.

    Args:
        name: What stands under `store` of an entry.
        log: Where the rules warn.
        md5_retries: How often the checksum of a file is tried again.
        md5_retry_seconds: The wait before each further try.
        site: What files have in the column of this name.
        instance_id: What files have in the column of this name.

    Raises:
        KeyError: There is no such set.
    """
    options: dict[str, Any] = {"log": log}
    if name == "pysmurf_files_v1":
        options |= {
            "md5_retries": md5_retries,
            "md5_retry_seconds": md5_retry_seconds,
            "site": site,
            "instance_id": instance_id,
        }
    made: TableSet[Any] = _rules(name)(**options)
    return made


def _rules(name: str) -> Any:  # noqa: ANN401 - a class that is imported when it is needed
    module, rules = RULES[name]
    return getattr(import_module(module), rules)
