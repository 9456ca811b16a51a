"""Keeps streams in SQL tables: what is ready together is written in one transaction.

Every write may be repeated: rows that are there already change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from logging import Logger
from typing import Any

from sqlalchemy.engine import URL

from shipper.core.errors import BatchToSplit, Blame, ConfigError, SinkUnavailable
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.core.words import counted, size
from shipper.sinks.store.arrivals import arrivals_of
from shipper.store import versions
from shipper.store.current import current_database
from shipper.store.database import Database
from shipper.store.errors import RowsRefused, StoreError, StoreUnavailable, StoreUndecided
from shipper.store.settings import SINK_NAME
from shipper.store.table_set import TableSet


class StoreSink:
    """A set of tables to write to.

    Attributes:
        name: The sink's name in counters.
        lines_cut: Always 0: nothing is cut.
        max_batch_bytes: The most that the lines of a stream may weigh in one write.
        max_batch_records: The most records in one write.
    """

    name = SINK_NAME
    lines_cut = 0

    def __init__(
        self,
        address: Callable[[], URL],
        table_set: TableSet[Any],
        *,
        log: Logger,
        connect_timeout_seconds: float,
        statement_timeout_seconds: float,
        max_batch_bytes: int,
        max_batch_records: int,
    ) -> None:
        """Connect to nothing yet.

        Args:
            address: Returns where the database is; asked again for every new connection, as it may hold a secret.
            table_set: The rules of the tables.
            log: Where it is told that tables were made or upgraded.
            connect_timeout_seconds: The longest wait for a connection.
            statement_timeout_seconds: The longest a statement may take.
            max_batch_bytes: The most that the lines of a stream may weigh in one write.
            max_batch_records: The most records in one write.
        """
        self.max_batch_bytes = max_batch_bytes
        self.max_batch_records = max_batch_records
        self._address = address
        self._table_set = table_set
        self._log = log
        self._connect_timeout_seconds = connect_timeout_seconds
        self._statement_timeout_seconds = statement_timeout_seconds
        self._database: Database | None = None

    def prepare(self) -> None:
        """Make or upgrade the tables; what stands in the way is told by the first write."""
        with suppress(StoreError, ConfigError):
            self._connected()

    def write(self, stream: Stream) -> Sequence[Rejection]:
        self._see_that_it_is_small_enough(stream)
        arrivals, rejections = arrivals_of(stream, self._table_set.wants)
        for readied in self._table_set.ready(arrivals):
            rejections.extend(readied.rejections)
            if readied.rows:
                self._write(readied.rows)
        return sorted(rejections, key=lambda rejection: rejection.index)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _see_that_it_is_small_enough(self, stream: Stream) -> None:
        size_bytes = sum(map(len, stream.lines))
        if len(stream) > 1 and (
            size_bytes > self.max_batch_bytes or len(stream) > self.max_batch_records
        ):
            raise BatchToSplit(
                f"{counted(len(stream), 'record')} of {size(size_bytes)} are more than a transaction holds",
                reason="too_large",
                asked=False,
            )

    def _write(self, rows: Sequence[object]) -> None:
        try:
            with self._connected().writing() as connection:
                versions.hold(connection, self._table_set.branch)
                self._table_set.write(connection, rows)
        except RowsRefused as error:
            raise BatchToSplit(str(error), reason=error.reason) from error
        except StoreUnavailable as error:
            # The next write connects anew, with the secret of then, and looks at the tables again.
            self.close()
            raise SinkUnavailable(str(error), reason=error.reason) from error
        except StoreUndecided as error:
            self.close()
            raise SinkUnavailable(str(error), reason=error.reason, blame=Blame.UNKNOWN) from error
        except ConfigError as error:
            raise SinkUnavailable(str(error), reason="secret") from error

    def _connected(self) -> Database:
        """Return the database, with the tables as they are known here."""
        if self._database is not None:
            return self._database
        self._database = current_database(
            self._address(),
            self._table_set.branch,
            log=self._log,
            connect_timeout_seconds=self._connect_timeout_seconds,
            statement_timeout_seconds=self._statement_timeout_seconds,
        )
        return self._database
