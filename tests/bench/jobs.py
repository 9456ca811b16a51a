"""What an event of a batch job costs, from the wire to a committed row, and what becomes of ten thousand at once.

The interface runs in a process of its own with its tables in a SQLite file; who posts shares the machine with it.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.figures import Figure, Goal
from tests.support.jobs import Client, source_at
from tests.support.services import free_port

JOBS = 10_000
CONNECTIONS = 64
ALONE = 500
READ_SECONDS = 0.1

BODY = b'{"eventClass":"PROGRESS","progress":40,"payload":"step 12 of 30"}'


@dataclass(frozen=True, slots=True)
class Served:
    """What a process that serves has to tell at its end.

    Attributes:
        shipped: How many events its source gave.
        cpu_seconds: What all of it took.
    """

    shipped: int
    cpu_seconds: float


def measure() -> list[Figure]:
    """Post from many jobs over many connections, and from one over one."""
    many_seconds, many = _turn(JOBS, CONNECTIONS)
    alone_seconds, _ = _turn(ALONE, 1)
    return [
        Figure("speed, 64 connections", JOBS / many_seconds, "events/s", Goal("at least", 500)),
        Figure("CPU of the interface", many.cpu_seconds / JOBS * 1e6, "us/event"),
        Figure("lost of 10,000", JOBS - many.shipped, "", Goal("exactly", 0)),
        Figure("speed, one connection", ALONE / alone_seconds, "events/s"),
    ]


def _turn(jobs: int, connections: int) -> tuple[float, Served]:
    with TemporaryDirectory() as folder, _served(Path(folder)) as (port, orders):
        client = Client(port)
        client.post("/t", {"processes": {"arr": jobs}})
        client.close()
        began = time.monotonic()
        _post(port, jobs, connections)
        took = time.monotonic() - began
        orders.send("stop")
        served: Served = orders.recv()
        return took, served


@contextmanager
def _served(folder: Path) -> Iterator[tuple[int, Connection]]:
    context, port = get_context("spawn"), free_port()
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(port, folder, theirs), daemon=True)
    process.start()
    ours.recv()
    try:
        yield port, ours
    finally:
        process.join(10)
        process.kill()


def _serve(port: int, folder: Path, orders: Connection) -> None:
    source = source_at(port, folder)
    source.open()
    orders.send("served")
    began, shipped = time.process_time(), 0
    while not orders.poll():
        shipped += len(source.read(READ_SECONDS).rows)
    while rows := source.read(READ_SECONDS).rows:
        shipped += len(rows)
    orders.send(Served(shipped, time.process_time() - began))
    source.close()


def _post(port: int, jobs: int, connections: int) -> None:
    """Post an event of every job, each connection the next one when it has an answer."""
    waiting = list(range(jobs))
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(_request(waiting.pop()))
            selector.register(connection, selectors.EVENT_READ, bytearray())
        while selector.get_map():
            for key, _ in selector.select():
                _follow(selector, key, waiting)


def _follow(
    selector: selectors.BaseSelector, key: selectors.SelectorKey, waiting: list[int]
) -> None:
    connection, answer = key.fileobj, key.data
    assert isinstance(connection, socket.socket)
    answer += connection.recv(4096)
    if not answer.endswith(b"}"):
        return
    if b" 201 " not in answer:
        raise RuntimeError(f"refused: {answer.decode()}")
    answer.clear()
    if waiting:
        connection.sendall(_request(waiting.pop()))
        return
    selector.unregister(connection)
    connection.close()


def _request(index: int) -> bytes:
    head = (
        f"POST /api/v0/t/arr/event?arrayIndex={index} HTTP/1.1\r\n"
        f"Host: x\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    return head.encode() + BODY
