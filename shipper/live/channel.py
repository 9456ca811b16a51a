"""What passes one filter, remembered for all who look through it; each has a place of its own in it.

A viewer who does not read costs nothing: nobody hands it anything, it takes what came since it last did. What is
forgotten meanwhile is what it lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson

CHANNEL_LINES = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """A shipped line as viewers get it.

    Attributes:
        metric: The metric.
        text: All of it as a JSON object.
        read_ns: When it was read.
        old: Whether it was shipped before anybody looked at its metric.
    """

    metric: str
    text: str
    read_ns: int
    old: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a channel: a line, or a number of lines that never came.

    Attributes:
        line: The line; `None` for lines that got lost.
        before: How many lines came before it, lost ones included.
        count: How many lines it stands for.
    """

    line: Line | None
    before: int
    count: int = 1


@dataclass(slots=True)
class Channel:
    """The newest lines that pass a filter, numbered by their place.

    Attributes:
        metric: Whose lines; `None` for those of all.
        match: What must be in them, whatever the case; empty for anything.
        most_bytes: The most that it remembers; one line however large it is.
        first: The place of the oldest entry.
        news: Set when something came.
    """

    metric: str | None
    match: str = ""
    most_bytes: int = 32 * 1024 * 1024
    first: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _entries: deque[Entry] = field(default_factory=deque)
    _lines: int = 0
    _bytes: int = 0

    def __post_init__(self) -> None:
        self.match = self.match.casefold()

    @property
    def end(self) -> int:
        """The place of what comes next."""
        return self.first + len(self._entries)

    @property
    def lines(self) -> int:
        """How many lines came so far, lost ones included."""
        return self._lines

    def add(self, line: Line) -> None:
        """Add a line that passes."""
        self._entries.append(Entry(line, self._lines))
        self._lines += 1
        self._bytes += len(line.text)
        self._trim()

    def add_lost(self, count: int) -> None:
        """Note that lines got lost on their way here; whether they would have passed is not known."""
        self._entries.append(Entry(None, self._lines, count))
        self._lines += count
        self._trim()

    def at(self, place: int) -> Entry:
        """Return the entry at a place that is not forgotten."""
        return self._entries[place - self.first]

    def known(self) -> Iterable[Line]:
        """Return every line that is not forgotten, oldest first."""
        return (entry.line for entry in self._entries if entry.line is not None)

    def passes(self, text: str) -> bool:
        """Tell whether a line, as JSON, has in its text what must be in it."""
        return not self.match or self.match in folded_line(text)

    def _trim(self) -> None:
        while len(self._entries) > 1 and (
            len(self._entries) > CHANNEL_LINES or self._bytes > self.most_bytes
        ):
            oldest = self._entries.popleft()
            self.first += 1
            self._bytes -= 0 if oldest.line is None else len(oldest.line.text)


@dataclass(slots=True)
class Seat:
    """The place of one viewer in a channel.

    Attributes:
        channel: What it looks at.
        began_ns: Since when it looks; what was shipped before it gets only as far as it asks.
    """

    channel: Channel
    began_ns: int
    _place: int = field(init=False)
    _seen: int = field(init=False)

    def __post_init__(self) -> None:
        self._place, self._seen = self.channel.end, self.channel.lines

    @property
    def has_news(self) -> bool:
        """Whether there is something to take."""
        return self._place < self.channel.end

    def opening(self, last: int) -> Sequence[str]:
        """Return the newest lines from before it looked, at most `last`, oldest first."""
        earlier = [line for line in self.channel.known() if self._is_earlier(line)]
        if self.channel.metric is None:
            earlier.sort(key=lambda line: line.read_ns)
        return [line.text for line in earlier[-last:]] if last else []

    def take(self, most_messages: int) -> Sequence[str]:
        """Take what comes next, as messages; where something was lost, they say how much before they go on."""
        messages: list[str] = []
        lost = 0
        if self._place < self.channel.first:
            oldest = self.channel.at(self.channel.first)
            lost, self._place = oldest.before - self._seen, self.channel.first
        while self._place < self.channel.end and len(messages) < most_messages:
            entry = self.channel.at(self._place)
            self._place += 1
            self._seen = entry.before + entry.count
            if entry.line is None:
                lost += entry.count
            elif not (entry.line.old and self._is_earlier(entry.line)):
                if lost:
                    messages.append(lost_message(lost))
                    lost = 0
                messages.append(entry.line.text)
        if lost:
            messages.append(lost_message(lost))
        return messages

    def _is_earlier(self, line: Line) -> bool:
        return line.read_ns < self.began_ns


def lost_message(count: int) -> str:
    """Return what a viewer is told about lines that it did not get."""
    return f'{{"lost": {count}}}'


def folded_line(text: str) -> str:
    """Return the text of a line that is written as JSON, without regard to case."""
    line: str = orjson.loads(text)["line"]
    return line.casefold()
