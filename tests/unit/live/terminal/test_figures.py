"""Numbers and states in few characters."""

from __future__ import annotations

import pytest

from shipper.live.terminal.figures import (
    Mood,
    amount,
    rate,
    size,
    span,
    sparkline,
    state_of,
    trouble_of,
    whole_span,
)
from tests.support.watched_shipper import row


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (-3.0, "0 ms"),
        (0.0124, "12 ms"),
        (1.0, "1.0 s"),
        (12.3, "12 s"),
        (119.0, "119 s"),
        (120.0, "2.0 min"),
        (7200.0, "2.0 h"),
        (86400.0, "24 h"),
        (864000.0, "10 d"),
    ],
)
def test_a_span_is_short(seconds: float | None, shown: str) -> None:
    assert span(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "-"), (-1, "0 s"), (0.9, "0 s"), (3.7, "3 s"), (150, "2.5 min")]
)
def test_a_span_that_goes_by_is_told_in_whole_seconds(seconds: float | None, shown: str) -> None:
    assert whole_span(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(None, "-"), (0, "0"), (999, "999"), (999.9, "1.0k"), (1234, "1.2k"), (34e6, "34M")],
)
def test_an_amount_is_short(number: float | None, shown: str) -> None:
    assert amount(number) == shown


def test_no_number_is_too_great_for_its_column() -> None:
    assert [len(amount(10.0**power)) <= 5 for power in range(18)] == [True] * 18
    assert [len(size(10.0**power)) <= 8 for power in range(15)] == [True] * 15


def test_a_small_rate_keeps_its_digit() -> None:
    assert [rate(number) for number in (None, 0.0, 0.25, 12.3)] == ["-", "0", "0.2", "12"]


def test_a_size_has_its_unit() -> None:
    assert [size(number) for number in (None, 0, 1536, 5 * 1024**2)] == [
        "-", "0 B", "1.5 KiB", "5.0 MiB"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ([], "    "),
        ([0.0, 0.0], "  ▁▁"),
        ([1.0, 2.0, 4.0], " ▃▅█"),
        ([9.0, 1.0, 1.0, 1.0, 1.0], "████"),
    ],
    ids=["none", "zeros", "growing", "only the newest"],
)
def test_durations_are_blocks_beside_the_greatest_of_them(numbers: list[float], shown: str) -> None:
    assert sparkline(numbers, 4) == shown


@pytest.mark.parametrize(
    ("told", "word", "mood"),
    [
        ({}, "running", Mood.GOOD),
        ({"result": ""}, "starting", Mood.WAIT),
        ({"result": "error"}, "error", Mood.BAD),
        ({"result": "timeout"}, "timeout", Mood.BAD),
        ({"result": "waiting"}, "waiting", Mood.WAIT),
        ({"sink_error": "Loki is away"}, "lines wait", Mood.WAIT),
        ({"state": "failed"}, "failed", Mood.BAD),
        ({"state": "waiting"}, "waiting", Mood.WAIT),
        ({"state": None}, "unknown", Mood.WAIT),
    ],
    ids=str,
)
def test_a_state_is_a_word_and_how_bad_it_is(told: dict[str, str], word: str, mood: Mood) -> None:
    assert state_of(row("a", **told)) == (word, mood)


def test_trouble_of_the_source_comes_before_that_of_the_sink() -> None:
    assert trouble_of(row("a", error="source", sink_error="sink", last_end="end")) == "source"
    assert trouble_of(row("a", sink_error="sink", last_end="end")) == "sink"
