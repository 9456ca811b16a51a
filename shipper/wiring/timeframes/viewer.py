"""Shows Time Frames on the terminal as they come, and never waits for it.

A thread writes; `show` only hands over. While the reader of the output is slow, lines are let go and counted; once it
is gone, nothing is written any more. The far end of the output is shared with other processes, so it cannot be told
not to block.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Condition, Thread

from shipper.core.record import Row
from shipper.core.words import counted
from shipper.wiring.timeframes.line import coloured, line_of

LINES_WAITING = 1000
"""More than anybody reads in the second or two that a terminal may be stopped by a selection or a slow network."""

LINES_AT_ONCE = 50
FAREWELL_SECONDS = 1.0
"""How long the last lines may take at the end."""

STDOUT = 1


def write_all(content: bytes) -> None:
    """Write to standard output, all of it.

    Raises:
        OSError: Its reader has gone.
    """
    while content:
        content = content[os.write(STDOUT, content) :]


def wants_colours() -> bool:
    """Tell whether standard output is a terminal whose owner did not ask for no colours (no-color.org)."""
    return os.isatty(STDOUT) and not os.environ.get("NO_COLOR")


def local_now() -> datetime:
    """Return the time of day as the clock on the wall has it."""
    return datetime.now().astimezone()


@dataclass(slots=True)
class TimeFrameViewer:
    """Writes one line for every Time Frame. Its thread begins with the first of them, so it may be made anywhere.

    Attributes:
        write: Takes what is to be read; may block, and may raise `OSError`.
        colours: Whether lines have the colour of their state.
        now: The time of day.
        lost: How many lines were not shown.
    """

    write: Callable[[bytes], None] = write_all
    colours: bool = field(default_factory=wants_colours)
    now: Callable[[], datetime] = local_now
    lost: int = 0
    _waiting: deque[str] = field(default_factory=deque)
    _news: Condition = field(default_factory=Condition)
    _thread: Thread | None = None
    _untold: int = 0
    _ending: bool = False
    _gone: bool = False

    def show(self, rows: Sequence[Row]) -> None:
        """Show one line for every row, soon; never waits, and never fails."""
        if not rows:
            return
        with self._news:
            room = 0 if self._gone else LINES_WAITING - len(self._waiting)
            self._waiting.extend(self._line(row) for row in rows[:room])
            self._let_go(len(rows) - min(room, len(rows)))
            self._news.notify()
        if self._thread is None:
            self._thread = Thread(target=self._write_on, name="viewer", daemon=True)
            self._thread.start()

    def close(self) -> int:
        """Give the last lines a moment, and return how many were not shown in all."""
        with self._news:
            self._ending = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join(FAREWELL_SECONDS)
        with self._news:
            self._let_go(len(self._waiting))
            self._waiting.clear()
            return self.lost

    def _line(self, row: Row) -> str:
        line = line_of(row, self.now())
        return coloured(line, row.get("status")) if self.colours else line

    def _let_go(self, lines: int) -> None:
        self.lost += lines
        self._untold += lines

    def _write_on(self) -> None:
        """Write what waits until the end, or until nobody reads any more."""
        while lines := self._next():
            try:
                self.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
            except OSError:
                self._give_up(len(lines))
                return

    def _next(self) -> list[str]:
        """Wait for lines, and return some; none at the end."""
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._ending)
            count = min(LINES_AT_ONCE, len(self._waiting))
            lines = [self._waiting.popleft() for _ in range(count)]
            if self._untold and lines:
                lines.insert(0, f"({counted(self._untold, 'line')} came too fast to be shown)")
                self._untold = 0
            return lines

    def _give_up(self, unwritten: int) -> None:
        with self._news:
            self._gone = True
            self._let_go(unwritten + len(self._waiting))
            self._waiting.clear()
