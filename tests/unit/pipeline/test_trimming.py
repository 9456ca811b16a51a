"""What is taken out of rows before they are shipped."""

from __future__ import annotations

from typing import Any

from shipper.core.json_rows import JsonRows
from shipper.core.record import Batch, Row, Stream
from shipper.pipeline.filing import Filing, FilingRules


def filed(rows: list[Row] | JsonRows, **rules: Any) -> Stream:
    filing = Filing(FilingRules({"job": "m"}, **rules), lambda _name: None)
    (stream,) = filing.streams(Batch(rows, 5))
    return stream


def test_a_field_that_is_omitted_is_not_in_the_line() -> None:
    stream = filed([{"id": 1, "sql": "select 'secret'"}, {"id": 2}], omit_fields=["sql"])

    assert stream.lines == [b'{"id":1}', b'{"id":2}']
    assert stream.metadata is None


def test_a_field_that_is_omitted_is_not_in_a_line_of_logfmt_either() -> None:
    stream = filed([{"id": 1, "sql": "x"}], omit_fields=["sql"], line="logfmt")

    assert stream.lines == [b"id=1"]


def test_labels_metadata_and_times_are_made_of_omitted_fields_all_the_same() -> None:
    stream = filed(
        [{"user": "etl", "id": 7, "at": 1_700_000_000, "n": 1}],
        omit_fields=["user", "id", "at"],
        label_fields=["user"],
        metadata_fields=["id"],
        time_field="at",
    )

    assert stream.labels == {"job": "m", "user": "etl"}
    assert stream.metadata == [{"id": "7"}]
    assert list(stream.times_ns) == [1_700_000_000_000_000_000]
    assert stream.lines == [b'{"n":1}']


def test_a_long_text_is_cut_and_says_how_much_is_missing() -> None:
    stream = filed([{"sql": "sëlect 12345"}, {"sql": "sëlect"}], cut_fields={"sql": 6})

    assert [line.decode() for line in stream.lines] == [
        '{"sql":"sëlect ...[cut 6 characters]"}',
        '{"sql":"sëlect"}',
    ]


def test_what_is_cut_is_cut_in_labels_and_metadata_too() -> None:
    stream = filed(
        [{"sql": "abc", "who": "xyz"}],
        cut_fields={"sql": 1, "who": 1},
        label_fields=["who"],
        metadata_fields=["sql"],
    )

    assert stream.labels["who"] == "x ...[cut 2 characters]"
    assert stream.metadata == [{"sql": "a ...[cut 2 characters]"}]


def test_numbers_and_what_is_missing_are_not_cut() -> None:
    stream = filed([{"n": 12345}, {"n": None}, {}], cut_fields={"n": 1})

    assert stream.lines == [b'{"n":12345}', b'{"n":null}', b"{}"]


def test_the_time_is_read_before_it_is_cut() -> None:
    stream = filed([{"at": "2026-11-02T05:46:45Z"}], time_field="at", cut_fields={"at": 4})

    assert list(stream.times_ns) == [1_793_598_405_000_000_000]


def test_rows_that_are_lines_from_the_beginning_are_trimmed_as_well() -> None:
    rows = JsonRows()
    rows.add([{"id": 1, "sql": "secret"}], tells_all=True)

    assert filed(rows, omit_fields=["sql"]).lines == [b'{"id":1}']


def test_rows_stay_whole_for_others_who_read_them() -> None:
    rows: list[Row] = [{"id": 1, "sql": "select"}]
    filed(rows, omit_fields=["id"], cut_fields={"sql": 1})

    assert rows == [{"id": 1, "sql": "select"}]


def test_fields_to_trim_that_no_row_has_are_told() -> None:
    told: list[list[str]] = []
    filing = Filing(
        FilingRules({}, omit_fields=["stmt"], cut_fields={"sql": 1}),
        lambda _name: None,
        lambda missing, _there: told.append(list(missing)),
    )
    filing.streams(Batch([{"statement": "x"}]))

    assert told == [["stmt", "sql"]]
