"""What may be configured about the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from shipper.config.database_url import DatabaseUrl
from shipper.config.models import Seconds, Settings
from shipper.config.secret import Secret
from shipper.core.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

MIB = 1024 * 1024

SINK_NAME = "store"
"""What counters, spool and dead letters call the store."""

FILE_NAME = "store.db"
"""The SQLite file in the state directory that is used where no other database is named."""


class StoreSettings(Settings):
    """Where records of entries with the key `store` are kept in SQL."""

    url: DatabaseUrl | None = Field(
        default=None, examples=["postgresql://shipper@db.example:5432/fastmon"]
    )
    """SQLAlchemy URL of a SQLite, PostgreSQL, MariaDB or MySQL database, or `{"env": "NAME"}` or `{"file": "PATH"}`
    where to find it. Default: the SQLite file `store.db` in the state directory."""

    required: bool = True
    """`false`: a database that cannot be used at the start only warns; records wait on disk until it can."""

    connect_timeout_seconds: Seconds = 5
    """The longest wait for a connection; rounded to whole seconds."""

    statement_timeout_seconds: Seconds = 30
    """The longest that one statement may take or wait for a lock. Migrations may take as long as they need."""

    max_batch_records: int = Field(default=5000, ge=1, le=100_000)
    """The most records that are written in one transaction."""

    max_batch_bytes: int = Field(default=MIB, ge=1, le=64 * MIB)
    """The most that their lines may weigh; keep it well below `max_allowed_packet` of MariaDB."""

    queue_max_bytes: int = Field(default=64 * MIB, ge=1)
    """The most that waits in memory, for each metric, while neither the database nor the disk takes it."""

    spool_max_bytes: int = Field(default=1024 * MIB, ge=1)
    """The most that waits on disk, for each metric, while the database cannot be used."""

    dead_letter_max_bytes: int = Field(default=64 * MIB, ge=1)
    """The most that is kept of refused records, for each metric; further ones are dropped and counted."""

    md5_retries: int = Field(default=5, ge=0, le=1000)
    """How often the checksum of an announced file is tried again while the file is not there or still written."""

    md5_retry_seconds: Seconds = 1
    """The wait before each further try."""

    site: Annotated[str, Field(min_length=1, max_length=255)] = "observatory"
    """What files of pysmurf have in the column `site`: the first part of the monitor's address in OCS."""

    instance_id: Annotated[str, Field(min_length=1, max_length=255)] = "pysmurf-monitor"
    """What they have in the column `instance_id`, by which the archiver of 2021 picks its files."""

    @field_validator("url")
    @classmethod
    def _url_can_be_read(cls, url: Secret | None) -> Secret | None:
        """Object to a URL that is wrong; one that cannot be looked up yet is left to the startup check."""
        if url is None:
            return None
        from shipper.store.address import read_url

        try:
            url.reveal()
        except ConfigError:
            return url
        try:
            read_url(url)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return url

    def address(self, state_dir: Path) -> URL:
        """Return where the database is, with user and password.

        Raises:
            ConfigError: The URL cannot be looked up now.
        """
        from sqlalchemy.engine import URL

        from shipper.store.address import read_url

        if self.url is None:
            return URL.create("sqlite", database=str(state_dir.absolute() / FILE_NAME))
        return read_url(self.url)

    def shown(self, state_dir: Path) -> str:
        """Return where the database is without user and password; `unknown` while that cannot be looked up."""
        from shipper.store.address import UNKNOWN, shown

        try:
            return shown(self.address(state_dir))
        except ConfigError:
            return UNKNOWN
