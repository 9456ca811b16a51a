"""The set-up `config_files/recodex.json`, run by the real program between a broker and two browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest
import zmq
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from shipper.demo.log_store import LogStore
from tests.support.channels import to_the_end
from tests.support.ready_made import REJECTED, Changes, Shipped, ended, given, shipping
from tests.support.services import free_port
from tests.support.shipper_process import until

EVALUATION: Sequence[Sequence[str]] = [
    ["job-42", "DOWNLOADED"],
    ["job-42", "STARTED"],
    ["job-42", "TASK", "compile-1", "COMPLETED"],
    ["job-42", "TASK", "run-1", "COMPLETED"],
    ["job-42", "TASK", "judge-1", "FAILED"],
    ["job-42", "ENDED"],
    ["job-42", "UPLOADED"],
    ["job-42", "FINISHED"],
]


@dataclass(frozen=True)
class Recodex(Shipped):
    """An evaluation, and what two browsers heard of it: one that came first, and one that came last."""

    instance: str
    first: tuple[list[str], int, str]
    last: tuple[list[str], int, str]


@contextmanager
def recodex_broker(port: int) -> Iterator[Callable[..., object]]:
    """Connect as the broker does: a ROUTER that knows its monitor by name; gives what sends a message."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as broker:
        broker.linger = 0
        broker.router_mandatory = 1
        broker.connect(f"tcp://127.0.0.1:{port}")

        def sent(frames: Sequence[str]) -> bool:
            # Until the monitor has told its name there is nobody to send to.
            with suppress(zmq.ZMQError):
                broker.send_multipart([b"recodex-monitor", *(each.encode() for each in frames)])
                return True
            return False

        yield lambda *frames: until(lambda: sent(frames))


@contextmanager
def browser(port: int) -> Iterator[Connection]:
    """Connect as the web application does, and ask for the evaluation."""
    with connect(f"ws://127.0.0.1:{port}/") as client:
        client.send("job-42")
        yield client


@pytest.fixture(scope="module")
def recodex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recodex]:
    port, channels_port = free_port(), free_port()
    changes = Changes(
        {
            "metrics.recodex.bind": f"tcp://127.0.0.1:{port}",
            "metrics.recodex.websocket.port": channels_port,
        }
    )
    with LogStore() as loki:
        folder = tmp_path_factory.mktemp("recodex")
        with shipping("recodex.json", folder, loki, changes) as shipper:
            shipper.until_ready()
            with recodex_broker(port) as send, browser(channels_port) as waiting:
                for frames in EVALUATION:
                    send(*frames)
                first = to_the_end(waiting)
                send("0", "exit")
                send("job-43", "ABORTED")
                until(lambda: len(loki.lines()) == len(EVALUATION) + 1)
            with browser(channels_port) as late:
                last = to_the_end(late)
            closed = {"metric": "recodex", "reason": "finished"}
            until(lambda: shipper.value("shipper_channel_clients_closed_total", **closed) == 2)
            left = ended(shipper, loki)
        yield Recodex(**vars(left), instance=f"127.0.0.1:{port}", first=first, last=last)


def test_every_message_of_recodex_is_a_line_in_its_order(recodex: Recodex) -> None:
    by_time = [list(row.values()) for row in recodex.rows()]

    assert by_time == [*EVALUATION, ["job-43", "ABORTED"]]


def test_a_line_of_recodex_names_the_frames_of_its_message(recodex: Recodex) -> None:
    (row,) = recodex.rows(task_state="FAILED")

    assert row == {
        "channel": "job-42",
        "command": "TASK",
        "task_id": "judge-1",
        "task_state": "FAILED",
    }


def test_recodex_s_labels_are_few_and_its_names_are_structured_metadata(recodex: Recodex) -> None:
    (line,) = recodex.of(task_state="FAILED")

    assert line.labels == {
        "job": "recodex",
        "service_name": "zeromq",
        "instance": recodex.instance,
        "command": "TASK",
        "task_state": "FAILED",
    }
    assert given(line) == {"channel": "job-42", "task_id": "judge-1"}


@pytest.mark.parametrize(
    ("command", "task_state", "count"),
    [("TASK", "COMPLETED", 2), ("TASK", "FAILED", 1), ("FINISHED", "", 1)],
)
def test_recodex_s_messages_are_counted_by_command_and_state(
    recodex: Recodex, command: str, task_state: str, count: int
) -> None:
    labels = {"command": command, "task_state": task_state}

    assert recodex.value("recodex_messages_total", **labels) == count


@pytest.mark.parametrize("when", ["first", "last"])
def test_a_browser_gets_the_whole_evaluation_and_its_end(recodex: Recodex, when: str) -> None:
    texts, code, _ = getattr(recodex, when)

    assert (len(texts), code) == (len(EVALUATION), 1000)
    assert texts[4] == '{"command": "TASK", "task_id": "judge-1", "task_state": "FAILED"}'


@pytest.mark.parametrize(
    ("name", "labels", "count"),
    [
        ("shipper_channel_jobs_total", {"outcome": "finished"}, 1),
        ("shipper_channel_jobs_total", {"outcome": "aborted"}, 1),
        ("shipper_channel_tasks_total", {"state": "COMPLETED"}, 2),
        ("shipper_channel_tasks_total", {"state": "FAILED"}, 1),
        ("shipper_channel_clients_closed_total", {"reason": "finished"}, 2),
    ],
)
def test_recodex_s_jobs_tasks_and_browsers_are_counted(
    recodex: Recodex, name: str, labels: dict[str, str], count: int
) -> None:
    assert recodex.value(name, metric="recodex", **labels) == count


def test_recodex_s_order_to_exit_is_refused_and_kept(recodex: Recodex) -> None:
    refused = {"metric": "recodex", "sink": "source", "reason": "exit_refused"}

    assert recodex.value(REJECTED, **refused) == 1
    assert recodex.exit_code == 0
