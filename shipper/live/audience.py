"""Who looks at which lines: listens to the workers whose lines somebody wants to see, and to no others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import orjson
import zmq
import zmq.asyncio

from shipper.core.clock import Clock
from shipper.live.channel import Channel, Line, Seat, folded_line
from shipper.live.lines import Head, topic_of

MOST_VIEWERS = 128
STAY_SECONDS = 10.0
"""How long it goes on listening after the last viewer left, who may only have asked for the page anew."""

ALL_CHANNELS_BYTES = 32 * 1024 * 1024
LEAST_CHANNEL_BYTES = 512 * 1024
"""What all channels remember is bounded, and so is what one remembers, even when there are many."""

MESSAGES_WAITING = 4
"""How many messages of each worker may wait for us, each up to 64 KiB or one line."""

EVERYTHING = b""


class Full(Exception):
    """As many look already as may."""


@dataclass(slots=True)
class _Kept:
    """A channel, how many look through it, and when it is forgotten."""

    channel: Channel
    viewers: int = 0
    ending: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Numbers:
    """How far the lines of a worker came."""

    pid: int
    next: int


@dataclass(slots=True)
class Audience:
    """The channels that somebody looks through, and what they need to be told.

    Attributes:
        clock: Tells what was shipped before somebody looked.
        listen: Called with a topic and whether messages that begin with it are wanted.
        most_viewers: How many may look at once.
        viewers: How many do.
    """

    clock: Clock
    listen: Callable[[bytes, bool], None] = lambda _topic, _wanted: None
    most_viewers: int = MOST_VIEWERS
    viewers: int = 0
    _kept: dict[tuple[str | None, str], _Kept] = field(default_factory=dict)
    _numbers: dict[str, _Numbers] = field(default_factory=dict)

    @contextmanager
    def seat(self, metric: str | None, match: str = "") -> Iterator[Seat]:
        """Give a place from which the lines of a metric, or of all, can be seen.

        Raises:
            Full: There is none left.
        """
        if self.viewers >= self.most_viewers:
            raise Full
        # What passes every filter is remembered as well, for those who come with another.
        keys = list(dict.fromkeys([(metric, ""), (metric, match.casefold())]))
        self.viewers += 1
        kept = [self._keep(*key) for key in keys]
        try:
            yield Seat(kept[-1].channel, self.clock.now_ns())
        finally:
            self.viewers -= 1
            for key in reversed(keys):
                self._let_go(key)

    def take(self, frames: Sequence[bytes]) -> None:
        """Hand the lines of a message to every channel that they pass."""
        topic, written_head, body = frames
        metric = topic[:-1].decode()
        channels = [kept.channel for kept in self._kept.values() if _shows(kept.channel, metric)]
        if not channels:
            return
        head: Head = orjson.loads(written_head)
        lines = _lines(metric, head, body)
        again, lost = self._missed(metric, head, len(lines))
        for channel in channels:
            if lost:
                channel.add_lost(lost)
        _hand_out(lines[again:], channels)

    def forget(self, metrics: Callable[[str], bool]) -> None:
        """Forget how far the lines of metrics came that are not there any more."""
        self._numbers = {name: each for name, each in self._numbers.items() if metrics(name)}

    def _missed(self, metric: str, head: Head, count: int) -> tuple[int, int]:
        """Return how many lines of a message came before, and how many before it never came."""
        known = self._numbers.get(metric)
        end = head["first"] + count
        if known is None or known.pid != head["pid"]:
            self._numbers[metric] = _Numbers(head["pid"], end)
            return 0, 0
        gap = head["first"] - known.next
        known.next = max(known.next, end)
        return (min(count, -gap), 0) if gap < 0 else (0, gap)

    def _keep(self, metric: str | None, match: str) -> _Kept:
        kept = self._kept.get((metric, match))
        if kept is None:
            kept = self._kept[metric, match] = _Kept(Channel(metric, match))
            self._seed(kept.channel)
            self._share_room()
            if not match:
                self.listen(_topic(metric), True)
        if kept.ending is not None:
            kept.ending.cancel()
            kept.ending = None
        kept.viewers += 1
        return kept

    def _let_go(self, key: tuple[str | None, str]) -> None:
        kept = self._kept[key]
        kept.viewers -= 1
        if not kept.viewers:
            loop = asyncio.get_running_loop()
            kept.ending = loop.call_later(STAY_SECONDS, self._end, key)

    def _end(self, key: tuple[str | None, str]) -> None:
        del self._kept[key]
        metric, match = key
        if not match:
            self.listen(_topic(metric), False)
        shown = [kept.channel for kept in self._kept.values()]
        self.forget(lambda name: any(_shows(channel, name) for channel in shown))
        self._share_room()

    def _seed(self, channel: Channel) -> None:
        """Begin with what others have seen already."""
        seen = {
            id(line): line
            for kept in self._kept.values()
            if kept.channel is not channel and not kept.channel.match
            for line in kept.channel.known()
            if channel.metric in (None, line.metric) and channel.passes(line.text)
        }
        for line in sorted(seen.values(), key=lambda line: line.read_ns):
            channel.add(line)

    def _share_room(self) -> None:
        room = max(LEAST_CHANNEL_BYTES, ALL_CHANNELS_BYTES // max(1, len(self._kept)))
        for kept in self._kept.values():
            kept.channel.most_bytes = room


async def take_lines(address: str, audience: Audience) -> None:
    """Listen to the workers at an address, as far as the audience wants it; never returns."""
    with zmq.asyncio.Context() as context, context.socket(zmq.SUB) as receiver:
        receiver.setsockopt(zmq.RCVHWM, MESSAGES_WAITING)
        receiver.bind(address)

        def listen(topic: bytes, wanted: bool) -> None:
            receiver.setsockopt(zmq.SUBSCRIBE if wanted else zmq.UNSUBSCRIBE, topic)

        audience.listen = listen
        while True:
            audience.take(await receiver.recv_multipart())
            # Where a message is there already, nobody else would get a turn.
            await asyncio.sleep(0)


def _topic(metric: str | None) -> bytes:
    return EVERYTHING if metric is None else topic_of(metric)


def _shows(channel: Channel, metric: str) -> bool:
    return channel.metric is None or channel.metric == metric


def _lines(metric: str, head: Head, body: bytes) -> list[Line]:
    moments = (read_ns for count, read_ns in head["runs"] for _ in range(count))
    texts = body.decode().split("\n")
    return [Line(metric, text, at, head["old"]) for text, at in zip(texts, moments, strict=True)]


def _hand_out(lines: Sequence[Line], channels: Sequence[Channel]) -> None:
    filtered = [channel for channel in channels if channel.match]
    for line in lines:
        folded = folded_line(line.text) if filtered else ""
        for channel in channels:
            if not channel.match or channel.match in folded:
                channel.add(line)
    for channel in channels:
        channel.news.set()
