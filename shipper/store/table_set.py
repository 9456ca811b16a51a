"""What a set of tables promises: which records it wants, what their rows are, and how rows are written.

```text
record -> Arrival -> Rows (ready, or refused) -> one transaction
```
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar

from shipper.core.ports import Rejection
from shipper.core.record import Row

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

ROW = TypeVar("ROW")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record on its way into tables.

    Attributes:
        index: Its place in what is written together, from 0.
        row: Its fields.
        line: The same as compact JSON, UTF-8.
        received_ns: When it was received, nanoseconds since the Unix epoch, UTC.
    """

    index: int
    row: Row
    line: bytes
    received_ns: int


@dataclass(frozen=True, slots=True)
class Readied(Generic[ROW]):
    """Rows that can be written now, and what will never be a row.

    Attributes:
        rows: In the order of their arrivals.
        rejections: Each names the index of an arrival.
    """

    rows: Sequence[ROW]
    rejections: Sequence[Rejection]


class TableSet(Protocol[ROW]):
    """The rules of the tables that belong together. One instance belongs to one worker and one thread."""

    branch: ClassVar[str]
    """Its branch of the migrations."""

    @staticmethod
    def wants(row: Row) -> bool:
        """Tell whether a record is meant for these tables at all."""

    def ready(self, arrivals: Sequence[Arrival]) -> Iterator[Readied[ROW]]:
        """Yield rows as they get ready, outside of any transaction; what is ready at once comes first."""

    def write(self, connection: Connection, rows: Sequence[ROW]) -> None:
        """Write rows within the transaction of the caller. Rows that were written before change nothing.

        The caller keeps other writers away until the transaction ends (`versions.hold`), so that what is read here
        stays true while it is written.
        """
