"""The source's books confirm what a session read before it asked again, and nothing else."""

from __future__ import annotations

from shipper.demo.sqream import Caller
from tests.prove.events import Book, Happenings

HAPPENINGS = Happenings(metric="m", seed=7, begin_ns=10**18, period_ns=1_000)


class Time:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.events = 1

    def __call__(self) -> int:
        """Return the moment at which so many events have happened."""
        return HAPPENINGS.begin_ns + (self.events - 1) * HAPPENINGS.period_ns


def session(connection_id: int) -> Caller:
    return Caller(connection_id, 1, "127.0.0.1", "sqream", "master", "monitor", "select m()")


def numbers(book: Book, connection_id: int) -> list[int]:
    return [row[0] for row in book.rows(session(connection_id))]


def confirmed(book: Book) -> list[int]:
    return [event.number for event in book.confirmed()]


def test_a_session_that_asks_once_confirms_nothing() -> None:
    book = Book(HAPPENINGS, Time())

    assert numbers(book, 1) == [0]
    assert numbers(book, 2) == [0]
    assert confirmed(book) == []


def test_a_session_that_asks_again_confirms_what_it_was_shown() -> None:
    time = Time()
    book = Book(HAPPENINGS, time)
    shown = [numbers(book, 1)]
    time.events = 3
    shown.append(numbers(book, 1))

    assert shown == [[0], [1, 2]]
    assert confirmed(book) == [0]
    assert [event.number for event in book.left()] == [1, 2]


def test_another_session_is_shown_the_same_rows_again() -> None:
    time = Time()
    time.events = 5
    book = Book(HAPPENINGS, time)
    rows = book.rows(session(1))
    time.events = 6

    assert book.rows(session(2))[:5] == rows


def test_a_session_from_before_takes_nothing_back() -> None:
    time = Time()
    book = Book(HAPPENINGS, time)
    numbers(book, 1)
    time.events = 4
    numbers(book, 2)
    numbers(book, 2)

    assert numbers(book, 1) == []
    assert confirmed(book) == [0, 1, 2, 3]


def test_nothing_happens_in_a_closed_book() -> None:
    time = Time()
    book = Book(HAPPENINGS, time)
    book.close()
    time.events = 9

    assert numbers(book, 1) == [0]
