"""Pages of an answer, whatever its length."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from shipper.config.secret import Secret
from shipper.core.errors import ReadRefused
from shipper.core.record import Cursor
from shipper.sources.sql.engines import CHUNK_ROWS, Column
from shipper.sources.sql.pages import Page, Pages
from shipper.sources.sql.reading import Reading
from shipper.sources.sql.selection import Selection
from shipper.sources.sql.session import Session
from tests.support.clock import FakeClock
from tests.support.sql_link import DriverError, FakeEngine, FakeLink, Unreadable

SECONDS = 30.0
URL = "sqlite:///app.db"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CLOCK = FakeClock(ns=int(NOON.timestamp()) * 1_000_000_000)


def reading(*cursor: str, page_rows: int = 1000, lag_seconds: float = 0) -> Reading:
    selection = Selection(query=None, table="events", cursor=cursor)
    return Reading(
        "m", Secret("literal", URL), selection, page_rows=page_rows, lag_seconds=lag_seconds
    )


def page_behind(what: Reading, link: FakeLink, after: Cursor | None = None) -> Page:
    engine = FakeEngine(link)
    pages = Pages(what, engine, CLOCK)
    return Session(engine, make_url(URL)).ask(lambda turn: pages.behind(turn, after), SECONDS)


@pytest.mark.parametrize("old", [0, 1, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, 3 * CHUNK_ROWS])
def test_a_page_ends_in_front_of_the_first_row_that_is_too_young(old: int) -> None:
    ages_seconds = [60] * old + [5] + [60] * CHUNK_ROWS
    rows = [(NOON - timedelta(seconds=age), number) for number, age in enumerate(ages_seconds)]
    link = FakeLink([Column("at"), Column("id")], rows)
    page = page_behind(reading("at", "id", lag_seconds=30), link, ("before", 0))

    assert [row["id"] for row in page.rows] == list(range(old))
    assert page.cursor == (rows[old - 1] if old else ("before", 0))
    assert not page.is_full


@pytest.mark.parametrize(("count", "is_full"), [(0, False), (9, False), (10, True)])
def test_a_page_is_full_when_it_has_as_many_rows_as_it_may_have(count: int, is_full: bool) -> None:
    link = FakeLink(rows=[(number,) for number in range(count)])

    assert page_behind(reading("id", page_rows=10), link).is_full == is_full


def pieces_of(count: int, page_rows: int) -> tuple[Sequence[Page], FakeLink]:
    link = FakeLink(rows=[(number,) for number in range(count)])
    engine = FakeEngine(link)
    pages = Pages(reading(page_rows=page_rows), engine, CLOCK)
    return list(pages.pieces(Session(engine, make_url(URL)), SECONDS)), link


@pytest.mark.parametrize(
    ("count", "lengths"), [(0, [0]), (299, [299]), (300, [300, 0]), (601, [300, 300, 1])]
)
def test_a_result_comes_in_pieces_of_a_page(count: int, lengths: list[int]) -> None:
    pieces, link = pieces_of(count, page_rows=300)

    assert [len(piece.rows) for piece in pieces] == lengths
    assert [piece.is_full for piece in pieces] == [True] * (len(lengths) - 1) + [False]
    assert [row["id"] for piece in pieces for row in piece.rows] == list(range(count))
    assert len(link.asked) == 1


def test_the_transaction_is_over_when_the_last_piece_is_given_out() -> None:
    link = FakeLink(rows=[(1,)])
    engine = FakeEngine(link)
    pieces = Pages(reading(page_rows=1), engine, CLOCK).pieces(
        Session(engine, make_url(URL)), SECONDS
    )
    next(pieces)
    before = link.ended
    next(pieces)

    assert (before, link.ended) == (0, 1)


def test_pieces_that_nobody_wants_any_more_cost_the_connection() -> None:
    link = FakeLink(rows=[(1,), (2,)])
    engine = FakeEngine(link)
    pieces = Pages(reading(page_rows=1), engine, CLOCK).pieces(
        Session(engine, make_url(URL)), SECONDS
    )
    next(pieces)
    pieces.close()

    assert link.closed


@pytest.mark.parametrize("error", [DriverError("broken"), Unreadable("infinity")])
def test_a_result_that_breaks_off_in_the_middle_is_an_error(error: Exception) -> None:
    link = FakeLink(rows=[(1,)], fails=[None, None, error])
    engine = FakeEngine(link)
    pieces = Pages(reading(page_rows=1), engine, CLOCK).pieces(
        Session(engine, make_url(URL)), SECONDS
    )
    first = next(pieces)
    with pytest.raises(ReadRefused, match=str(error)):
        next(pieces)

    assert list(first.rows) == [{"id": 1}]
    assert list(pieces) == []


def test_columns_that_change_between_two_polls_are_seen() -> None:
    engine = FakeEngine(FakeLink([Column("a")], [(1,)]))
    pages = Pages(reading("a"), engine, CLOCK)
    session = Session(engine, make_url(URL))
    session.ask(lambda turn: pages.behind(turn, None), SECONDS)
    session.close()
    engine.links.append(FakeLink([Column("b"), Column("a")], [(1, 2)]))
    page = session.ask(lambda turn: pages.behind(turn, None), SECONDS)

    assert list(page.rows) == [{"b": 1, "a": 2}]
    assert page.cursor == (2,)


def test_columns_with_json_are_asked_for_when_it_begins() -> None:
    class WithJson(FakeEngine):
        """An engine that keeps JSON as text."""

        def json_columns(self, table: str, schema: str | None) -> sa.ClauseElement:
            return sa.text(f"JSON OF {schema} {table}")

    link = FakeLink(rows=[("id",)])
    engine = WithJson(link)
    pages = Pages(reading(), engine, CLOCK)
    session = Session(engine, make_url(URL))
    session.ask(lambda turn: pages.begin(turn, None), SECONDS)
    link.rows = [('{"a": 1}',)]
    (piece,) = pages.pieces(session, SECONDS)

    assert link.asked[0] == "JSON OF None events"
    assert list(piece.rows) == [{"id": {"a": 1}}]
