"""What a record costs on its whole way: the real program, from each kind of far end to a Loki that takes everything.

Everything is there before the program starts, or comes as fast as it takes it; the store is SQLite on the same disk,
with the rules of `tf_metadata`, so that every record is a Time Frame. CPU is that of the worker alone, from its first
record to its last, all threads.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import psycopg
import zmq

from tests.bench.far_ends import null_sink
from tests.bench.figures import Figure
from tests.bench.shipper_run import ShipperRun, configured, cpu_seconds
from tests.support.brokers import PASSWORD, USER, ActiveMq
from tests.support.databases import running_server
from tests.support.services import free_port

RECORDS = 100_000
BROKER_RECORDS = 50_000
METRIC = "records"
PREFETCH = 5000


@dataclass(frozen=True, slots=True)
class Way:
    """A far end that is ready to give records.

    Attributes:
        entry: The entry that reads it.
        records: How many it gives.
        give: Called once the program listens; what has to be sent by then is sent.
    """

    entry: Mapping[str, Any]
    records: int
    give: Callable[[], None] = lambda: None


def measure() -> list[Figure]:
    """Run the program once for each kind of far end, with the store off and on."""
    return [
        figure
        for name, way in _WAYS.items()
        for store in (False, True)
        for figure in _figures(f"{name}, store {'on' if store else 'off'}", way, store=store)
    ]


def _figures(name: str, make: Callable[[Path], Any], *, store: bool) -> list[Figure]:
    with (
        TemporaryDirectory(prefix="bench-") as folder,
        null_sink() as loki,
        make(Path(folder)) as way,
    ):
        entry = {**way.entry, "every_seconds": 0.5, **({"store": "tf_metadata"} if store else {})}
        document = {"loki": {"url": f"http://127.0.0.1:{loki.port}"}, "metrics": {METRIC: entry}}
        with configured(document) as run:
            speed, cpu_us = _measured(run, way, sinks=2 if store else 1)
    return [
        Figure(f"{name}: speed", speed, "records/s"),
        Figure(f"{name}: CPU", cpu_us, "us/record"),
    ]


def _measured(run: ShipperRun, way: Way, *, sinks: int) -> tuple[float, float]:
    """Return how many records arrived a second, and what CPU each of them took."""
    run.wait_for(lambda: bool(run.workers()))
    (worker,) = run.workers()
    began, cpu = time.perf_counter(), cpu_seconds([worker])
    way.give()

    def all_there() -> bool:
        delivered = run.total("shipper_lines_delivered_total", metric=METRIC)
        return delivered >= way.records * sinks

    run.wait_for(all_there)
    took = time.perf_counter() - began
    return way.records / took, (cpu_seconds([worker]) - cpu) / way.records * 1e6


def _time_frame(number: int) -> dict[str, object]:
    return {
        "file_id": f"tf-{number:06d}",
        "run_number": number // 10_000,
        "tf_number": number,
        "file_url": f"file:///data/swf.{number:06d}.tf",
        "file_size_bytes": 15_728_640,
        "checksum": "0cc175b9c0f1b6a831c399e269772661",
        "status": "registered",
        "created_at": "2026-07-31T12:00:00Z",
    }


@contextmanager
def _stomp(folder: Path) -> Iterator[Way]:
    broker = ActiveMq(folder)
    secret = folder / "password"
    secret.write_text(PASSWORD)
    broker.start()
    try:
        queue = "/queue/bench"
        entry = {
            "type": "stomp",
            "host": "127.0.0.1",
            "port": broker.port,
            "destination": queue,
            "user": USER,
            "password": {"file": str(secret)},
            "prefetch": PREFETCH,
        }

        def publish() -> None:
            broker.publish(queue, (json.dumps(_time_frame(n)) for n in range(BROKER_RECORDS)))

        yield Way(entry, BROKER_RECORDS, publish)
    finally:
        broker.kill()


@contextmanager
def _zeromq(folder: Path) -> Iterator[Way]:
    del folder
    address = f"tcp://127.0.0.1:{free_port()}"
    sent: list[Thread] = []

    def send() -> None:
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.connect(address)
            for number in range(RECORDS):
                socket.send(json.dumps(_time_frame(number)).encode())

    def send_beside() -> None:
        sent.append(Thread(target=send))
        sent[0].start()

    yield Way({"type": "zeromq", "bind": address, "format": "json"}, RECORDS, send_beside)
    for thread in sent:
        thread.join()


@contextmanager
def _sqlite(folder: Path) -> Iterator[Way]:
    path = folder / "bench.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(_TABLE)
        connection.executemany(
            "INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(_values, range(RECORDS))
        )
        connection.commit()
    yield Way(_sql_entry(f"sqlite:///{path}"), RECORDS)


@contextmanager
def _postgres(folder: Path) -> Iterator[Way]:
    server = running_server("postgresql")
    try:
        url = server.url(server.empty_database())
        with psycopg.connect(url) as connection:
            connection.execute(_TABLE)
            with connection.cursor().copy("COPY frames FROM STDIN") as copy:
                for number in range(RECORDS):
                    copy.write_row(_values(number))
        secret = folder / "url"
        secret.write_text(url)
        yield Way(_sql_entry({"file": str(secret)}), RECORDS)
    finally:
        server.remove()


_TABLE = (
    "CREATE TABLE frames (file_id TEXT, run_number INTEGER, tf_number INTEGER PRIMARY KEY, "
    "file_url TEXT, file_size_bytes BIGINT, checksum TEXT, status TEXT, created_at TEXT)"
)


def _values(number: int) -> tuple[object, ...]:
    return tuple(_time_frame(number).values())


def _sql_entry(url: object) -> dict[str, Any]:
    return {"type": "sql", "url": url, "table": "frames", "cursor": ["tf_number"]}


_WAYS = {
    "STOMP from ActiveMQ": _stomp,
    "ZeroMQ": _zeromq,
    "SQL from SQLite": _sqlite,
    "SQL from PostgreSQL": _postgres,
}
