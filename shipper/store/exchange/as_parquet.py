"""Rows as Parquet: typed columns, times in microseconds UTC, a row group for every part that is written.

pyarrow is imported when it is needed: it takes a tenth of a second and 50 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from shipper.core.errors import ConfigError
from shipper.store.exchange.columns import (
    Column,
    Values,
    see_that_columns_fit,
    values_of,
)

if TYPE_CHECKING:
    from pyarrow import Schema

BATCH_ROWS = 5000


class ParquetWriter:
    """Writes rows as Parquet; the file is none before `close`."""

    def __init__(self, stream: BinaryIO, columns: Sequence[Column]) -> None:
        from pyarrow import parquet

        self._schema = schema_of(columns)
        self._writer = parquet.ParquetWriter(stream, self._schema, compression="zstd")

    def write(self, rows: Sequence[Values]) -> None:
        """Write some rows as a row group."""
        from pyarrow import RecordBatch, array

        columns = zip(*rows, strict=True)
        arrays = [
            array(values, field.type)
            for values, field in zip(columns, self._schema, strict=bool(rows))
        ]
        if arrays:
            self._writer.write_batch(RecordBatch.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        """Write what makes a Parquet file of it; the stream stays open."""
        self._writer.close()


def schema_of(columns: Sequence[Column]) -> Schema:
    """Return the columns as Parquet knows them."""
    import pyarrow

    types = {
        "integer": pyarrow.int64(),
        "truth": pyarrow.bool_(),
        "text": pyarrow.string(),
        "time": pyarrow.timestamp("us", tz="UTC"),
        "bytes": pyarrow.binary(),
    }
    return pyarrow.schema([(column.name, types[column.kind]) for column in columns])


def read_parquet(
    stream: BinaryIO, columns: Sequence[Column], where: str
) -> Iterator[tuple[int, Values]]:
    """Yield every row with its number, from 1, its values in the order of `columns`.

    Raises:
        ConfigError: Something in the file is wrong; the text names the row.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(stream)
        see_that_columns_fit(file.schema_arrow.names, columns, where)
        number = 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            for content in batch.to_pylist():
                number += 1
                yield number, values_of(content, columns, f"{where}: row {number}")
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ConfigError(f"{where}: this cannot be read as Parquet: {reason}") from None
