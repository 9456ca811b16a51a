"""Jobs: a REST interface where batch jobs register tasks and post events, which are kept in SQL and are the rows.

What serves, FastAPI and uvicorn, is imported when a source is built; configuration and documentation work without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator

from shipper.config.models import Port, Settings, SourceSettings
from shipper.config.secret import Secret
from shipper.core.checks import Check
from shipper.core.ports import Source
from shipper.sources.jobs.checks import startup_check
from shipper.sources.jobs.place import Place
from shipper.store.settings import StoreSettings

MIB = 1024 * 1024


class JobsSettings(SourceSettings):
    """A REST interface where batch jobs post events."""

    section = StoreSettings
    section_name = "store"
    waits: ClassVar[bool] = True
    # The tables keep what is not read.
    can_wait: ClassVar[bool] = True
    example_metric: ClassVar[str] = "lamia"

    type: Literal["jobs"] = "jobs"
    """Events of batch jobs, posted over HTTP."""

    host: Annotated[str, StringConstraints(min_length=1)] = "127.0.0.1"
    """Name or address to listen on; `0.0.0.0` is every IPv4 address, `::` every address."""

    port: Port = 8088
    """Port to listen on."""

    token: Secret | None = None
    """Bearer token that writing needs, as `{"env": "NAME"}` or `{"file": "PATH"}`. Reading needs none."""

    cors_origins: list[str] = Field(default=[])
    """Origins of web pages that may ask, like `https://jobs.example`; `*` is every one. Empty: none."""

    max_request_bytes: int = Field(default=MIB, ge=1024, le=64 * MIB)
    """The largest body of a request."""

    max_requests_per_second: float = Field(default=1000, ge=1, le=1_000_000, allow_inf_nan=False)
    """How many requests each address may send, on average; a second's worth may come at once."""

    max_connections: int = Field(default=1000, ge=1, le=100_000)
    """How many connections there may be; further ones get 503."""

    start: Literal["beginning", "now"] = "beginning"
    """Where to begin the first time: with all events in the tables, or with those that come from now on."""

    label_fields: list[str] = Field(default=["eventClass"])
    """Fields lifted into labels. Use fields with few values: together they name the stream."""

    metadata_fields: list[str] = Field(default=["task", "process", "index"])
    """Fields lifted into structured metadata: sent along, never indexed."""

    time_field: str | None = "receivedAt"
    """Field that holds the line's own time: when an event was received, or `sentAt`, where its sender says so."""

    store: Literal["jobs"] | None = None
    """The set of tables that keeps the events: always `jobs`, so it may be left out."""

    @field_validator("store")
    @classmethod
    def _is_kept_anyway(cls, _store: str | None) -> None:
        """Forget what goes without saying: the source writes its tables itself, and needs no sink for it."""
        return

    @classmethod
    def checks(
        cls, section: Settings | None, entries: Mapping[str, SourceSettings]
    ) -> Sequence[Check]:
        """Return a check of every port."""
        del section
        return [
            startup_check(metric, entry.place, entry.token, required=entry.required)
            for metric, entry in entries.items()
            if isinstance(entry, JobsSettings)
        ]

    @property
    def table_set(self) -> str:
        """The tables of jobs."""
        return "jobs"

    @property
    def place(self) -> Place:
        """Where to listen."""
        return Place(self.host, self.port)

    @property
    def takes(self) -> Sequence[str]:
        """The port."""
        return (f"TCP port {self.place}",)

    def build(self, metric: str, section: Settings | None, state_dir: Path) -> Source:
        """Make the source of this entry; nothing is bound yet."""
        # Imported here: FastAPI, uvicorn and SQLAlchemy are needed by who serves jobs only.
        from shipper.sources.jobs.building import build_source

        store = section if isinstance(section, StoreSettings) else StoreSettings()
        return build_source(self, metric, store, state_dir)

    def instance(self, section: Settings | None) -> str:
        """Return `host:port`."""
        del section
        return str(self.place)
