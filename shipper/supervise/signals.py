"""Signals become words in a list; whoever runs the loop reads them when it has time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def signal_words(*, hangup: str = "reload") -> Iterator[list[str]]:
    """Add `stop` for SIGINT and SIGTERM and `hangup` for SIGHUP to a list while the block runs.

    A handler does nothing else: it may interrupt any line of the program.
    """
    words: list[str] = []
    meanings = {signal.SIGINT: "stop", signal.SIGTERM: "stop", signal.SIGHUP: hangup}

    def remember(number: int, _frame: FrameType | None) -> None:
        words.append(meanings[signal.Signals(number)])

    before = {number: signal.signal(number, remember) for number in meanings}
    try:
        yield words
    finally:
        for number, reaction in before.items():
            signal.signal(number, reaction)
