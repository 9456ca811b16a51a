"""Makes the sink of the settings, and its startup check, without loading SQLAlchemy before it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from logging import Logger
from pathlib import Path
from typing import TYPE_CHECKING

from shipper.core.checks import Check, Finding
from shipper.store.settings import StoreSettings

if TYPE_CHECKING:
    from shipper.sinks.store.sink import StoreSink


def build_store(settings: StoreSettings, state_dir: Path, table_set: str, log: Logger) -> StoreSink:
    """Make the sink; nothing is connected yet.

    Args:
        settings: Where the database is, and how it is written to.
        state_dir: Where the database is when no other is named.
        table_set: Name of the set of tables.
        log: Where rules warn, and migrations are told.
    """
    from shipper.sinks.store.sink import StoreSink
    from shipper.store.sets import load_set

    return StoreSink(
        partial(settings.address, state_dir),
        load_set(
            table_set,
            log=log,
            md5_retries=settings.md5_retries,
            md5_retry_seconds=settings.md5_retry_seconds,
            site=settings.site,
            instance_id=settings.instance_id,
        ),
        log=log,
        connect_timeout_seconds=settings.connect_timeout_seconds,
        statement_timeout_seconds=settings.statement_timeout_seconds,
        max_batch_bytes=settings.max_batch_bytes,
        max_batch_records=settings.max_batch_records,
    )


def store_checks(
    settings: StoreSettings, state_dir: Path, table_sets: Mapping[str, bool]
) -> Sequence[Check]:
    """Return what must be true before anything is kept.

    Args:
        settings: Where the database is.
        state_dir: Where the database is when no other is named.
        table_sets: The sets of tables that entries want, each with whether one of these entries is required.
    """
    if not table_sets:
        return ()
    return [
        Check(
            "check_store_connection",
            partial(_check_connection, settings, state_dir, tuple(table_sets)),
            settings.required and any(table_sets.values()),
        )
    ]


def _check_connection(
    settings: StoreSettings, state_dir: Path, table_sets: Sequence[str], deadline_seconds: float
) -> Finding:
    """Try whether the database lets us in and has, or lets us make, the tables."""
    from shipper.sinks.store.check import check_store_connection

    return check_store_connection(
        partial(settings.address, state_dir), table_sets, timeout_seconds=deadline_seconds / 4
    )
