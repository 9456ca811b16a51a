"""The feed from workers to the web process."""

from __future__ import annotations

import json
from pathlib import Path

import zmq

from shipper.live.feed import (
    MAX_SOCKET_PATH_BYTES,
    REPORTS_WAITING,
    FeedSender,
    Report,
    feed_address,
)

PATIENCE_MS = 5000


def report(number: int = 0) -> Report:
    return {
        "origin": "m",
        "pid": number,
        "state": {"result": "ok"},
        "tally": {"polls_total": [(("m", "ok"), [1.0])]},
    }


def test_the_socket_lies_in_the_state_directory() -> None:
    assert feed_address(Path("/state")) == "ipc:///state/feed.sock"


def test_a_path_that_is_too_long_for_a_socket_is_replaced() -> None:
    address = feed_address(Path("/" + "long" * 30))
    path = Path(address.removeprefix("ipc://"))
    path.parent.rmdir()

    assert path.name == "feed.sock"
    assert len(bytes(path)) <= MAX_SOCKET_PATH_BYTES


def test_a_path_is_measured_in_bytes() -> None:
    address = feed_address(Path("/" + "ü" * 60))
    Path(address.removeprefix("ipc://")).parent.rmdir()

    assert "ü" not in address


def test_a_report_arrives_as_json(tmp_path: Path) -> None:
    address = feed_address(tmp_path)
    with zmq.Context() as context, context.socket(zmq.PULL) as receiver:
        receiver.setsockopt(zmq.RCVTIMEO, PATIENCE_MS)
        receiver.bind(address)
        sender = FeedSender(address)
        taken = sender.send(report())
        content = json.loads(receiver.recv())
        sender.close()

    assert taken
    assert content == json.loads(json.dumps(report()))


def test_a_feed_that_nobody_reads_never_blocks_a_worker(tmp_path: Path) -> None:
    sender = FeedSender(feed_address(tmp_path))
    sender._socket.setsockopt(zmq.LINGER, 0)
    taken = [sender.send(report(number)) for number in range(REPORTS_WAITING + 5)]
    sender.close()

    assert taken == [True] * REPORTS_WAITING + [False] * 5
