"""What one entry reads, and how: everything that a worker, and a startup check, has to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from shipper.config.secret import Secret
from shipper.sources.sql.selection import Selection

UTC = ZoneInfo("UTC")

GIVES_UP_FIRST_SECONDS = 1.0
"""How much earlier than the deadline of the poll a query ends: its worker is not to be killed for it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one entry reads, and how.

    Attributes:
        metric: The entry's name.
        url: The database.
        selection: The table or the query.
        start: Where to begin without a cursor.
        page_rows: How many rows a read returns at most.
        lag_seconds: How old a row has to be.
        time_field: The column with the line's own time.
        zone: Of times without a zone.
        timeout_seconds: Deadline of a poll.
        fields: Columns that are wanted for labels and the like.
        required: Whether the run depends on it.
    """

    metric: str
    url: Secret
    selection: Selection
    start: Literal["beginning", "now"] = "beginning"
    page_rows: int = 10_000
    lag_seconds: float = 0.0
    time_field: str | None = None
    zone: ZoneInfo = UTC
    timeout_seconds: float = 30.0
    fields: tuple[str, ...] = ()
    required: bool = True

    @property
    def patience_seconds(self) -> float:
        """How long the database may take for one answer."""
        return self.timeout_seconds - min(GIVES_UP_FIRST_SECONDS, self.timeout_seconds / 10)

    @property
    def age_column(self) -> str | None:
        """The column that tells how old a row is, where that matters: `time_field`, else the first of the cursor."""
        return (self.time_field or self.selection.cursor[0]) if self.lag_seconds else None

    @property
    def place_columns(self) -> tuple[str, ...]:
        """The columns that tell a row's place in the order and its age."""
        cursor = self.selection.cursor
        if self.age_column is None or self.age_column in cursor:
            return cursor
        return (*cursor, self.age_column)
