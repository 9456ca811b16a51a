"""Turns at a database: what they leave behind, and what their failures are called."""

from __future__ import annotations

import time

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from shipper.core.errors import ReadRefused, SourceTimeout, SourceUnavailable
from shipper.sources.sql.session import LONGEST_TEXT, Session, UnreadableValue
from tests.support.sql_link import (
    DriverError,
    FakeEngine,
    FakeLink,
    Lost,
    Stopped,
    Unreadable,
)

SECONDS = 30.0
PLACE = make_url("postgresql://shipper:s3cret@db/app")
QUESTION = sa.text("SELECT 1")


def session_over(*links: FakeLink) -> Session:
    return Session(FakeEngine(*links), PLACE)


def ask(session: Session) -> object:
    return session.ask(lambda turn: turn.few(QUESTION).rows, SECONDS)


def test_turns_share_a_connection() -> None:
    link = FakeLink(rows=[(1,)])
    session = session_over(link)

    assert [ask(session), ask(session)] == [[(1,)], [(1,)]]
    assert not link.closed


def test_a_connection_that_was_lost_between_turns_is_made_again_at_once() -> None:
    first, second = FakeLink(fails=[None, None, Lost("gone")]), FakeLink(rows=[(2,)])
    session = session_over(first, second)
    ask(session)

    assert ask(session) == [(2,)]
    assert first.closed


def test_a_beginning_that_fails_otherwise_is_told() -> None:
    session = session_over(FakeLink(fails=[None, None, DriverError("no such zone")]), FakeLink())
    ask(session)

    with pytest.raises(ReadRefused, match="no such zone"):
        ask(session)


@pytest.mark.parametrize(
    ("error", "told_as"),
    [
        (Lost("gone"), SourceUnavailable),
        (Stopped("57014"), SourceTimeout),
        (DriverError("no"), ReadRefused),
    ],
    ids=["lost", "stopped", "refused"],
)
def test_failures_are_told_as_what_to_do_next(error: Exception, told_as: type[Exception]) -> None:
    link = FakeLink(fails=[None, error])
    with pytest.raises(told_as) as raised:
        ask(session_over(link))

    assert type(raised.value) is told_as
    assert link.closed


def test_a_failure_is_told_without_the_password_on_one_line_and_not_too_long() -> None:
    link = FakeLink(fails=[None, DriverError("login with s3cret\n  failed " + "x" * 1000)])
    with pytest.raises(ReadRefused) as raised:
        ask(session_over(link))

    assert str(raised.value).startswith("login with *** failed xxx")
    assert len(str(raised.value)) == LONGEST_TEXT + len("...")


def test_a_failure_without_words_is_told_by_its_type() -> None:
    with pytest.raises(ReadRefused, match=r"^DriverError$"):
        ask(session_over(FakeLink(fails=[None, DriverError()])))


def test_a_value_that_cannot_be_read_is_asked_for_again_over_a_forgiving_connection() -> None:
    strict, forgiving = FakeLink(fails=[None, Unreadable("infinity")]), FakeLink(rows=[(1,)])

    assert ask(session_over(strict, forgiving)) == [(1,)]
    assert (strict.forgiving, forgiving.forgiving) == (False, True)


def test_what_not_even_a_forgiving_connection_can_read_is_refused() -> None:
    links = [FakeLink(fails=[None, Unreadable("infinity")]) for _ in range(2)]

    with pytest.raises(UnreadableValue, match="infinity"):
        ask(session_over(*links))


def test_what_a_block_raises_leaves_it_and_the_connection_is_let_go_of() -> None:
    link = FakeLink()
    session = session_over(link)
    with pytest.raises(KeyError), session.turn(SECONDS):
        raise KeyError

    assert link.closed


def test_a_block_that_ends_too_late_is_a_timeout_though_all_was_answered() -> None:
    link = FakeLink()
    session = session_over(link)
    with pytest.raises(SourceTimeout), session.turn(0.05):
        link.was_cut.wait(SECONDS)

    assert link.closed


def test_a_connection_that_nobody_uses_at_the_deadline_is_closed_there_and_then() -> None:
    link = FakeLink()
    session = session_over(link)
    with pytest.raises(SourceTimeout), session.turn(0.05) as turn, turn.idle():
        link.was_closed.wait(SECONDS)

    assert link.closed


def test_a_turn_that_is_late_does_not_become_idle() -> None:
    link = FakeLink()
    session = session_over(link)
    blocks_begun = 0
    try:
        with session.turn(0.05) as turn:
            link.was_cut.wait(SECONDS)
            with turn.idle():
                blocks_begun += 1
    except SourceTimeout:
        pass

    assert blocks_begun == 0
    assert link.closed


def test_a_connection_that_comes_too_late_asks_nothing() -> None:
    late = FakeLink()
    engine = LateEngine(late)
    with pytest.raises(SourceTimeout):
        Session(engine, PLACE).ask(lambda turn: turn.few(QUESTION), 0.01)

    assert late.asked == []
    assert late.closed


class LateEngine(FakeEngine):
    """Connects when the deadline is over."""

    def connect(self, url: URL, seconds: float, *, forgiving: bool) -> FakeLink:
        until_seconds = time.monotonic() + 2 * seconds
        while time.monotonic() < until_seconds:
            pass
        return super().connect(url, seconds, forgiving=forgiving)


def test_only_what_asks_something_can_be_sent() -> None:
    session = session_over(FakeLink())

    with pytest.raises(TypeError, match="asks nothing"), session.turn(SECONDS) as turn:
        turn.few(sa.schema.CreateTable(sa.Table("t", sa.MetaData())))
