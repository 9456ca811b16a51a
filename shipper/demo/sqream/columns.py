"""The columns of a result set as SQreamDB describes them to a client."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Any, ...]


class WireType(StrEnum):
    """The types a column can have on the wire; the SQL name is in the comment where it differs."""

    BOOL = "ftBool"
    TINYINT = "ftUByte"
    SMALLINT = "ftShort"
    INT = "ftInt"
    BIGINT = "ftLong"
    REAL = "ftFloat"
    DOUBLE = "ftDouble"
    DATE = "ftDate"
    DATETIME = "ftDateTime"
    DATETIME2 = "ftTimestampTz"  # pysqream 5 has no name for it and raises KeyError
    NUMERIC = "ftNumeric"
    VARCHAR = "ftVarchar"
    TEXT = "ftBlob"  # nvarchar(n) as well


SIZE_BYTES = {
    WireType.BOOL: 1,
    WireType.TINYINT: 1,
    WireType.SMALLINT: 2,
    WireType.INT: 4,
    WireType.BIGINT: 8,
    WireType.REAL: 4,
    WireType.DOUBLE: 8,
    WireType.DATE: 4,
    WireType.DATETIME: 8,
    WireType.DATETIME2: 16,
    WireType.NUMERIC: 16,
    WireType.TEXT: 0,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result set.

    Attributes:
        name: Free text; `show_locks` has names with blanks.
        wire_type: The type of a value, or of an element when `array` is true.
        nullable: Whether a value may be None.
        length_bytes: The n of varchar(n); 0 for every other type.
        scale: Digits after the decimal point of a numeric; 0 for every other type.
        array: Whether a value is a list of `wire_type`.
    """

    name: str
    wire_type: WireType
    nullable: bool = True
    length_bytes: int = 0
    scale: int = 0
    array: bool = False

    def __post_init__(self) -> None:
        is_varchar = self.wire_type is WireType.VARCHAR
        if is_varchar != (self.length_bytes > 0):
            raise ValueError(f"column {self.name!r}: length_bytes belongs to varchar alone")
        if is_varchar and self.array:
            raise ValueError(f"column {self.name!r}: SQreamDB has arrays of text, not of varchar")

    @property
    def size_bytes(self) -> int:
        """Bytes of one value in the binary block; 0 where the length varies."""
        return self.length_bytes or SIZE_BYTES[self.wire_type]

    def described(self) -> dict[str, object]:
        """Return the column as `queryTypeOut` tells it to the client."""
        wire_type: list[object] = ["ftArray"] if self.array else []
        return {
            "isTrueVarChar": self.wire_type is WireType.TEXT,
            "name": self.name,
            "nullable": self.nullable,
            "type": [*wire_type, self.wire_type.value, self.size_bytes, self.scale],
        }
