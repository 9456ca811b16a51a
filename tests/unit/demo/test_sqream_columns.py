"""Columns as they are described to a client."""

from __future__ import annotations

import pytest

from shipper.demo.sqream.columns import Column, WireType


@pytest.mark.parametrize(
    ("column", "wire_type", "is_true_varchar"),
    [
        pytest.param(Column("x", WireType.INT), ["ftInt", 4, 0], False, id="int"),
        pytest.param(Column("x", WireType.TEXT), ["ftBlob", 0, 0], True, id="text"),
        pytest.param(
            Column("x", WireType.VARCHAR, length_bytes=9), ["ftVarchar", 9, 0], False, id="varchar"
        ),
        pytest.param(
            Column("x", WireType.NUMERIC, scale=2), ["ftNumeric", 16, 2], False, id="numeric"
        ),
        pytest.param(
            Column("x", WireType.INT, array=True), ["ftArray", "ftInt", 4, 0], False, id="array"
        ),
    ],
)
def test_a_column_tells_its_wire_type_size_and_scale(
    column: Column, wire_type: list[object], is_true_varchar: bool
) -> None:
    assert column.described() == {
        "isTrueVarChar": is_true_varchar,
        "name": "x",
        "nullable": True,
        "type": wire_type,
    }


@pytest.mark.parametrize(
    ("wire_type", "length_bytes", "array"),
    [
        pytest.param(WireType.VARCHAR, 0, False, id="varchar without length"),
        pytest.param(WireType.INT, 4, False, id="int with length"),
        pytest.param(WireType.VARCHAR, 4, True, id="array of varchar"),
    ],
)
def test_a_column_that_cannot_be_is_refused(
    wire_type: WireType, length_bytes: int, array: bool
) -> None:
    with pytest.raises(ValueError, match="'x'"):
        Column("x", wire_type, length_bytes=length_bytes, array=array)
