"""What many clients of channels cost: connecting, memory, and how soon all of them hear a message.

Source and server run in a process of their own, as in a worker, and all clients in another; all share the machine. What
a message costs is measured with channels and without.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import zmq
from websockets.asyncio.client import ClientConnection, connect

from shipper.sources.zeromq import ZeromqSettings
from tests.bench.figures import Figure, Goal
from tests.support.services import free_port

CLIENTS = 10_000
CHANNELS = 1000
AT_ONCE = 200
MESSAGES = 50_000
LATENCIES = 50
MIB = 1024 * 1024
READ_SECONDS = 0.5
OPEN_SECONDS = 60.0


def measure() -> list[Figure]:
    """Connect all clients, tell each channel something, and end them all."""
    return [*_many_clients(), *_cost_of_a_message()]


def _many_clients() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, _source(Path(folder), serves=True) as source:
        before_bytes = source.ask("memory")
        took_seconds, latencies, heard_seconds, end_seconds = asyncio.run(_play(source))
        after_bytes = source.ask("peak")
    each_bytes = (after_bytes - before_bytes) / CLIENTS
    return [
        Figure("clients connected", CLIENTS, "", Goal("at least", 10_000)),
        Figure("connecting", CLIENTS / took_seconds, "clients/s"),
        Figure("memory of a client", each_bytes / 1024, "KiB", Goal("at most", 100)),
        Figure(
            "one message to one of them", median(latencies) * 1000, "ms", note="0.2 s are gathered"
        ),
        Figure("slowest of those", max(latencies) * 1000, "ms"),
        Figure("a message to every one", heard_seconds, "s", note=f"{CHANNELS} channels"),
        Figure("an end to every one", end_seconds, "s"),
    ]


async def _play(source: Source) -> tuple[float, list[float], float, float]:
    began = time.monotonic()
    slots = asyncio.Semaphore(AT_ONCE)

    async def joined(number: int) -> ClientConnection:
        async with slots:
            client = await connect(
                f"ws://127.0.0.1:{source.port}",
                compression=None,
                ping_interval=None,
                open_timeout=OPEN_SECONDS,
            )
        await client.send(f"job-{number % CHANNELS}")
        return client

    clients = await asyncio.gather(*(joined(number) for number in range(CLIENTS)))
    took_seconds = time.monotonic() - began
    first = [each for number, each in enumerate(clients) if number % CHANNELS == 0]
    latencies = [await _latency(source, first) for _ in range(LATENCIES)]
    heard_seconds = await _told(source, "STARTED", clients)
    end_seconds = await _told(source, "FINISHED", clients)
    await asyncio.gather(*(each.wait_closed() for each in clients))
    return took_seconds, latencies, heard_seconds, end_seconds


async def _latency(source: Source, clients: list[ClientConnection]) -> float:
    began = time.monotonic()
    source.say("job-0", "NEWS")
    await asyncio.gather(*(each.recv() for each in clients))
    return time.monotonic() - began


async def _told(source: Source, command: str, clients: list[ClientConnection]) -> float:
    began = time.monotonic()
    for number in range(CHANNELS):
        source.say(f"job-{number}", command)
    texts = await asyncio.gather(*(each.recv() for each in clients))
    if {json.loads(text)["command"] for text in texts} != {command}:
        raise RuntimeError("a client heard something else")
    return time.monotonic() - began


def _cost_of_a_message() -> Iterator[Figure]:
    with_channels, without = (_cpu_us(serves=serves) for serves in (True, False))
    yield Figure("CPU of a message with channels", with_channels, "us/message")
    yield Figure("CPU of a message without", without, "us/message")


def _cpu_us(*, serves: bool) -> float:
    with tempfile.TemporaryDirectory() as folder, _source(Path(folder), serves=serves) as source:
        source.say("job", "STARTED")
        source.wait_for(1)
        before_seconds = source.ask("cpu")
        for number in range(MESSAGES):
            source.say(f"job-{number % CHANNELS}", "TASK", f"test-{number}", "COMPLETED")
        source.wait_for(1 + MESSAGES)
        return float((source.ask("cpu") - before_seconds) / MESSAGES * 1e6)


class Source:
    """A source in a process of its own, and a DEALER that sends to it."""

    def __init__(self, port: int, pipe: Connection, socket: zmq.Socket[bytes]) -> None:
        self.port = port
        self._pipe = pipe
        self._socket = socket

    def say(self, *frames: str) -> None:
        """Send one message."""
        self._socket.send_multipart([each.encode() for each in frames])

    def ask(self, question: str) -> Any:
        """Return a number."""
        self._pipe.send(question)
        return self._pipe.recv()

    def wait_for(self, messages: int) -> None:
        """Wait until so many messages were read."""
        while self.ask("messages") < messages:
            time.sleep(0.01)


@contextmanager
def _source(folder: Path, *, serves: bool) -> Iterator[Source]:
    context = get_context("spawn")
    port, zeromq_port = free_port(), free_port()
    written: dict[str, Any] = {"bind": f"tcp://127.0.0.1:{zeromq_port}"}
    if serves:
        written["websocket"] = {"port": port}
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(written, folder, theirs), daemon=True)
    process.start()
    with zmq.Context() as sockets, sockets.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.sndhwm = 10 * MESSAGES
        socket.connect(f"tcp://127.0.0.1:{zeromq_port}")
        source = Source(port, ours, socket)
        source.ask("messages")
        yield source
        ours.send("stop")
    process.join()


def _serve(written: dict[str, Any], folder: Path, pipe: Connection) -> None:
    source = ZeromqSettings.model_validate(written).build("bench", None, folder)
    source.open()
    ours = psutil.Process()
    messages, peak_bytes = 0, 0
    while True:
        messages += len(source.read(READ_SECONDS if not pipe.poll() else 0.001).rows)
        peak_bytes = max(peak_bytes, ours.memory_info().rss)
        while pipe.poll():
            match pipe.recv():
                case "stop":
                    source.close()
                    return
                case "messages":
                    pipe.send(messages)
                case "memory":
                    pipe.send(ours.memory_info().rss)
                case "peak":
                    pipe.send(peak_bytes)
                case "cpu":
                    pipe.send(time.process_time())
