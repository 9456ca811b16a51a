"""What keys change about what is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shipper.live.terminal.picture import Picture, whole
from shipper.live.terminal.view import SORTS, View, press, settled, shown
from tests.support.watched_shipper import row, state_of

ROWS = (
    row("a", rows_per_second=1.0, lag_seconds=5.0, poll_seconds=[], last_poll_seconds=None),
    row("b", sink_error="Loki is away", lines_waiting=5, poll_seconds=[], last_poll_seconds=0.1),
    row("c", result="error", error="Refused", rows_per_second=9.0, restarts=1),
    row("d", instance="broker.example:61613", last_poll_seconds=3.0),
)


def picture() -> Picture:
    return whole(state_of(*ROWS), unix_seconds=0.0, monotonic_seconds=0.0)


def pressed(*keys: str, view: View | None = None) -> View:
    view = view or View()
    for key in keys:
        view = press(view, key, shown(picture(), view), page_rows=2)
    return view


@pytest.mark.parametrize(
    ("sort", "first"),
    [("trouble", "cbad"), ("name", "abcd"), ("rows/s", "cbda"), ("waiting", "bacd"), ("lag", "abcd"),
     ("duration", "dbca"), ("restarts", "cabd")],
)  # fmt: skip
def test_what_stands_out_comes_first_and_equals_stay_as_they_are(sort: str, first: str) -> None:
    assert sort in SORTS
    assert "".join(shown(picture(), replace(View(), sort=sort))) == first


def test_the_order_goes_round() -> None:
    assert pressed(*["s"] * len(SORTS)) == View()
    assert pressed("s").sort == "name"


@pytest.mark.parametrize(
    ("typed", "left"), [("BROKER", "d"), ("refused", "c"), ("lines w", "b"), ("sqream", "cbad")]
)
def test_a_filter_looks_at_all_words_of_a_metric(typed: str, left: str) -> None:
    assert "".join(shown(picture(), pressed("/", *typed, "enter"))) == left


def test_the_table_follows_a_filter_while_it_is_typed() -> None:
    assert shown(picture(), pressed("/", "b", "r", "o")) == ["d"]


def test_letters_that_are_typed_are_no_orders() -> None:
    view = pressed("/", "p", "s", "q")

    assert (view.typing, view.paused, view.sort) == ("psq", False, "trouble")


def test_a_filter_that_is_left_with_escape_changes_nothing() -> None:
    assert pressed("/", "x", "escape") == View()


def test_what_is_typed_can_be_taken_back() -> None:
    assert pressed("/", "x", "y", "backspace").typing == "x"
    assert pressed("/", "x", "y", "clear").typing == ""


def test_what_is_typed_has_an_end() -> None:
    assert len(pressed("/", *["x"] * 300).typing or "") == 200


@pytest.mark.parametrize(
    ("keys", "selected"),
    [
        (["down"], "c"),
        (["down", "down"], "b"),
        (["down", "up"], "c"),
        (["up"], "d"),
        (["end"], "d"),
        (["end", "down"], "d"),
        (["home"], "c"),
        (["down", "page down"], "a"),
        (["end", "page up"], "b"),
        (["j", "j", "k"], "c"),
    ],
    ids=" ".join,
)
def test_the_cursor_moves_and_stays_in_the_table(keys: list[str], selected: str) -> None:
    assert pressed(*keys).selected == selected


def test_enter_opens_the_metric_under_the_cursor_or_else_the_first() -> None:
    assert pressed("enter") == View(selected="c", opened=True)
    assert pressed("down", "down", "right") == View(selected="b", opened=True)


def test_a_metric_that_is_open_gives_way_to_its_neighbour() -> None:
    assert pressed("enter", "down") == View(selected="b", opened=True)


def test_a_filter_of_an_open_metric_is_one_of_its_lines() -> None:
    view = pressed("enter", "/", "x", "enter")

    assert (view.filter, view.line_filter) == ("", "x")


def test_escape_goes_back_one_step_at_a_time() -> None:
    view = pressed("/", "r", "e", "enter", "enter", "/", "x", "enter")
    table = pressed("escape", view=view)
    unfiltered = pressed("escape", view=table)

    assert (table.opened, table.filter, table.line_filter) == (False, "re", "")
    assert (unfiltered.filter, unfiltered.selected) == ("", "c")
    assert pressed("escape", view=unfiltered) == View()


def test_nothing_opens_where_nothing_is() -> None:
    assert press(View(), "enter", [], page_rows=2) == View()
    assert press(View(), "down", [], page_rows=2) == View()


def test_a_metric_that_went_away_is_open_no_more() -> None:
    assert settled(View(selected="gone", opened=True, line_filter="x"), picture()) == View()
    assert settled(View(selected="a", opened=True), picture()).opened
