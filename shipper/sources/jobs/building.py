"""Makes the source of an entry: its port, its application, and its ways to the database."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from shipper.core.clock import SystemClock
from shipper.core.errors import ConfigError, SourceRefused
from shipper.sources.jobs.app import jobs_app
from shipper.sources.jobs.back import Back
from shipper.sources.jobs.guard import Limits
from shipper.sources.jobs.ledger import BRANCH, Ledger
from shipper.sources.jobs.source import Entrance, JobsSource
from shipper.store.current import current_database
from shipper.store.database import Database
from shipper.store.settings import StoreSettings

if TYPE_CHECKING:
    from shipper.sources.jobs import JobsSettings


def build_source(
    settings: JobsSettings, metric: str, store: StoreSettings, state_dir: Path
) -> JobsSource:
    """Make the source; nothing is bound and nothing connected yet."""
    log = logging.getLogger(f"shipper.{metric}")

    def connect() -> Database:
        return current_database(
            store.address(state_dir),
            BRANCH,
            log=log,
            connect_timeout_seconds=store.connect_timeout_seconds,
            statement_timeout_seconds=store.statement_timeout_seconds,
        )

    def app(back: Back) -> ASGIApp:
        limits = Limits(
            _revealed(settings), settings.max_request_bytes, settings.max_requests_per_second
        )
        return jobs_app(back, limits, settings.cors_origins, log)

    return JobsSource(
        Entrance(settings.place, settings.max_connections, app),
        connect,
        ledger=partial(Ledger, connect, log),
        start=settings.start,
        clock=SystemClock(),
    )


def _revealed(settings: JobsSettings) -> str | None:
    """Return the token.

    Raises:
        SourceRefused: It cannot be read.
    """
    if settings.token is None:
        return None
    try:
        return settings.token.reveal()
    except ConfigError as error:
        raise SourceRefused(f"token: {error}") from error
