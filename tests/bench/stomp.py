"""What a message costs on its way from a broker to a row, beside bare receive loops of stomp.py.

ActiveMQ runs beside us and is filled before each turn. All of them take the same messages from the same queue, with the
same prefetch. The loop that acknowledges each message for itself does what the source does, minus the rows; the one
that acknowledges nothing (`auto`) loses what it held when it dies.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any
from uuid import uuid4

import stomp

from shipper.config.secret import Secret
from shipper.sources.stomp import StompSettings
from tests.bench.figures import Figure, Goal
from tests.support.brokers import PASSWORD, USER, ActiveMq, MessageBroker

MESSAGES = 30_000
ROUNDS = 3
PREFETCH = 1000
READ_SECONDS = 5.0
SETTLE_SECONDS = 0.5

# The metadata of a Time Frame, 251 bytes.
BODY = (
    '{"file_id":"tf-%06d","run_number":12345,"tf_number":7,'
    '"file_url":"file:///data/run_12345/swf.12345.000001_tf_007.tf","file_size_bytes":15728640,'
    '"checksum":"0cc175b9c0f1b6a831c399e269772661","status":"registered","created_at":"2025-07-31T12:00:00Z"}'
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a message cost."""

    cpu_us: float
    wall_us: float


def measure() -> list[Figure]:
    """Let the source and the bare loops take turns at one broker."""
    with TemporaryDirectory(prefix="bench-") as folder:
        broker = ActiveMq(Path(folder))
        broker.start()
        try:
            return _figures(broker)
        finally:
            broker.kill()


def _figures(broker: MessageBroker) -> list[Figure]:
    contenders: dict[str, Callable[[MessageBroker, str], None]] = {
        "source": _source,
        "client-individual": _loop("client-individual"),
        "auto": _loop("auto"),
    }
    rounds = [{name: _cost(broker, run) for name, run in contenders.items()} for _ in range(ROUNDS)]
    ours = [each["source"] for each in rounds]
    return [
        Figure("the source: speed", 1e6 / median(cost.wall_us for cost in ours), "messages/s"),
        Figure("the source: CPU", median(cost.cpu_us for cost in ours), "us/message"),
        _against(rounds, "client-individual", Goal("at most", 1.3)),
        _against(rounds, "auto", None),
    ]


def _against(rounds: list[dict[str, Cost]], rival: str, goal: Goal | None) -> Figure:
    wall = median(each["source"].wall_us / each[rival].wall_us for each in rounds)
    cpu = median(each["source"].cpu_us / each[rival].cpu_us for each in rounds)
    return Figure(
        f"time against a bare loop, ack {rival}", wall, "x", goal, f"CPU time: {cpu:.2f} x"
    )


def _cost(broker: MessageBroker, run: Callable[[MessageBroker, str], None]) -> Cost:
    # A queue for each turn: what one of them left behind would come to the next.
    queue = f"/queue/{uuid4().hex}"
    broker.publish(queue, (BODY % number for number in range(MESSAGES)))
    time.sleep(SETTLE_SECONDS)
    cpu, wall = time.process_time(), time.perf_counter()
    run(broker, queue)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Cost(cpu / MESSAGES * 1e6, wall / MESSAGES * 1e6)


def _source(broker: MessageBroker, queue: str) -> None:
    settings = StompSettings(
        host="127.0.0.1",
        port=broker.port,
        destination=queue,
        user=USER,
        password=Secret("literal", PASSWORD),
        prefetch=PREFETCH,
    )
    source = settings.build("bench", None, Path())
    source.open()
    received = 0
    while received < MESSAGES:
        batch = source.read(READ_SECONDS)
        received += len(batch.rows)
        if batch.cursor is not None:
            source.acknowledge(batch.cursor)
    source.close()


def _loop(ack: str) -> Callable[[MessageBroker, str], None]:
    def receive(broker: MessageBroker, queue: str) -> None:
        connection = stomp.Connection12([("127.0.0.1", broker.port)], heartbeats=(10_000, 10_000))
        listener = _Listener(connection, acknowledges=ack == "client-individual")
        connection.set_listener("", listener)
        connection.connect(USER, PASSWORD, wait=True)
        headers = {"activemq.prefetchSize": str(PREFETCH)}
        connection.subscribe(queue, 1, ack, headers=headers)
        listener.done.wait()
        connection.disconnect()

    return receive


class _Listener(stomp.ConnectionListener):  # type: ignore[misc] # stomp.py has no types
    """Counts messages, and acknowledges each for itself where it is told to."""

    def __init__(self, connection: Any, *, acknowledges: bool) -> None:
        self.done = Event()
        self._connection = connection
        self._acknowledges = acknowledges
        self._received = 0

    def on_message(self, frame: Any) -> None:
        """Take one message."""
        if self._acknowledges:
            self._connection.ack(frame.headers["ack"])
        self._received += 1
        if self._received == MESSAGES:
            self.done.set()
