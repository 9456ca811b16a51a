"""Carries shipped lines from a worker to the web process, while somebody there looks at them.

The worker publishes on a local ZeroMQ socket that tells it who listens. While nobody does, nothing is encoded and
nothing sent: only the newest lines are remembered, so that whoever begins to look sees something at once. What is sent
is bounded and lossy, and numbered: what got lost on the way is known at the other end, and a worker never waits for it.

A message has three frames: the metric's name and a zero byte, a JSON object (`Head`), and lines as JSON objects with
newlines between them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from threading import Event, Lock, Thread
from typing import TypedDict

import orjson
import zmq

from shipper.core.record import Stream
from shipper.live.newest import Newest, Part

LINES_A_SECOND = 5_000
"""More than anybody reads, and about 2 % of a core."""

MESSAGES_WAITING = 4
LINGER_MS = 200
SUBSCRIBED = 1


class Head(TypedDict):
    """What a message says of its lines.

    Attributes:
        pid: The process; a new one starts its numbers at 0.
        first: The number of the first line; a process numbers all that it ships.
        old: Whether they were shipped before anybody looked.
        runs: How many after each other came with the same read, and when that was, in ns since the Unix epoch.
    """

    pid: int
    first: int
    old: bool
    runs: list[tuple[int, int]]


class LineSender:
    """The worker's end. `show` may be called from any thread; the socket belongs to a thread of its own."""

    def __init__(self, metric: str, feed: str, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Connect to the web process, which may come later, and begin to listen for whoever looks.

        Args:
            metric: Whose lines these are.
            feed: Address of the feed of reports.
            context: Whose threads carry the messages.
        """
        self._metric = metric
        self._topic = topic_of(metric)
        self._lock = Lock()
        self._newest = Newest()
        self._asked: set[bytes] = set()
        self._ended = Event()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._socket = context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.SNDHWM, MESSAGES_WAITING)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.connect(lines_address(feed))
        self._thread = Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def show(self, stream: Stream, runs: Sequence[tuple[int, int]]) -> None:
        """Take what was shipped; `runs` says how many lines after each other were read at which moment."""
        with self._lock:
            self._newest.add(stream, runs)
            watched = self._newest.watched
        if watched:
            os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Send what waits as far as that takes no time, and let go."""
        self._ended.set()
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._socket.close()
        os.close(self._wake)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._wake in ready:
                os.eventfd_read(self._wake)
            self._listen()
            while self._send_some():
                self._listen()
            if self._ended.is_set():
                return

    def _listen(self) -> None:
        """Take note of who looks now."""
        while self._socket.poll(0):
            said = self._socket.recv()
            topic = said[1:]
            if not self._topic.startswith(topic):
                continue
            began = said[0] == SUBSCRIBED
            self._asked.add(topic) if began else self._asked.discard(topic)
            with self._lock:
                self._newest.watch(watched=bool(self._asked), afresh=began)

    def _send_some(self) -> bool:
        """Send a message, and wait a little where they follow each other fast; False when there is nothing to send."""
        with self._lock:
            parts = self._newest.next_message()
        if not parts:
            return False
        lines = [line for part in parts for line in written(self._metric, part)]
        head: Head = {
            "pid": os.getpid(),
            "first": parts[0].first,
            "old": parts[0].old,
            "runs": [(len(part.stream), part.read_ns) for part in parts],
        }
        self._socket.send_multipart([self._topic, orjson.dumps(head), b"\n".join(lines)])
        self._ended.wait(len(lines) / LINES_A_SECOND)
        return True


def topic_of(metric: str) -> bytes:
    """Return what the messages of a metric begin with; the zero byte keeps `locks` apart from `locks_2`."""
    return metric.encode() + b"\0"


def lines_address(feed: str) -> str:
    """Return where lines go, beside the socket of the reports."""
    return feed.removesuffix("feed.sock") + "lines.sock"


def written(metric: str, part: Part) -> Iterator[bytes]:
    """Yield every line as a JSON object, whatever it holds, the text of the line last."""
    stream = part.stream
    labels, poll_ns = orjson.Fragment(_json(stream.labels)), str(part.read_ns)
    for at, (time_ns, line) in enumerate(zip(stream.times_ns, stream.lines, strict=True)):
        metadata = {} if stream.metadata is None else stream.metadata[at]
        yield orjson.dumps(
            {
                "metric": metric,
                "time_ns": str(time_ns),
                "poll_ns": poll_ns,
                "labels": labels,
                "metadata": orjson.Fragment(_json(metadata)) if metadata else {},
                "line": line.decode("utf-8", "replace"),
            }
        )


def _json(texts: Mapping[str, str]) -> bytes:
    """Return JSON of texts, with a question mark for every lone surrogate, which is no character."""
    try:
        return orjson.dumps(texts)
    except TypeError:
        pairs = ((_whole(name), _whole(value)) for name, value in texts.items())
        return orjson.dumps(dict(pairs))


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
