"""What becomes a Time Frame, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shipper.store.table_set import Arrival
from shipper.store.timeframes.time_frame import TimeFrame, Unfit, time_frame
from tests.unit.store.timeframes.messages import RECEIVED, arrival, message, without


def made(**fields: Any) -> TimeFrame:
    return time_frame(arrival(message(**fields)), lambda _: None)


def refused(row: dict[str, Any]) -> Unfit:
    with pytest.raises(Unfit) as caught:
        time_frame(Arrival(0, row, b"{}", 0), lambda _: None)
    return caught.value


def test_a_message_becomes_a_row_with_the_whole_message_in_it() -> None:
    arrived = arrival(message(more={"x": 1}))

    assert time_frame(arrived, lambda _: None) == TimeFrame(
        file_id="tf-000123",
        run_number=12345,
        tf_number=7,
        file_url="file:///data/run_12345/swf.12345.000001_tf_007.tf",
        file_size_bytes=15728640,
        checksum="0cc175b9c0f1b6a831c399e269772661",
        status="registered",
        created_at=datetime(2025, 7, 31, 12, tzinfo=UTC),
        received_at=RECEIVED,
        metadata_json=arrived.line.decode(),
    )


@pytest.mark.parametrize(
    "field", ["tf_number", "file_url", "file_size_bytes", "checksum", "status", "created_at"]
)
@pytest.mark.parametrize("how", ["missing", "null"])
def test_what_is_not_required_may_be_missing_or_null(field: str, how: str) -> None:
    row = without(field) if how == "missing" else message(**{field: None})

    assert getattr(time_frame(arrival(row), lambda _: None), field) is None


@pytest.mark.parametrize("field", ["file_id", "run_number"])
@pytest.mark.parametrize("how", ["missing", "null"])
def test_what_is_required_is_named_when_it_is_missing_or_null(field: str, how: str) -> None:
    unfit = refused(without(field) if how == "missing" else message(**{field: None}))

    assert unfit.reason == f"no_{field}"
    assert field in unfit.answer


def test_an_empty_file_id_names_no_file() -> None:
    assert refused(message(file_id="")).reason == "no_file_id"


def test_run_0_is_a_run() -> None:
    assert made(run_number=0).run_number == 0


@pytest.mark.parametrize(
    ("written", "number"),
    [(7, 7), (7.0, 7), ("7", 7), ("-7", -7), (2**63 - 1, 2**63 - 1), (-(2**63), -(2**63))],
    ids=repr,
)
def test_whole_numbers_are_taken_in_the_forms_the_client_took(written: object, number: int) -> None:
    assert made(file_size_bytes=written).file_size_bytes == number


@pytest.mark.parametrize("field", ["run_number", "tf_number", "file_size_bytes"])
@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (True, "wrong_type"),
        ("seven", "wrong_type"),
        ("", "wrong_type"),
        ("7.0", "wrong_type"),
        ("\u0667", "wrong_type"),
        (7.5, "wrong_type"),
        (float("nan"), "wrong_type"),
        (float("inf"), "wrong_type"),
        ([7], "wrong_type"),
        ({"n": 7}, "wrong_type"),
        (2**63, "out_of_range"),
        (-(2**63) - 1, "out_of_range"),
        (1e30, "out_of_range"),
        (str(2**64), "out_of_range"),
    ],
    ids=repr,
)
def test_what_is_no_whole_number_of_64_bits_is_refused(
    field: str, written: object, reason: str
) -> None:
    unfit = refused(message(**{field: written}))

    assert unfit.reason == reason
    assert field in unfit.answer


@pytest.mark.parametrize("field", ["file_id", "file_url", "checksum", "status"])
def test_a_number_becomes_text_where_text_is_wanted(field: str) -> None:
    assert getattr(made(**{field: 7}), field) == "7"


@pytest.mark.parametrize("field", ["file_id", "file_url", "checksum", "status"])
@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (True, "wrong_type"),
        (["a"], "wrong_type"),
        ({}, "wrong_type"),
        ("a\x00b", "bad_text"),
        ("a\ud800b", "bad_text"),
    ],
    ids=ascii,
)
def test_what_no_database_stores_as_text_is_refused(
    field: str, written: object, reason: str
) -> None:
    unfit = refused(message(**{field: written}))

    assert unfit.reason == reason
    assert field in unfit.answer
    unfit.answer.encode()


def test_a_file_id_longer_than_its_column_is_refused() -> None:
    assert made(file_id="x" * 255).file_id == "x" * 255
    assert refused(message(file_id="x" * 256)).reason == "too_long"


def test_a_long_value_is_quoted_only_in_part() -> None:
    assert len(refused(message(run_number="x" * 10_000)).answer) < 200


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2025-07-31T12:00:00Z", datetime(2025, 7, 31, 12, tzinfo=UTC)),
        ("2025-07-31T12:00:00", datetime(2025, 7, 31, 12, tzinfo=UTC)),
        ("2025-07-31T12:00:00.123456+02:00", datetime(2025, 7, 31, 10, 0, 0, 123456, UTC)),
        ("2025-07-31 07:00:00-05:00", datetime(2025, 7, 31, 12, tzinfo=UTC)),
        ("2025-07-31", datetime(2025, 7, 31, tzinfo=UTC)),
    ],
    ids=str,
)
def test_times_are_brought_to_utc_of_which_are_those_without_a_zone(
    written: str, moment: datetime
) -> None:
    assert made(created_at=written).created_at == moment


@pytest.mark.parametrize(
    "written",
    ["yesterday", "2025-13-01", "0001-01-01T00:00:00+14:00", 1753963200, True, ["2025"]],
    ids=repr,
)
def test_a_time_that_is_none_is_told_and_stored_as_null(written: object) -> None:
    told: list[object] = []

    assert time_frame(arrival(message(created_at=written)), told.append).created_at is None
    assert told == [written]


def test_an_empty_time_is_null_without_a_word() -> None:
    told: list[object] = []

    assert time_frame(arrival(message(created_at="")), told.append).created_at is None
    assert told == []
