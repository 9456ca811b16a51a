"""What is known of a Shipper that is watched, and how news change it."""

from __future__ import annotations

from typing import Any

import pytest

from shipper.live.terminal.picture import MOST_POLLS, Picture, changed, number, polls, text, whole
from tests.support.watched_shipper import row, state_of


def seen(state: Any) -> Picture:
    return whole(state, unix_seconds=5000.0, monotonic_seconds=10.0)


def after(picture: Picture, **news: Any) -> Picture:
    return changed(picture, news, unix_seconds=5001.0, monotonic_seconds=11.0)


def test_a_whole_state_is_seen_in_its_order() -> None:
    picture = seen(state_of(row("b"), row("a")))

    assert list(picture.rows) == ["b", "a"]
    assert (picture.version, picture.ready, picture.at) == ("0.1.0", True, 1001.0)


def test_its_clock_goes_on_while_nothing_is_heard() -> None:
    assert seen(state_of(row("a"))).now(12.5) == 1003.5


def test_our_clock_stands_in_for_one_that_is_not_told() -> None:
    assert seen({"metrics": []}).now(10.0) == 5000.0


def test_news_change_only_what_they_name() -> None:
    picture = after(seen(state_of(row("a"), row("b"))), changed=[{"metric": "a", "restarts": 2}])

    assert number(picture.rows["a"], "restarts") == 2
    assert number(picture.rows["a"], "rows_total") == 300
    assert number(picture.rows["b"], "restarts") == 0


def test_new_poll_durations_follow_those_that_are_known() -> None:
    news = [{"metric": "a", "poll_seconds": [0.5]}]

    assert polls(after(seen(state_of(row("a"))), changed=news).rows["a"])[-2:] == (0.012, 0.5)


def test_only_so_many_poll_durations_are_kept() -> None:
    picture = seen(state_of(row("a")))
    for _ in range(3):
        picture = after(picture, changed=[{"metric": "a", "poll_seconds": [0.1] * 50}])

    assert len(polls(picture.rows["a"])) == MOST_POLLS


def test_the_set_of_metrics_follows_the_news() -> None:
    before = seen(state_of(row("a"), row("b")))
    picture = after(before, changed=[row("c")], removed=["a"], order=["c", "b"])

    assert list(picture.rows) == ["c", "b"]


def test_readiness_follows_the_news() -> None:
    picture = after(seen(state_of(row("a"))), ready=False, reasons=["a: waiting"])

    assert (picture.ready, picture.reasons) == (False, ("a: waiting",))


@pytest.mark.parametrize(
    "metrics",
    [None, {}, ["x", 1, None, {"metric": 5}, {}]],
    ids=["nothing", "an object", "no rows"],
)
def test_what_is_no_row_is_passed_over(metrics: Any) -> None:
    assert seen({"metrics": metrics}).rows == {}


def test_numbers_and_texts_of_the_wrong_kind_are_as_good_as_missing() -> None:
    odd = {"a": True, "b": "7", "c": float("nan"), "d": 10**400, "e": None}

    assert [number(odd, key) for key in "abcdef"] == [None] * 6
    assert [text(odd, key) for key in "acef"] == [""] * 4


@pytest.mark.parametrize("durations", [None, "12", {"a": 1}, [None, "x"]])
def test_durations_of_the_wrong_kind_are_passed_over(durations: Any) -> None:
    assert polls(seen(state_of(row("a", poll_seconds=durations))).rows["a"]) == ()
