"""Viewers who are too slow: they lose lines and are told how many, and nobody else notices."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import orjson
import pytest
import zmq
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import SqreamEmulator
from tests.support.services import free_port
from tests.support.shipper_process import ShipperProcess, far_ends, until, write_config

PATIENCE_SECONDS = 30.0
BATCH_LINES = 1000
BATCH_SECONDS = 0.03
LONG = "x" * 300
LAST_WORD = "that is all"


@dataclass
class Publisher:
    """Sends numbered messages as fast as a busy source."""

    socket: zmq.Socket[bytes]
    number: int = 0

    def publish(self, count: int) -> None:
        for _ in range(count):
            self.socket.send(orjson.dumps({"n": self.number, "text": LONG}))
            self.number += 1

    def flood(self, batches: int) -> None:
        for _ in range(batches):
            self.publish(BATCH_LINES)
            time.sleep(BATCH_SECONDS)

    def say(self, word: str) -> None:
        self.socket.send(orjson.dumps({"n": self.number, "text": word}))
        self.number += 1


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ShipperProcess, Publisher]]:
    folder: Path = tmp_path_factory.mktemp("lost")
    address = f"tcp://127.0.0.1:{free_port()}"
    entry: dict[str, Any] = {"type": "zeromq", "bind": address, "format": "json"}
    config = write_config(folder, {"busy": {**entry, "every_seconds": 0.2}})
    with (
        SqreamEmulator() as emulator,
        LogStore() as store,
        ShipperProcess(["run", *far_ends(emulator, store.url, config)], folder) as running,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as sending,
    ):
        sending.connect(address)
        running.until_ready()
        publisher = Publisher(sending)
        publisher.publish(1)
        until(lambda: running.value("shipper_rows_total", metric="busy") == 1)
        yield running, publisher
        sending.close(0)


def watching(shipper: ShipperProcess, query: str = "") -> Connection:
    return connect(shipper.address.replace("http", "ws") + f"/live?{query}", max_queue=4)


def read_to_the_last_word(viewer: Connection, word: str) -> tuple[int, int, list[int]]:
    """Return how many lines were seen, how many lost, and the numbers of those seen."""
    lost, numbers = 0, []
    while True:
        message = json.loads(viewer.recv(timeout=PATIENCE_SECONDS))
        if "lost" in message:
            lost += message["lost"]
            continue
        row = json.loads(message["line"])
        numbers.append(row["n"])
        if row["text"] == word:
            return len(numbers), lost, numbers


def test_who_reads_gets_every_line_of_a_large_batch(rig: tuple[ShipperProcess, Publisher]) -> None:
    shipper, publisher = rig
    with watching(shipper, "metric=busy") as viewer:
        time.sleep(1)
        first = publisher.number
        publisher.publish(5000)
        publisher.say(LAST_WORD)
        seen, lost, numbers = read_to_the_last_word(viewer, LAST_WORD)

    assert (seen, lost) == (5001, 0)
    assert numbers == list(range(first, first + 5001))


def test_who_stops_reading_is_told_exactly_how_many_lines_were_lost(
    rig: tuple[ShipperProcess, Publisher],
) -> None:
    shipper, publisher = rig
    with watching(shipper, "metric=busy") as slow:
        time.sleep(1)
        first = publisher.number
        publisher.flood(60)
        publisher.say(LAST_WORD)
        sent = publisher.number - first
        until(lambda: shipper.state()["busy"]["lines_delivered"] == publisher.number)
        time.sleep(3)
        seen, lost, numbers = read_to_the_last_word(slow, LAST_WORD)

    assert lost > 0
    assert seen + lost == sent
    assert numbers == sorted(set(numbers))


def test_a_viewer_who_stalls_keeps_neither_others_nor_the_shipping_waiting(
    rig: tuple[ShipperProcess, Publisher],
) -> None:
    shipper, publisher = rig
    done = Event()
    with watching(shipper), watching(shipper, "metric=busy&match=THAT") as quick:
        time.sleep(1)

        def flood() -> None:
            publisher.flood(30)
            publisher.say(LAST_WORD)
            done.set()

        Thread(target=flood).start()
        ready = shipper.get("/ready").status
        _, _, numbers = read_to_the_last_word(quick, LAST_WORD)
        done.wait(PATIENCE_SECONDS)

    assert ready == 200
    assert numbers == [publisher.number - 1]
    until(lambda: shipper.state()["busy"]["lines_delivered"] == publisher.number)
