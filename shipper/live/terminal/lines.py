"""Live lines: what is heard of the lines of one metric, and how each is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

MOST_LINES = 500
MOST_LINE_CHARACTERS = 4000
NS_PER_SECOND = 1_000_000_000
MILLISECONDS = slice(0, len("12:00:00.000"))


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was shipped.

    Attributes:
        time: Its time of day in UTC; empty when it says none.
        text: What stands in it, not yet fit for a terminal.
    """

    time: str
    text: str


@dataclass(frozen=True, slots=True)
class Lines:
    """What is heard of live lines.

    Attributes:
        newest: The newest lines, the very newest last.
        lost: How many did not reach us because we were slow.
        trouble: Why none come; empty while they may.
    """

    newest: tuple[Line, ...] = ()
    lost: int = 0
    trouble: str = ""

    def after(self, message: Mapping[str, Any]) -> Lines:
        """Return what is heard after one more message."""
        lost, text = message.get("lost"), message.get("line")
        if isinstance(lost, int):
            return replace(self, lost=self.lost + max(0, lost))
        if not isinstance(text, str):
            return self
        line = Line(_time_of_day(message.get("time_ns")), text[:MOST_LINE_CHARACTERS])
        return replace(self, newest=(*self.newest, line)[-MOST_LINES:])


def _time_of_day(time_ns: object) -> str:
    try:
        moment = datetime.fromtimestamp(int(str(time_ns)) / NS_PER_SECOND, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.strftime("%H:%M:%S.%f")[MILLISECONDS]
