"""SQL: any table or query of a SQLite, PostgreSQL, MariaDB or MySQL database, page by page or as a state.

SQLAlchemy and the drivers are imported when they are needed; the configuration's keys are known without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from shipper.config.database_url import DatabaseUrl
from shipper.config.models import Settings, SourceSettings
from shipper.config.settings import Zone
from shipper.core.checks import Check
from shipper.core.errors import ConfigError
from shipper.core.ports import Source

if TYPE_CHECKING:
    from shipper.sources.sql.reading import Reading


NotEmpty = Annotated[str, Field(min_length=1)]


class SqlSettings(SourceSettings):
    """A table or a query of a SQL database."""

    # The database keeps what is not read.
    can_wait: ClassVar[bool] = True
    example_metric: ClassVar[str] = "events"

    type: Literal["sql"] = "sql"
    """A table or a query of a SQL database."""

    url: DatabaseUrl = Field(examples=["postgresql://shipper@db.example:5432/app"])
    """SQLAlchemy URL of a SQLite, PostgreSQL, MariaDB or MySQL database, or `{"env": "NAME"}` or `{"file": "PATH"}`
    where to find it."""

    table: NotEmpty | None = Field(default=None, examples=["events"])
    """Table or view to read, `schema.name` outside the default schema. Either this or `query`."""

    query: NotEmpty | None = None
    """Statement to run, which must return rows. With `cursor` it becomes a subquery."""

    cursor: list[NotEmpty] = Field(default=[], examples=[["created_at", "id"]])
    """Columns that order the rows, the last one unique: rows behind the last one read are new. Without it every poll
    reads the whole result."""

    start: Literal["beginning", "now"] = "beginning"
    """Where to begin the first time: with all rows, or with those that come from now on."""

    page_rows: int = Field(default=10_000, ge=1, le=1_000_000)
    """How many rows one read returns at most, and so how many are in memory."""

    lag_seconds: float = Field(default=0, ge=0, le=10 * 365 * 86400, allow_inf_nan=False)
    """How old a row has to be, in seconds, so that late commits are not passed by. Its age is told by `time_field`, or
    else by the first column of `cursor`."""

    timezone: Zone = "UTC"
    """Zone of times without a zone."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("table: exactly one of table and query must be given")
        if self.query is not None and not self.query.strip(" \t\r\n;"):
            raise ValueError("query: it is empty")
        if len(set(self.cursor)) < len(self.cursor):
            raise ValueError("cursor: a column is there twice")
        if self.lag_seconds and not self.cursor:
            raise ValueError("lag_seconds: needs a cursor")
        if self.start == "now" and not self.cursor:
            raise ValueError("start: now needs a cursor")
        return self

    @property
    def goes_on(self) -> bool:
        """Whether there are columns that tell how far it was read."""
        return bool(self.cursor)

    def objections(self, section: Settings | None) -> Sequence[str]:
        """Return what is wrong with the URL; one that cannot be read yet is left to the startup check."""
        del section
        from shipper.store.address import read_url

        try:
            self.url.reveal()
        except ConfigError:
            return ()
        try:
            read_url(self.url)
        except ConfigError as error:
            return (f"url: {error}",)
        return ()

    @classmethod
    def checks(
        cls, section: Settings | None, entries: Mapping[str, SourceSettings]
    ) -> Sequence[Check]:
        """Return a check of every database, and one of every entry."""
        del section
        from shipper.sources.sql.checks import startup_checks

        return startup_checks(
            [
                entry.reading(metric)
                for metric, entry in entries.items()
                if isinstance(entry, SqlSettings)
            ]
        )

    def reading(self, metric: str) -> Reading:
        """Return what this entry reads, and how."""
        from shipper.sources.sql.reading import Reading
        from shipper.sources.sql.selection import Selection

        metric_fields = [field for each in self.column_metrics(None) for field in each.fields]
        lifted = (self.time_field, *self.label_fields, *self.metadata_fields)
        fields = (*lifted, *self.omit_fields, *self.cut_fields, *metric_fields)
        return Reading(
            metric=metric,
            url=self.url,
            selection=Selection(self.query, self.table, tuple(self.cursor)),
            start=self.start,
            page_rows=self.page_rows,
            lag_seconds=self.lag_seconds,
            time_field=self.time_field,
            zone=ZoneInfo(self.timezone),
            timeout_seconds=self.poll_timeout_seconds,
            fields=tuple(dict.fromkeys(field for field in fields if field)),
            required=self.required,
        )

    def build(self, metric: str, section: Settings | None, state_dir: Path) -> Source:
        """Make the source of this entry; nothing is connected yet."""
        del section, state_dir
        from shipper.sources.sql.source import SqlSource

        return SqlSource(self.reading(metric))

    def instance(self, section: Settings | None) -> str:
        """Return the URL without user and password."""
        del section
        from shipper.store.address import instance

        return instance(self.url)
