"""The pieces of a stream, and whose fault it is when one fails."""

from __future__ import annotations

import pytest

from shipper.core.record import Stream
from shipper.pipeline.pieces import (
    BOUNDED_TRIES,
    TRIES_OF_A_PART,
    TRIES_OF_A_RECORD,
    Piece,
    Pieces,
)


def stream_of(count: int, first: int = 0) -> Stream:
    numbers = range(first, first + count)
    return Stream({"job": "m"}, list(numbers), [b"%d" % number for number in numbers])


def lines_of(pieces: Pieces) -> list[bytes]:
    left = pieces.left()
    return [] if left is None else list(left.lines)


def test_halves_take_the_place_of_the_whole_in_their_order() -> None:
    pieces = Pieces(stream_of(5))
    pieces.split_first()
    first = pieces.take_first()

    assert (list(first.stream.lines), lines_of(pieces)) == ([b"0", b"1"], [b"2", b"3", b"4"])


def test_nothing_is_left_when_every_piece_is_settled() -> None:
    pieces = Pieces(stream_of(1))
    pieces.take_first()

    assert not pieces
    assert pieces.left() is None


def test_what_was_given_the_present_time_is_written_next_and_known_as_such() -> None:
    pieces = Pieces(stream_of(2))
    pieces.put_restamped(stream_of(1, first=7), 0)
    before = pieces.first.restamped
    pieces.take_first()

    assert (before, pieces.first.restamped) == (True, False)


@pytest.mark.parametrize(
    ("piece", "tries"),
    [
        (Piece(stream_of(3)), BOUNDED_TRIES),
        (Piece(stream_of(1)), BOUNDED_TRIES),
        (Piece(stream_of(3), is_part=True), TRIES_OF_A_PART),
        (Piece(stream_of(1), is_part=True), TRIES_OF_A_RECORD),
    ],
    ids=["a whole stream", "a lonely record", "a part", "a record of it"],
)
def test_a_piece_is_tried_a_number_of_times(piece: Piece, tries: int) -> None:
    for number in range(tries):
        assert not piece.tried_enough
        piece.failed(float(number + 1))

    assert piece.tried_enough


@pytest.mark.parametrize(
    ("records", "failed_at", "last_passed", "guilty"),
    [
        pytest.param(1, [5.0], 6.0, True, id="others were taken since"),
        pytest.param(1, [5.0, 9.0], 6.0, True, id="others were taken between its failures"),
        pytest.param(1, [5.0], 4.0, False, id="nothing was taken since"),
        pytest.param(2, [5.0], 6.0, False, id="not alone"),
        pytest.param(1, [], 6.0, False, id="it never failed"),
    ],
)
def test_a_record_is_at_fault_when_it_fails_alone_and_others_pass(
    records: int, failed_at: list[float], last_passed: float, guilty: bool
) -> None:
    piece = Piece(stream_of(records))
    for moment in failed_at:
        piece.failed(moment)

    assert piece.is_at_fault(last_passed) is guilty


def test_halves_remember_since_when_the_whole_failed() -> None:
    pieces = Pieces(stream_of(2))
    pieces.first.failed(5.0)
    pieces.split_first()

    assert pieces.first.is_at_fault(last_passed_seconds=6.0)


def test_the_others_are_written_before_a_piece_that_was_set_aside() -> None:
    pieces = Pieces(stream_of(2))
    pieces.split_first()

    assert pieces.set_first_aside(last_passed_seconds=0.0)
    assert lines_of(pieces) == [b"1", b"0"]


def test_when_every_piece_was_tried_enough_nothing_new_is_to_be_learned() -> None:
    pieces = Pieces(stream_of(1))
    for _ in range(BOUNDED_TRIES):
        pieces.first.failed(5.0)

    assert not pieces.set_first_aside(last_passed_seconds=0.0)
    assert pieces.set_first_aside(last_passed_seconds=6.0)
