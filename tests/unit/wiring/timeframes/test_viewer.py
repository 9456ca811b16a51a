"""Time Frames are shown as they come, and nobody waits for whoever reads them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest

from shipper.wiring.timeframes import viewer as viewers
from shipper.wiring.timeframes.viewer import LINES_WAITING, TimeFrameViewer, wants_colours

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
WAIT_SECONDS = 10


class Reader:
    """Whoever reads the output; `reads` lets it go on."""

    def __init__(self, *, reads: bool = True) -> None:
        self.reads = Event()
        self.reached = Event()
        self.text = ""
        if reads:
            self.reads.set()

    def write(self, content: bytes) -> None:
        self.reached.set()
        assert self.reads.wait(WAIT_SECONDS)
        self.text += content.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class GoneReader:
    """A reader that hung up."""

    def __init__(self) -> None:
        self.tried = Event()

    def write(self, content: bytes) -> None:
        self.tried.set()
        raise BrokenPipeError(32, "Broken pipe")


def viewer(reader: Any, *, colours: bool = False) -> TimeFrameViewer:
    return TimeFrameViewer(write=reader.write, colours=colours, now=lambda: NOW)


def rows(count: int) -> list[dict[str, object]]:
    return [{"file_id": f"tf-{number}", "status": "done"} for number in range(count)]


def test_every_row_becomes_a_line() -> None:
    reader = Reader()
    shown = viewer(reader)
    shown.show(rows(1))
    shown.show(rows(2))
    lost = shown.close()

    assert lost == 0
    assert [line.split(" | ")[0] for line in reader.lines] == [
        "[05:06:07] TF: tf-0", "[05:06:07] TF: tf-0", "[05:06:07] TF: tf-1"
    ]  # fmt: skip


def test_lines_have_colours_where_they_are_wanted() -> None:
    reader = Reader()
    shown = viewer(reader, colours=True)
    shown.show(rows(1))
    shown.close()

    assert reader.text.startswith("\x1b[35m[05:06:07]")


def test_a_slow_reader_loses_lines_and_is_told_how_many() -> None:
    reader = Reader(reads=False)
    shown = viewer(reader)
    shown.show(rows(1))
    assert reader.reached.wait(WAIT_SECONDS)
    shown.show(rows(LINES_WAITING + 7))
    lost = shown.lost
    reader.reads.set()
    shown.close()

    assert lost == 7
    assert reader.lines[1] == "(7 lines came too fast to be shown)"
    assert len(reader.lines) == 1 + 1 + LINES_WAITING


def test_a_reader_that_stands_still_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(viewers, "FAREWELL_SECONDS", 0.01)
    reader = Reader(reads=False)
    shown = viewer(reader)
    shown.show(rows(1))
    assert reader.reached.wait(WAIT_SECONDS)
    shown.show(rows(5))
    lost = shown.close()
    reader.reads.set()

    assert lost == 5


def test_a_reader_that_is_gone_is_no_trouble() -> None:
    reader = GoneReader()
    shown = viewer(reader)
    shown.show(rows(2))
    assert reader.tried.wait(WAIT_SECONDS)
    shown.close()
    shown.show(rows(3))

    assert shown.lost == 5


def test_who_shows_nothing_needs_no_thread() -> None:
    shown = viewer(Reader())
    shown.show([])

    assert shown._thread is None
    assert shown.close() == 0


@pytest.mark.parametrize(
    ("terminal", "variables", "wanted"),
    [(True, {}, True), (True, {"NO_COLOR": "1"}, False), (False, {}, False)],
    ids=["a terminal", "a terminal without colours", "no terminal"],
)
def test_only_a_terminal_gets_colours(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, variables: dict[str, str], wanted: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setattr(os, "isatty", lambda _descriptor: terminal)

    assert wants_colours() is wanted


def test_standard_output_gets_all_of_it_even_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []

    def write(_descriptor: int, content: bytes) -> int:
        written.append(content[:3])
        return len(written[-1])

    monkeypatch.setattr(os, "write", write)
    viewers.write_all(b"seven b")

    assert written == [b"sev", b"en ", b"b"]
