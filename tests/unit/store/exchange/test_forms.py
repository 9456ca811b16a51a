"""Rows become files in three forms and rows again, and nothing changes on the way."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, BinaryIO

import pyarrow
import pytest
from pyarrow import parquet

from shipper.core.errors import ConfigError
from shipper.store.exchange.as_csv import CsvWriter, read_csv
from shipper.store.exchange.as_json import JsonWriter, read_json
from shipper.store.exchange.as_parquet import ParquetWriter, read_parquet
from shipper.store.exchange.columns import Column, Values

Read = Callable[[BinaryIO, Sequence[Column], str], Iterator[tuple[int, Values]]]

COLUMNS = (
    Column("id", "integer", required=True),
    Column("name", "text"),
    Column("at", "time"),
    Column("sum", "bytes"),
    Column("ok", "truth"),
)
MOMENT = datetime(2025, 7, 31, 12, 0, 0, 250_000, tzinfo=UTC)
ROWS: list[Values] = [
    (1, "plain", MOMENT, b"\x00\xff", True),
    (2**63 - 1, "", None, b"", False),
    (-(2**63), None, datetime(1, 1, 1, tzinfo=UTC), None, None),
    (4, 'quote " comma , semicolon ;', MOMENT, None, None),
    (5, "line\nfeed\r\nand\rreturn", None, None, None),
    (6, "Größe 😀 \u2028 \ufeff", None, None, None),
    (7, '""', None, None, None),
    (8, " blanks ", None, None, None),
    (9, "\\N", None, None, None),
    (10, "NULL", None, None, None),
    (11, '{"a": "b"}', None, None, None),
]
FORMS: dict[str, tuple[Any, Any]] = {
    "csv": (CsvWriter, read_csv),
    "json": (JsonWriter, read_json),
    "parquet": (ParquetWriter, read_parquet),
}


def written(form: str, rows: Sequence[Values], columns: Sequence[Column] = COLUMNS) -> bytes:
    stream = io.BytesIO()
    writer = FORMS[form][0](stream, columns)
    for start in range(0, len(rows), 3):
        writer.write(rows[start : start + 3])
    writer.close()
    return stream.getvalue()


def read(
    form: str, content: bytes, columns: Sequence[Column] = COLUMNS
) -> list[tuple[int, Values]]:
    reader: Read = FORMS[form][1]
    return list(reader(io.BytesIO(content), columns, "rows"))


@pytest.mark.parametrize("form", FORMS)
def test_rows_come_back_as_they_were(form: str) -> None:
    assert [values for _, values in read(form, written(form, ROWS))] == ROWS


@pytest.mark.parametrize("form", FORMS)
def test_no_rows_come_back_as_no_rows(form: str) -> None:
    assert read(form, written(form, [])) == []


@pytest.mark.parametrize("form", FORMS)
def test_columns_may_stand_in_another_order(form: str) -> None:
    content = written(form, [("x", 1)], [Column("name", "text"), Column("id", "integer")])

    assert read(form, content) == [(2 if form == "csv" else 1, (1, "x", None, None, None))]


@pytest.mark.parametrize("form", FORMS)
def test_an_unknown_column_is_named(form: str) -> None:
    content = written(form, [(1, "x")], [Column("id", "integer"), Column("nmae", "text")])

    with pytest.raises(ConfigError, match='there is no column nmae; did you mean "name"'):
        read(form, content)


@pytest.mark.parametrize("form", FORMS)
def test_a_column_that_must_be_there_is_missed(form: str) -> None:
    with pytest.raises(ConfigError, match="the column id is missing"):
        read(form, written(form, [("x",)], [Column("name", "text")]))


@pytest.mark.parametrize("form", FORMS)
def test_a_value_that_must_be_there_is_missed(form: str) -> None:
    content = written(form, [(1, "a"), (None, "b")], COLUMNS[:2])

    with pytest.raises(ConfigError, match=r"(line|row) [23]: id: must not be empty"):
        read(form, content)


def test_csv_is_what_others_read_as_well() -> None:
    text = written("csv", ROWS[:4]).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert text.startswith("id,name,at,sum,ok\r\n1,plain,2025-07-31T12:00:00.250000Z,00ff,true\r\n")
    assert rows[3]["name"] == 'quote " comma , semicolon ;'


def test_csv_tells_null_from_an_empty_text() -> None:
    content = written("csv", [(1, None), (2, "")], COLUMNS[:2])

    assert content == b'id,name\r\n1,\r\n2,""\r\n'


def test_csv_of_a_spreadsheet_is_read() -> None:
    content = b'\xef\xbb\xbfid,name\n1,"a"\n\n2,b'

    assert [values[:2] for _, values in read("csv", content)] == [(1, "a"), (2, "b")]


def test_json_keeps_types() -> None:
    lines = [json.loads(line) for line in written("json", ROWS[:2]).splitlines()]

    assert lines[1] == {"id": 2**63 - 1, "name": "", "at": None, "sum": "", "ok": False}


def test_parquet_has_types_of_its_own() -> None:
    table = parquet.read_table(pyarrow.BufferReader(written("parquet", ROWS)))

    assert [str(field.type) for field in table.schema] == [
        "int64", "string", "timestamp[us, tz=UTC]", "binary", "bool"
    ]  # fmt: skip


def test_parquet_is_written_in_groups() -> None:
    file = parquet.ParquetFile(pyarrow.BufferReader(written("parquet", ROWS)))

    assert file.num_row_groups == 4


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-07-31T12:00:00", datetime(2025, 7, 31, 12, tzinfo=UTC)),
        ("2025-07-31 12:00:00+02:00", datetime(2025, 7, 31, 10, tzinfo=UTC)),
        ("2025-07-31T12:00:00Z", datetime(2025, 7, 31, 12, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_time_without_a_zone_is_in_utc(form: str, text: str, moment: datetime) -> None:
    content = written(form, [(1, text)], [COLUMNS[0], Column("at", "text")])
    (_, values), *_ = read(form, content)

    assert values[2] == moment


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    there = timezone(timedelta(hours=-6))
    content = written(
        "csv", [(1, datetime(2025, 7, 31, 6, tzinfo=there))], [COLUMNS[0], COLUMNS[2]]
    )

    assert content.splitlines()[1] == b"1,2025-07-31T12:00:00Z"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"id,name\n1,a\n2,b,c\n", "line 3: has 3 fields instead of 2"),
        (b'id,name\n1,"a\nb\nc"\nx,b\n', "line 5: id: must be a whole number, not x"),
        (b'id,name\n1,a\n2,"b\n3,c\n', "line 3: a quote is opened here and never closed"),
        (b'id,name\n1,a"b"\n', "line 2: a quote stands in the middle of field 2"),
        (b'id,name\n1,"a"b\n', "line 2: a quote stands in the middle of field 2"),
        (b"id,name\n1,\xff\n", "line 2: this is not UTF-8"),
        (b"id,name\n9223372036854775808,a\n", "line 2: id: must have at most 64 bits"),
        (b"id,name\n1.5,a\n", "line 2: id: must be a whole number"),
        (b"id,name,id\n1,a,2\n", "line 1: the column id is there twice"),
        (b"id,at\n1,yesterday\n", "line 2: at: must be a time like"),
        (b"id,sum\n1,0g\n", "line 2: sum: must be hexadecimal digits"),
        (b"id,ok\n1,perhaps\n", "line 2: ok: must be true or false"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_in_csv_is_told_with_its_line(content: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=f"rows: {message}"):
        read("csv", content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"id": 1}\n{"id": \n', "line 2: this is not JSON"),
        (b'{"id": 1}\n\n[1]\n', "line 3: must be an object, not a list"),
        (b'{"id": "x"}\n', "line 1: id: must be a whole number"),
        (b'{"id": true}\n', "line 1: id: must be a whole number"),
        (b'{"id": 1.0}\n', "line 1: id: must be a whole number"),
        (b'{"id": 9223372036854775808}\n', "line 1: id: must have at most 64 bits"),
        (b'{"id": 1, "name": 5}\n', "line 1: name: must be text"),
        (b'{"id": 1, "at": 5}\n', "line 1: at: must be a time"),
        (b'{"id": 1, "at": "5"}\n', "line 1: at: must be a time"),
        (b"\xff\n", "line 1: this is not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_in_json_is_told_with_its_line(content: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=f"rows: {message}"):
        read("json", content)


def test_what_is_no_parquet_is_refused() -> None:
    with pytest.raises(ConfigError, match="rows: this cannot be read as Parquet"):
        read("parquet", b"id,name\n1,a\n" * 10)


def test_half_a_parquet_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="rows: this cannot be read as Parquet"):
        read("parquet", written("parquet", ROWS)[:-20])


def test_a_value_of_another_type_in_parquet_is_told_with_its_row() -> None:
    content = written("parquet", [(1, b"x")], [COLUMNS[0], Column("at", "bytes")])

    with pytest.raises(ConfigError, match="rows: row 1: at: must be a time"):
        read("parquet", content)
