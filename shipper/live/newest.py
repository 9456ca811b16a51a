"""The newest lines of a worker, remembered for whoever begins to look, and waiting for whoever does."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shipper.core.record import Stream

KEPT_LINES = 200
KEPT_BYTES = 64 * 1024
"""How much is remembered for whoever looks next; up to twice as many lines, and one line however large it is."""

WAITING_LINES = 10_000
WAITING_BYTES = 4 * 1024 * 1024
"""How much may wait to be sent while somebody looks: a large poll."""

MESSAGE_LINES = 500
MESSAGE_BYTES = 64 * 1024
RECORD_OVERHEAD_BYTES = 100
"""About what time, names and braces of a line take."""


@dataclass(frozen=True, slots=True)
class Part:
    """Lines with the same labels that came with one read.

    Attributes:
        stream: The lines.
        read_ns: When they were read.
        first: The number of the first of them.
        weight_bytes: About what they take.
        old: Whether they were shipped before anybody looked.
    """

    stream: Stream
    read_ns: int
    first: int
    weight_bytes: int
    old: bool = False


@dataclass(slots=True)
class Newest:
    """The newest lines of a worker: those to begin with when somebody looks, and those that wait meanwhile."""

    number: int = 0
    watched: bool = False
    _kept: Pile = field(default_factory=lambda: Pile(KEPT_LINES, KEPT_BYTES))
    _waiting: Pile = field(default_factory=lambda: Pile(WAITING_LINES, WAITING_BYTES))

    def add(self, stream: Stream, runs: Sequence[tuple[int, int]]) -> None:
        """Remember what was shipped; of many lines only the newest."""
        for part in _newest_parts(stream, runs, self.number, KEPT_LINES, KEPT_BYTES):
            self._kept.add(part)
        if self.watched:
            for part in _newest_parts(stream, runs, self.number, WAITING_LINES, WAITING_BYTES):
                self._waiting.add(part)
        self.number += len(stream)

    def watch(self, *, watched: bool, afresh: bool) -> None:
        """Let lines wait to be sent from now on, or no longer; `afresh` begins with those that are remembered."""
        waiting = list(self._waiting.parts) if watched else []
        self._waiting.clear()
        if watched and afresh:
            first = waiting[0].first if waiting else self.number
            for part in self._kept.parts:
                if part.first < first:
                    older = _part_of(part, 0, min(len(part.stream), first - part.first))
                    self._waiting.add(replace(older, old=True))
        for part in waiting:
            self._waiting.add(part)
        self.watched = watched

    def next_message(self) -> Sequence[Part]:
        """Take what is sent next: no more than a message holds, and either old or new."""
        taken: list[Part] = []
        lines, size_bytes = MESSAGE_LINES, MESSAGE_BYTES
        while lines > 0 and size_bytes > 0 and (part := self._waiting.first) is not None:
            if taken and (part.old != taken[0].old or part.first != _end(taken[-1])):
                break
            some = _beginning(part, lines, size_bytes)
            self._waiting.take(some)
            taken.append(some)
            lines -= len(some.stream)
            size_bytes -= some.weight_bytes
        return taken


@dataclass(slots=True)
class Pile:
    """Parts, oldest first, of which the oldest make room for new ones; the newest stays, whatever it weighs."""

    most_lines: int
    most_bytes: int
    parts: deque[Part] = field(default_factory=deque)
    _lines: int = 0
    _bytes: int = 0

    @property
    def first(self) -> Part | None:
        """The oldest."""
        return self.parts[0] if self.parts else None

    def add(self, part: Part) -> None:
        """Add the newest; those go that are not among the newest `most_lines` at all, or beyond `most_bytes`."""
        self.parts.append(part)
        self._lines += len(part.stream)
        self._bytes += part.weight_bytes
        while len(self.parts) > 1 and (
            self._lines - len(self.parts[0].stream) >= self.most_lines
            or self._bytes > self.most_bytes
        ):
            self._pop()

    def take(self, beginning: Part) -> None:
        """Take away the beginning of the oldest."""
        oldest = self._pop()
        left = len(oldest.stream) - len(beginning.stream)
        if left:
            rest = _part_of(oldest, len(beginning.stream), len(oldest.stream))
            self.parts.appendleft(rest)
            self._lines += left
            self._bytes += rest.weight_bytes

    def clear(self) -> None:
        """Forget everything."""
        self.parts.clear()
        self._lines = self._bytes = 0

    def _pop(self) -> Part:
        oldest = self.parts.popleft()
        self._lines -= len(oldest.stream)
        self._bytes -= oldest.weight_bytes
        return oldest


def _newest_parts(
    stream: Stream, runs: Sequence[tuple[int, int]], number: int, most_lines: int, most_bytes: int
) -> Sequence[Part]:
    """Return the newest lines of what was shipped, oldest first; at least the last of them."""
    count, parts, end = len(stream), [], len(stream)
    first = max(0, count - most_lines)
    for run, read_ns in reversed(runs):
        begin = max(first, end - run)
        some = stream if end - begin == count else stream.part(begin, end)
        part = Part(some, read_ns, number + begin, weigh(some))
        if part.weight_bytes > most_bytes:
            parts.append(_ending(part, most_bytes))
            break
        parts.append(part)
        most_bytes -= part.weight_bytes
        end -= run
        if end <= first:
            break
    return parts[::-1]


def _beginning(part: Part, lines: int, size_bytes: int) -> Part:
    """Return the first lines of a part, as many as are allowed, and at least one."""
    if len(part.stream) <= lines and part.weight_bytes <= size_bytes:
        return part
    most = min(lines, len(part.stream))
    return _part_of(part, 0, _fitting(part.stream, range(most), size_bytes))


def _ending(part: Part, size_bytes: int) -> Part:
    """Return the last lines of a part, as many as weigh no more, and at least one."""
    count = len(part.stream)
    fitting = _fitting(part.stream, range(count - 1, -1, -1), size_bytes)
    return _part_of(part, count - fitting, count)


def _fitting(stream: Stream, places: Iterable[int], size_bytes: int) -> int:
    """Return how many of the lines at these places fit, and at least 1."""
    fitting, metadata = 0, stream.metadata
    for place in places:
        size_bytes -= len(stream.lines[place]) + RECORD_OVERHEAD_BYTES
        if metadata is not None:
            size_bytes -= _weigh_pairs(metadata[place])
        if size_bytes < 0:
            break
        fitting += 1
    return max(1, fitting)


def _part_of(part: Part, begin: int, end: int) -> Part:
    some = part.stream.part(begin, end)
    return Part(some, part.read_ns, part.first + begin, weigh(some), part.old)


def _end(part: Part) -> int:
    return part.first + len(part.stream)


def weigh(stream: Stream) -> int:
    """Return about how many bytes the lines of a stream take as they are sent."""
    weight_bytes = sum(map(len, stream.lines)) + RECORD_OVERHEAD_BYTES * len(stream)
    if stream.metadata is None:
        return weight_bytes
    return weight_bytes + sum(map(_weigh_pairs, stream.metadata))


def _weigh_pairs(pairs: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) for name, value in pairs.items())
