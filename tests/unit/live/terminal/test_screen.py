"""What is drawn, for terminals of any size and for whatever comes from outside."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from shipper.live.terminal.lines import MOST_LINES, Lines
from shipper.live.terminal.picture import whole
from shipper.live.terminal.screen import Reach, Seen, all_lines, screen
from shipper.live.terminal.view import View, shown
from tests.support.watched_shipper import row, state_of

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\u202eright to left\x00\u2028"
OURS = re.compile(r"\x1b\[[0-9;]*m")
"""Colours: all that we send a terminal with a picture."""


def seen(*rows: dict[str, Any], lines: Lines | None = None, **state: Any) -> Seen:
    picture = whole(state_of(*rows, **state), unix_seconds=0.0, monotonic_seconds=0.0)
    return Seen(picture, Reach("http://shipper:9108"), lines or Lines())


def drawn(
    what: Seen,
    view: View | None = None,
    size: tuple[int, int] = (160, 24),
    *,
    seconds: float = 0.0,
    colours: bool = False,
) -> str:
    view = view or View()
    out = io.StringIO()
    console = Console(
        file=out,
        width=size[0],
        height=size[1],
        force_terminal=colours,
        color_system="truecolor" if colours else None,
    )
    names = shown(what.picture, view)
    console.print(screen(what, view, names, size, seconds=seconds), end="")
    return out.getvalue()


def lines_of(*texts: str) -> Lines:
    lines = Lines()
    for text in texts:
        lines = lines.after({"time_ns": "3723004000000", "line": text})
    return lines


def test_the_header_says_who_it_is_and_how_fresh() -> None:
    first = drawn(seen(row("a")), seconds=3.0).splitlines()[0]

    assert first.startswith("Shipper 0.1.0  http://shipper:9108  ready")
    assert first.rstrip().endswith("3 s old, polled")


def test_why_it_is_not_ready_is_in_the_second_line() -> None:
    second = drawn(seen(row("a"), ready=False, reasons=["a: waiting", "b: failed"])).splitlines()[1]

    assert second.rstrip() == "a: waiting; b: failed"


def test_a_lost_connection_says_since_when_and_why() -> None:
    lost = replace(
        seen(row("a")), reach=Reach("http://s", "lost", "Connection refused", "12:03:11")
    )

    assert "STALE since 12:03:11, 7 s old: Connection refused" in drawn(lost, seconds=7.0)


def test_a_pause_is_told() -> None:
    assert "PAUSED" in drawn(seen(row("a")), View(paused=True))


def test_the_table_tells_everything_of_a_metric() -> None:
    told = row(
        "show_locks", lag_seconds=30, lines_waiting=1234, bytes_waiting=2048, restarts=2,
        oldest_unsent_seconds=61, sink_error="Loki is away",
    )  # fmt: skip
    heading, line = drawn(seen(told)).splitlines()[3:5]

    assert heading.split() == [
        "metric", "state", "last", "next", "took", "polls", "rows/s", "lag", "waiting", "bytes",
        "oldest", "sent", "again", "trouble",
    ]  # fmt: skip
    assert re.split(r"\s{2,}", line.strip()) == [
        "show_locks", "lines wait", "1 s", "1 s", "12 ms", "▅█▅", "1.5", "30 s", "1.2k", "2.0 KiB",
        "61 s", "300", "2", "Loki is away",
    ]  # fmt: skip


def test_a_state_with_fewer_keys_is_drawn_all_the_same() -> None:
    assert "bare" in drawn(seen({"metric": "bare"}))
    assert "bare" in drawn(seen({"metric": "bare"}), View(selected="bare", opened=True))


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (40, 8), (80, 24), (300, 60)], ids=str)
@pytest.mark.parametrize("opened", [False, True], ids=["table", "metric"])
def test_it_fits_every_terminal(size: tuple[int, int], opened: bool) -> None:
    what = seen(
        *(row(f"日本語_{number}", error="x" * 500) for number in range(50)),
        lines=lines_of(*["語" * 400] * 50),
    )
    picture = drawn(what, View(selected="日本語_3", opened=opened, wrapped=True), size).splitlines()

    assert len(picture) <= size[1]
    assert max(cell_len(line) for line in picture) <= size[0]


def test_the_keys_stand_in_the_last_line() -> None:
    assert drawn(seen(row("a"))).splitlines()[23].startswith("q quit")


def test_header_and_keys_stay_when_there_is_room_for_little_else() -> None:
    what = seen(*(row(f"m{number}", error="x" * 900) for number in range(9)))
    picture = drawn(what, View(selected="m3", opened=True), (100, 5)).splitlines()

    assert picture[0].startswith("Shipper")
    assert picture[-1].startswith("Esc back")


def test_the_page_with_the_cursor_is_shown() -> None:
    what = seen(*(row(f"m{number:03}") for number in range(100)))
    picture = drawn(what, View(selected="m050"), (100, 16))

    assert [f"m{number:03}" in picture for number in (49, 50, 59, 60)] == [False, True, True, False]


@pytest.mark.parametrize(
    "view",
    [View(), View(selected=HOSTILE, opened=True), View(selected=HOSTILE, opened=True, wrapped=True),
     View(typing=HOSTILE), View(filter=HOSTILE), View(selected=HOSTILE, opened=True, line_filter=HOSTILE)],
    ids=["table", "metric", "whole lines", "typing", "filter", "line filter"],
)  # fmt: skip
@pytest.mark.parametrize("ready", [True, False])
def test_nothing_from_outside_is_an_order_to_the_terminal(view: View, ready: bool) -> None:
    evil = row(
        HOSTILE, type=HOSTILE, instance=HOSTILE, state="running", result=HOSTILE, error=HOSTILE,
        last_end=HOSTILE, labels={HOSTILE: HOSTILE}, label_values={HOSTILE: HOSTILE},
    )  # fmt: skip
    what = seen(
        evil,
        lines=replace(lines_of(HOSTILE), trouble=HOSTILE),
        version=HOSTILE,
        ready=ready,
        reasons=[HOSTILE],
    )
    what = replace(what, reach=Reach(HOSTILE, "lost", HOSTILE, "12:00:00"))
    picture = OURS.sub("", drawn(what, view, (200, 30), colours=True))

    assert [letter for letter in picture if not letter.isprintable() and letter != "\n"] == []


def test_a_metric_that_is_open_shows_what_is_known_and_its_newest_lines() -> None:
    what = seen(row("a", error="it hung up", streams=7), lines=lines_of("first", "second"))
    picture = drawn(what, View(selected="a", opened=True))

    for words in ("300 delivered", "streams 7", "it hung up", "labels  job=a", "every 2 s"):
        assert words in picture
    assert picture.index("01:02:03.004 first") < picture.index("01:02:03.004 second")


def test_only_the_newest_lines_are_shown_when_there_is_room_for_few() -> None:
    what = seen(row("a"), lines=lines_of(*(f"line {number}" for number in range(100))))
    picture = drawn(what, View(selected="a", opened=True))

    assert "line 99" in picture
    assert "line 50" not in picture


def test_a_long_line_is_cut_or_shown_whole() -> None:
    what = seen(row("a"), lines=lines_of("x" * 200 + "END"))
    view = View(selected="a", opened=True)

    assert "END" not in drawn(what, view, (100, 24))
    assert "END" in drawn(what, replace(view, wrapped=True), (100, 24))


def test_lines_that_came_too_fast_are_counted() -> None:
    what = seen(row("a"), lines=lines_of("x").after({"lost": 12}).after({"lost": 3}))

    assert "15 came too fast to be shown" in drawn(what, View(selected="a", opened=True))


def test_no_more_lines_are_kept_than_a_screen_can_show() -> None:
    assert len(lines_of(*["x"] * (MOST_LINES + 5)).newest) == MOST_LINES


@pytest.mark.parametrize("message", [{}, {"line": 5}, {"line": None, "time_ns": {}}], ids=str)
def test_what_is_no_line_is_passed_over(message: dict[str, Any]) -> None:
    assert Lines().after(message) == Lines()


@pytest.mark.parametrize("time_ns", [None, "x", "9" * 40, -(10**30), []], ids=str)
def test_a_line_without_a_time_is_shown_without_one(time_ns: Any) -> None:
    (line,) = Lines().after({"line": "x", "time_ns": time_ns}).newest

    assert line.time == ""


def test_all_metrics_are_shown_to_who_wants_them_once() -> None:
    what = seen(*(row(f"m{number:03}") for number in range(100)))
    lines = [line.plain for line in all_lines(what, shown(what.picture, View()), 120, seconds=0.0)]

    assert len(lines) == 104
    assert lines[-1].startswith("m099")
