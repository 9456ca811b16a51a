"""The whole program with channels: killed, told to stop, told to exit, and asked once."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import zmq
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from shipper.demo.log_store import LogStore
from tests.support.channels import frozen, texts, to_the_end
from tests.support.services import free_port
from tests.support.shipper_process import ShipperProcess, command, until, write_config

DRAINED_SECONDS = 15.0


@dataclass(frozen=True)
class Play:
    """A running program with channels.

    Attributes:
        shipper: The program.
        loki: Where it ships to.
        port: Where it serves channels.
        send: Sends a message as a worker does.
    """

    shipper: ShipperProcess
    loki: LogStore
    port: int
    send: Callable[..., object]

    @contextmanager
    def browser(self, channel: str) -> Iterator[Connection]:
        with connect(f"ws://127.0.0.1:{self.port}/") as client:
            client.send(channel)
            yield client

    def clients(self) -> float:
        return self.shipper.value("shipper_channel_clients", metric="recodex")


def entry(port: int, zeromq_port: int, **keys: object) -> dict[str, object]:
    return {
        "type": "zeromq",
        "bind": f"tcp://127.0.0.1:{zeromq_port}",
        "websocket": {"port": port},
        "every_seconds": 1,
        **keys,
    }


@contextmanager
def sending(port: int) -> Iterator[Callable[..., object]]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(f"tcp://127.0.0.1:{port}")
        yield lambda *frames: socket.send_multipart([each.encode() for each in frames])


@contextmanager
def playing(folder: Path, **keys: object) -> Iterator[Play]:
    port, zeromq_port = free_port(), free_port()
    metrics = {"recodex": entry(port, zeromq_port, **keys)}
    with LogStore() as loki:
        arguments = ["run", "--config", str(write_config(folder, metrics)), "--loki_url", loki.url]
        with ShipperProcess(arguments, folder) as shipper, sending(zeromq_port) as send:
            yield Play(shipper.until_ready(), loki, port, send)


def test_nothing_that_was_shipped_is_missing_in_the_channel_after_a_kill(tmp_path: Path) -> None:
    with playing(tmp_path) as play:
        for number in range(200):
            play.send("job-42", "TASK", str(number), "COMPLETED")
        until(lambda: len(play.loki.lines()) >= 100)
        worker = play.shipper.worker_pids()["recodex"]
        os.kill(worker, signal.SIGKILL)
        until(lambda: play.shipper.state()["recodex"]["pid"] not in (0, worker))
        shipped = {json.loads(line.line)["task_id"] for line in play.loki.lines()}
        until(lambda: play.shipper.value("shipper_channels", metric="recodex") == 1)
        with play.browser("job-42") as client:
            told = {json.loads(text)["task_id"] for text in texts(client, len(shipped))}

    assert shipped <= told


def test_a_stop_sends_browsers_away_and_does_not_wait_for_frozen_ones(tmp_path: Path) -> None:
    with playing(tmp_path) as play:
        with frozen(play.port, "job-42"), play.browser("job-42") as client:
            until(lambda: play.clients() == 2)
            play.send("job-42", "STARTED")
            texts(client, 1)
            play.shipper.signal(signal.SIGTERM)
            _, code, _ = to_the_end(client)
            exit_code = play.shipper.wait(within_seconds=DRAINED_SECONDS)
        lines = len(play.loki.lines())

    assert (code, exit_code, lines) == (1001, 0, 1)
    assert "did not stop in time" not in play.shipper.stderr


def test_an_exit_that_is_allowed_ends_the_program_well_with_browsers_connected(
    tmp_path: Path,
) -> None:
    with playing(tmp_path, allow_remote_exit=True) as play:
        with frozen(play.port, "job-42"), play.browser("job-42") as client:
            until(lambda: play.clients() == 2)
            play.send("job-42", "STARTED")
            play.send("0", "exit")
            heard, code, _ = to_the_end(client)
            exit_code = play.shipper.wait(within_seconds=DRAINED_SECONDS)
        lines = len(play.loki.lines())

    assert (heard, code) == (['{"command": "STARTED"}'], 1001)
    assert (exit_code, lines) == (0, 1)
    assert "Worker recodex: came to its end, as it was ordered." in play.shipper.stderr
    assert "ERROR" not in play.shipper.stderr
    assert "WARNING" not in play.shipper.stderr


def test_one_metric_that_is_told_to_exit_leaves_the_others_running(tmp_path: Path) -> None:
    ports = [free_port() for _ in range(4)]
    metrics = {
        "ends": entry(ports[0], ports[1], allow_remote_exit=True),
        "stays": entry(ports[2], ports[3]),
    }
    with LogStore() as loki:
        config = write_config(tmp_path, metrics)
        arguments = ["run", "--config", str(config), "--loki_url", loki.url]
        with ShipperProcess(arguments, tmp_path) as shipper, sending(ports[1]) as send:
            shipper.until_ready()
            send("0", "exit")
            until(lambda: shipper.state()["ends"]["state"] == "ended")
            ready = shipper.get("/ready").status
            with sending(ports[3]) as send_on:
                send_on("job", "STARTED")
                until(lambda: len(loki.lines()) == 1)

            assert (ready, shipper.terminate()) == (200, 0)


def test_once_ships_and_keeps_what_came_while_it_listened(tmp_path: Path) -> None:
    port, zeromq_port = free_port(), free_port()
    config = write_config(tmp_path, {"recodex": entry(port, zeromq_port)})
    with LogStore() as loki, sending(zeromq_port) as send:
        # ZeroMQ keeps it until somebody listens.
        threading.Thread(target=send, args=("job-42", "STARTED")).start()
        outcome = command(
            ["once", "recodex", "--config", str(config), "--loki_url", loki.url], tmp_path
        )
        lines = [line.labels.get("command") for line in loki.lines()]

    assert (outcome.exit_code, lines) == (0, ["STARTED"]), outcome.stderr
    assert (tmp_path / "state" / "channels" / "recodex.db").exists()


@pytest.mark.parametrize("taken", ["websocket", "bind"])
def test_a_port_that_two_entries_want_is_refused(tmp_path: Path, taken: str) -> None:
    ports = [free_port() for _ in range(3)]
    first = entry(ports[0], ports[1])
    second = entry(ports[0], ports[2]) if taken == "websocket" else entry(ports[2], ports[1])
    outcome = command(
        ["check", "--config", str(write_config(tmp_path, {"a": first, "b": second}))], tmp_path
    )
    port = ports[0] if taken == "websocket" else ports[1]

    assert outcome.exit_code == 2
    assert f"metrics.b: TCP port 127.0.0.1:{port} is taken by metrics.a already" in outcome.stderr


def test_the_check_tells_of_both_ports(tmp_path: Path) -> None:
    config = write_config(tmp_path, {"recodex": entry(free_port(), free_port())})
    with LogStore() as loki:
        outcome = command(["check", "--config", str(config), "--loki_url", loki.url], tmp_path)

    assert outcome.exit_code == 0
    assert "check_zeromq_recodex" in outcome.stdout
    assert "is free for clients of channels" in outcome.stdout
