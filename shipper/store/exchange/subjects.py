"""What can be taken out of a database and brought back: a table each, with the columns that travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from shipper.store.exchange.columns import Column, Kind
from shipper.store.files.tables import files
from shipper.store.jobs.tables import events
from shipper.store.moment import Moment
from shipper.store.timeframes.tables import runs, time_frames


@dataclass(frozen=True, slots=True)
class Subject:
    """A table that travels.

    Attributes:
        name: What it is called on the command line.
        table: The table.
        branch: Its branch of the migrations.
        order: The column that numbers its rows: they travel in this order.
        key: The column that tells one thing from another, wherever it is kept.
        derived: Columns that are reckoned from another table, and so are not believed to a file.
    """

    name: str
    table: sa.Table
    branch: str
    order: str
    key: str
    derived: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that travel, all of them."""
        return tuple(
            # SQLAlchemy's names are more than texts, which orjson does not take for keys.
            Column(str(column.name), _kind(column), self._is_required(column))
            for column in self.table.columns
        )

    def _is_required(self, column: sa.Column[object]) -> bool:
        is_given_anew = self.order != self.key and column.name == self.order
        return not column.nullable and column.name not in self.derived and not is_given_anew


SUBJECTS: Mapping[str, Subject] = {
    subject.name: subject
    for subject in (
        Subject("tf", time_frames, "tf", order="id", key="file_id"),
        Subject(
            *("runs", runs, "tf"),
            order="run_number",
            key="run_number",
            derived=("total_tfs", "total_size_bytes"),
        ),
        Subject("files", files, "files", order="id", key="id"),
        Subject("events", events, "jobs", order="id", key="id"),
    )
}


def _kind(column: sa.Column[object]) -> Kind:
    match column.type:
        case sa.Integer():
            return "integer"
        case sa.LargeBinary():
            return "bytes"
        case sa.DateTime() | Moment():
            return "time"
        case sa.String():
            return "text"
        case _:
            raise TypeError(f"{column} has a type that does not travel")
