"""The binary result block, byte for byte."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from shipper.demo.sqream.columns import Column, WireType
from shipper.demo.sqream.packing import ResultSet, pack

TWO_HOURS_EAST = timezone(timedelta(hours=2))
COLUMNS = (
    Column("n", WireType.INT),
    Column("s", WireType.TEXT),
    Column("v", WireType.VARCHAR, nullable=False, length_bytes=4),
    Column("d", WireType.DATE, nullable=False),
    Column("at", WireType.DATETIME, nullable=False),
    Column("p", WireType.NUMERIC, nullable=False, scale=2),
    Column("ok", WireType.BOOL, nullable=False),
    Column("ts", WireType.DATETIME2, nullable=False),
    Column("a", WireType.INT, nullable=False, array=True),
    Column("w", WireType.TEXT, nullable=False, array=True),
)
ROWS = [
    (
        *(7, "zł", "ab", date(2024, 2, 29), datetime(2024, 2, 29, 1, 2, 3, 4000)),  # noqa: DTZ001
        *(Decimal("1.50"), True, datetime(2026, 3, 4, 5, 6, 7, 123456, TWO_HOURS_EAST)),
        *([1, None, 3], ["ABC", "ABCDEF", None]),
    ),
    (
        *(None, None, "cd", date(1900, 1, 1), datetime(1900, 1, 1)),  # noqa: DTZ001
        *(Decimal("-1.00"), False, datetime(1970, 1, 1, tzinfo=UTC), [], ["x"]),
    ),
]
BLOCK = bytes.fromhex(
    "00 01  07 00 00 00 00 00 00 00"
    "00 01  03 00 00 00 00 00 00 00  7a c5 82"
    "61 62 20 20 63 64 20 20"
    "b2 47 0b 00 8d 96 0a 00"
    "fc ce 38 00 b2 47 0b 00  00 00 00 00 8d 96 0a 00"
    f"96 {'00' * 15} 9c {'ff' * 15}"
    "01 00"
    f"20 1c 00 00 40 f5 06 00 93 65 aa 00 90 4a 0b 00 {'00' * 12} 6c fa 0a 00"
    "14 00 00 00 00 00 00 00"
    "00 01 00 00 00 00 00 00  01 00 00 00 00 00 00 00 03 00 00 00"
    "30 00 00 00 20 00 00 00"
    "03 00 00 00 00 00 00 00  00 00 01 00 00 00 00 00"
    "03 00 00 00 0e 00 00 00 10 00 00 00 00 00 00 00"
    "41 42 43 00 00 00 00 00  41 42 43 44 45 46 00 00"
    f"01 {'00' * 7} {'00' * 8} 01 {'00' * 7} 78 {'00' * 7}"
)


def _one(column: Column, value: Any) -> bytes:
    return pack([column], [(value,)]).block


def test_two_rows_of_ten_types_become_exactly_these_237_bytes() -> None:
    chunk = pack(COLUMNS, ROWS)

    assert chunk.block == BLOCK
    assert len(chunk.block) == 237
    assert chunk.sizes_bytes == (2, 8, 2, 8, 3, 8, 8, 16, 32, 2, 32, 8, 20, 8, 80)
    assert chunk.row_count == 2


@pytest.mark.parametrize(
    ("wire_type", "value", "packed"),
    [
        pytest.param(WireType.TINYINT, 255, "ff", id="tinyint is unsigned"),
        pytest.param(WireType.SMALLINT, -2, "feff", id="smallint"),
        pytest.param(WireType.BIGINT, -(2**63), "0000000000000080", id="bigint"),
        pytest.param(WireType.REAL, 1.5, "0000c03f", id="real"),
        pytest.param(WireType.DOUBLE, 1.5, "000000000000f83f", id="double"),
        pytest.param(WireType.NUMERIC, Decimal(2**100), "00" * 12 + "10" + "00" * 3, id="numeric"),
    ],
)
def test_a_number_is_packed_little_endian(wire_type: WireType, value: Any, packed: str) -> None:
    assert _one(Column("x", wire_type, nullable=False), value) == bytes.fromhex(packed)


def test_a_numeric_of_38_digits_keeps_them_all() -> None:
    digits = "9" * 36 + ".99"

    packed = _one(Column("p", WireType.NUMERIC, nullable=False, scale=2), Decimal(digits))

    assert int.from_bytes(packed, "little", signed=True) == 10**38 - 1


class FinerDatetime(datetime):
    """A datetime with three more digits, as pandas.Timestamp is one."""

    nanosecond = 789


def test_nanoseconds_of_a_finer_datetime_are_kept() -> None:
    moment = FinerDatetime(1970, 1, 1, 0, 0, 0, 456, UTC)

    packed = _one(Column("ts", WireType.DATETIME2, nullable=False), moment)

    assert int.from_bytes(packed[4:8], "little") == 456_789


@pytest.mark.parametrize("wire_type", [each for each in WireType if each is not WireType.VARCHAR])
def test_a_null_keeps_its_fixed_slot(wire_type: WireType) -> None:
    column = Column("x", wire_type)

    chunk = pack([column], [(None,)])

    sizes = (1, 4, 0) if wire_type is WireType.TEXT else (1, column.size_bytes)
    assert chunk.sizes_bytes == sizes
    assert chunk.block[:1] == b"\x01"


@pytest.mark.parametrize("wire_type", [each for each in WireType if each is not WireType.VARCHAR])
def test_a_null_array_and_an_empty_one_have_no_block(wire_type: WireType) -> None:
    chunk = pack([Column("x", wire_type, array=True)], [(None,), ([],)])

    assert chunk.sizes_bytes == (2, 8, 0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param(Column("x", WireType.INT, nullable=False), None, id="None in not null"),
        pytest.param(Column("x", WireType.TINYINT), 256, id="too large"),
        pytest.param(Column("x", WireType.INT), "seven", id="not a number"),
        pytest.param(Column("x", WireType.NUMERIC), Decimal(2**127), id="numeric too large"),
        pytest.param(Column("x", WireType.VARCHAR, length_bytes=2), "abc", id="too long"),
        pytest.param(Column("x", WireType.VARCHAR, length_bytes=2), "ł", id="not ASCII"),
        pytest.param(Column("x", WireType.DATETIME2), datetime(2024, 1, 1), id="no zone"),  # noqa: DTZ001
    ],
)
def test_a_value_that_does_not_fit_its_column_is_refused(column: Column, value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        pack([column], [(value,)])


def test_rows_of_another_length_than_the_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        pack([Column("x", WireType.INT)], [(1, 2)])


def test_a_result_is_cut_into_chunks_of_at_most_so_many_rows() -> None:
    result = ResultSet.packed([Column("x", WireType.INT)], [(i,) for i in range(25)], chunk_rows=10)

    assert [chunk.row_count for chunk in result.chunks] == [10, 10, 5]


def test_a_result_without_rows_has_no_chunk() -> None:
    assert ResultSet.packed([Column("x", WireType.INT)], []).chunks == ()
