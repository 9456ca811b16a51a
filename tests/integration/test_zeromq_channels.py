"""Channels over real sockets: the broker at one side, browsers at the other."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest
import zmq
from websockets.asyncio import client as asyncio_client

from shipper.core.record import Row
from tests.contract.source_contract import Rig, SourceContract, until
from tests.support.channels import (
    CLIENTS,
    JOBS,
    KEPT,
    NORMAL,
    SILENCE_SECONDS,
    TASKS,
    TOLD,
    Stage,
    texts,
    to_the_end,
)
from tests.support.shipper_process import until as wait_for


class ServingRig(Rig):
    def __init__(self, state_dir: Path) -> None:
        stage = Stage(state_dir)
        self.source = stage.source
        self._sender = stage.connected()
        self.release = stage.release

    def say(self, text: str) -> None:
        self._sender.send_multipart([text.encode(), b"STARTED"])

    def heard(self, row: Row) -> str:
        return str(row["channel"])


class TestZeromqWithChannels(SourceContract):
    far_end_can_die: ClassVar[bool] = False

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Iterator[Rig]:
        rig = ServingRig(tmp_path)
        yield rig
        rig.source.close()
        rig.release()


# What a client hears


def test_history_comes_first_then_what_is_new_and_after_finished_the_end(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        for frames in NORMAL[:3]:
            stage.say(*frames)
        stage.received(3)
        with stage.client("job-42") as client:
            history = texts(client, 3)
            for frames in NORMAL[3:]:
                stage.say(*frames)
            rest, code, words = to_the_end(client)

    assert history + rest == TOLD
    assert (code, words) == (1000, "")


def test_what_the_broker_s_router_sends_is_told(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, zmq.Context() as context, context.socket(zmq.ROUTER) as broker:
        broker.linger = 0
        broker.router_mandatory = 1
        broker.connect(f"tcp://127.0.0.1:{stage.zeromq_port}")

        def sent(frames: tuple[str, ...]) -> bool:
            try:
                broker.send_multipart([b"recodex-monitor", *(each.encode() for each in frames)])
            except zmq.ZMQError:
                return False
            return True

        with stage.client("job-42") as client:
            for frames in NORMAL:
                until(lambda frames=frames: sent(frames))  # type: ignore[misc]
            heard, code, _ = to_the_end(client)

    assert (heard, code) == (TOLD, 1000)


def test_who_comes_after_finished_gets_everything_and_the_end(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        for frames in NORMAL:
            stage.say(*frames)
        stage.received(len(NORMAL))
        with stage.client("job-42") as client:
            heard, code, _ = to_the_end(client)

    assert (heard, code) == (TOLD, 1000)


def test_several_clients_of_a_channel_get_everything_and_others_nothing(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, ExitStack() as stack:
        clients = [stack.enter_context(stage.client("job-42")) for _ in range(3)]
        other = stack.enter_context(stage.client("job-43"))
        for frames in NORMAL:
            stage.say(*frames)
        heard = [to_the_end(client)[0] for client in clients]

        with pytest.raises(TimeoutError):
            other.recv(timeout=SILENCE_SECONDS)
    assert heard == [TOLD] * 3


def test_who_waits_for_a_job_that_is_not_there_yet_hears_it_when_it_begins(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, stage.client("job-42") as client:
        with pytest.raises(TimeoutError):
            client.recv(timeout=SILENCE_SECONDS)
        stage.say("job-42", "STARTED")

        assert texts(client, 1) == ['{"command": "STARTED"}']


@pytest.mark.parametrize("command", ["FAILED", "ABORTED"])
def test_failed_and_aborted_leave_the_connection_open(tmp_path: Path, command: str) -> None:
    with Stage(tmp_path) as stage, stage.client("job-42") as client:
        stage.say("job-42", command)
        first = texts(client, 1)
        with pytest.raises(TimeoutError):
            client.recv(timeout=SILENCE_SECONDS)
        stage.say("job-42", "FINISHED")
        _, code, _ = to_the_end(client)

    assert (json.loads(first[0]), code) == ({"command": command}, 1000)


def test_what_a_client_says_later_is_passed_over(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, stage.client("job-42") as client:
        for _ in range(100):
            client.send("job-43")
        stage.say("job-43", "STARTED")
        stage.say("job-42", "FINISHED")

        assert to_the_end(client)[:2] == (['{"command": "FINISHED"}'], 1000)


# Beginning again, and forgetting


def test_a_job_id_that_comes_again_is_told_afresh_and_outlives_the_old_one(tmp_path: Path) -> None:
    with Stage(tmp_path, forget_seconds=0.5) as stage:
        stage.say("job-42", "ENDED")
        stage.say("job-42", "FINISHED")
        stage.received(2)
        stage.say("job-42", "STARTED")
        stage.received(3)
        time.sleep(0.8)
        with stage.client("job-42") as client:
            heard = texts(client, 1)
            stage.say("job-42", "FINISHED")
            rest, code, _ = to_the_end(client)

    assert heard + rest == ['{"command": "STARTED"}', '{"command": "FINISHED"}']
    assert code == 1000


def test_after_its_time_a_channel_is_forgotten_and_a_late_client_waits_for_so_long_only(
    tmp_path: Path,
) -> None:
    with Stage(tmp_path, idle_seconds=0.5, forget_seconds=0.2) as stage:
        stage.say("job-42", "FINISHED")
        stage.received(1)
        until(lambda: stage.shown(KEPT) == 0)
        with stage.client("job-42") as client:
            heard, code, words = to_the_end(client)

    assert (heard, code) == ([], 1001)
    assert "silent for too long" in words


def test_a_channel_that_is_silent_without_an_end_is_forgotten_and_its_clients_go(
    tmp_path: Path,
) -> None:
    with Stage(tmp_path, idle_seconds=0.5) as stage, stage.client("job-42") as client:
        stage.say("job-42", "FAILED")
        heard, code, _ = to_the_end(client)
        until(lambda: stage.shown(KEPT) == 0)

        assert stage.counted("shipper_channels_forgotten_total") == {"silent": 1}
    assert (heard, code) == (['{"command": "FAILED"}'], 1001)


def test_histories_and_their_time_outlive_a_restart(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        for frames in NORMAL[:3]:
            stage.say(*frames)
        stage.say("other", "FINISHED")
        stage.received(4)
    with Stage(tmp_path, forget_seconds=0.001) as stage, stage.client("job-42") as client:
        history = texts(client, 3)
        until(lambda: stage.shown(KEPT) == 1)
        stage.say("job-42", "FINISHED")
        rest, code, _ = to_the_end(client)

    assert history + rest == [*TOLD[:3], TOLD[-1]]
    assert code == 1000


# What is malformed


def test_malformed_messages_are_refused_and_no_history_sees_them(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, stage.client("job") as client:
        stage.say("job", "STARTED")
        stage.say(b"")
        stage.say("job")
        stage.say("job", b"\xff")
        stage.say("", "STARTED")
        stage.say("0", "exit")
        stage.say("job", "TASK", "a", "WEIRD", "surplus")
        stage.say("job", "FINISHED")
        heard, _, _ = to_the_end(client)
        stage.received(8)

        assert stage.shown(KEPT) == 1
        assert sum(len(each.refused) for each in stage.batches) == 5
    assert heard == [
        '{"command": "STARTED"}',
        '{"command": "TASK", "task_id": "a", "task_state": "WEIRD"}',
        '{"command": "FINISHED"}',
    ]


def test_jobs_and_tasks_are_counted(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        for state in ("COMPLETED", "FAILED", "SKIPPED", "WEIRD"):
            stage.say("a", "TASK", "x", state)
        for frames in (("a", "FAILED"), ("a", "FINISHED"), ("b", "FINISHED"), ("c", "ABORTED")):
            stage.say(*frames)
        stage.received(8)

        assert stage.counted(JOBS) == {"failed": 1, "finished": 1, "aborted": 1}
        assert stage.counted(TASKS) == {"COMPLETED": 1, "FAILED": 1, "SKIPPED": 1, "other": 1}


# Many


def test_a_thousand_clients_of_a_hundred_channels_all_get_everything(tmp_path: Path) -> None:
    async def heard(url: str, name: str) -> tuple[int, int]:
        async with asyncio_client.connect(url, compression=None, open_timeout=30) as client:
            await client.send(name)
            count = 0
            async for _ in client:
                count += 1
            return count, client.close_code or 0

    with Stage(tmp_path) as stage:

        async def all_of_them() -> list[tuple[int, int]]:
            listening = [
                asyncio.create_task(heard(stage.url, f"job-{number % 100}"))
                for number in range(1000)
            ]
            # Both sides share this process, and a busy machine with other tests.
            await asyncio.to_thread(wait_for, lambda: stage.shown(CLIENTS) == 1000)
            for command in ("STARTED", "ENDED", "FINISHED"):
                for number in range(100):
                    stage.say(f"job-{number}", command)
            return await asyncio.gather(*listening)

        results = asyncio.run(all_of_them())

    assert results == [(3, 1000)] * 1000
