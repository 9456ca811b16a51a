"""Channels with clients that misbehave, with too many of everything, and when they open and close."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from shipper.config.secret import Secret
from shipper.core.checks import Outcome
from shipper.core.errors import SourceUnavailable
from shipper.sources.zeromq import ZeromqSettings
from shipper.sources.zeromq.channels import server as serving
from shipper.sources.zeromq.channels.limits import LONGEST_NAME_BYTES
from shipper.sources.zeromq.channels.server import STOP_SECONDS
from shipper.sources.zeromq.channels.site import Site
from shipper.sources.zeromq.checks import try_site
from shipper.sources.zeromq.wire import Endpoint
from tests.contract.source_contract import until
from tests.support.channels import (
    CLIENTS,
    CLOSED,
    SILENCE_SECONDS,
    Stage,
    frozen,
    texts,
    to_the_end,
)
from tests.support.services import free_port

# Clients that misbehave


def test_a_name_may_come_as_bytes(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, stage.client("job-č".encode()) as client:
        stage.say("job-č", "FINISHED")

        assert to_the_end(client)[:2] == (['{"command": "FINISHED"}'], 1000)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        pytest.param(b"\xff\xfe", 1007, "text in UTF-8", id="no text"),
        pytest.param("", 1008, "not empty", id="empty"),
        pytest.param("x" * (LONGEST_NAME_BYTES + 1), 1009, "", id="too long"),
        pytest.param(None, 1008, "no channel was named in time", id="none"),
    ],
)
def test_who_names_no_channel_is_sent_away(
    tmp_path: Path, name: str | bytes | None, code: int, words: str
) -> None:
    with Stage(tmp_path, naming_seconds=0.5) as stage, stage.client(name) as client:
        heard, found, told = to_the_end(client)

    assert (heard, found) == ([], code)
    assert words in told


def test_who_leaves_without_a_word_is_noticed_before_and_after_naming_a_channel(
    tmp_path: Path,
) -> None:
    with Stage(tmp_path) as stage:
        with stage.client(), stage.client("job-42"), frozen(stage.port, "job-42"):
            until(lambda: stage.shown(CLIENTS) == 3)
        until(lambda: stage.shown(CLIENTS) == 0)

        assert stage.counted(CLOSED) == {"gone": 3}


def test_who_gives_no_sign_of_life_goes(tmp_path: Path) -> None:
    with (
        Stage(tmp_path, ping_seconds=0.2) as stage,
        frozen(stage.port, "job-42"),
        stage.client("job-42") as living,
    ):
        until(lambda: stage.shown(CLIENTS) == 2)
        until(lambda: stage.shown(CLIENTS) == 1)
        stage.say("job-42", "FINISHED")

        assert to_the_end(living)[1] == 1000


def test_a_slow_client_slows_nobody_and_is_sent_away(tmp_path: Path) -> None:
    with (
        Stage(tmp_path, stalled_seconds=0.5) as stage,
        frozen(stage.port, "job-42"),
        stage.client("job-42") as quick,
    ):
        until(lambda: stage.shown(CLIENTS) == 2)
        for number in range(600):
            stage.say("job-42", "TASK", f"{number:>10000}", "COMPLETED")
        heard = texts(quick, 600)
        until(lambda: stage.counted(CLOSED)["slow"] == 1)
        until(lambda: stage.shown(CLIENTS) == 1)

    assert [int(json.loads(text)["task_id"]) for text in heard] == list(range(600))


def test_strangers_on_the_port_disturb_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Stage(tmp_path) as stage, stage.client("job-42") as client:
        for content in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"", b"POST / HTTP/1.1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", stage.port)) as stranger:
                stranger.sendall(content)
        stage.say("job-42", "FINISHED")

        assert to_the_end(client)[1] == 1000
    assert caplog.messages == []


# Limits, and who may listen


def test_when_there_are_too_many_clients_a_new_one_is_refused(tmp_path: Path) -> None:
    with Stage(tmp_path, max_clients=2) as stage, stage.client("a"), stage.client("b"):
        until(lambda: stage.shown(CLIENTS) == 2)
        with pytest.raises(InvalidStatus) as refusal, stage.client("c"):
            pass

        assert refusal.value.response.status_code == 503
        until(lambda: stage.counted(CLOSED) == {"full": 1})


def test_connections_that_never_become_clients_have_a_bound_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "UNANNOUNCED", 1)
    with Stage(tmp_path, max_clients=1) as stage, ExitStack() as stack:
        strangers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", stage.port), 10))
            for _ in range(3)
        ]

        def hung_up_on(stranger: socket.socket) -> bool:
            stranger.settimeout(SILENCE_SECONDS)
            try:
                return stranger.recv(1) == b""
            except ConnectionResetError:
                return True
            except TimeoutError:
                return False

        until(lambda: hung_up_on(strangers[2]))

        assert [hung_up_on(each) for each in strangers[:2]] == [False, False]


def test_when_there_are_too_many_channels_clients_of_the_oldest_are_told(tmp_path: Path) -> None:
    with Stage(tmp_path, max_channels=1) as stage, stage.client("old") as client:
        stage.say("old", "STARTED")
        texts(client, 1)
        stage.say("new", "STARTED")

        assert to_the_end(client)[1] == 1013
        until(lambda: stage.counted("shipper_channels_forgotten_total") == {"too_many": 1})


def test_with_a_token_only_who_knows_it_may_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANNELS_TOKEN", "open sesame")
    with Stage(tmp_path, token={"env": "CHANNELS_TOKEN"}) as stage:
        for query in ("", "?token=", "?token=open", "?token=%FF"):
            with pytest.raises(InvalidStatus) as refusal, stage.client("a", query):
                pass
            assert refusal.value.response.status_code == 401
        with stage.client("job-42", "?x=1&token=open%20sesame") as client:
            stage.say("job-42", "FINISHED")

            assert to_the_end(client)[1] == 1000
        until(lambda: stage.counted(CLOSED) == {"token": 4, "finished": 1})


def test_a_token_that_is_not_where_it_should_be_is_unavailable(tmp_path: Path) -> None:
    with (
        pytest.raises(SourceUnavailable, match="NO_SUCH_VARIABLE"),
        Stage(tmp_path, token={"env": "NO_SUCH_VARIABLE"}),
    ):
        pass


# Opening and closing


def test_closing_sends_waiting_clients_away_and_waits_for_nobody_who_is_frozen(
    tmp_path: Path,
) -> None:
    with (
        Stage(tmp_path) as stage,
        frozen(stage.port, "job-42"),
        stage.client() as unnamed,
        stage.client("job-43") as waiting,
    ):
        until(lambda: stage.shown(CLIENTS) == 3)
        # More than the buffers of a connection hold, so that one of them is stuck in the middle of it.
        for _ in range(600):
            stage.say("job-42", "TASK", "x" * 10_000, "COMPLETED")
        stage.received(600)
        began = time.monotonic()
        stage.close()
        took_seconds = time.monotonic() - began
        codes = [to_the_end(client)[1] for client in (unnamed, waiting)]

    assert codes == [1001, 1001]
    assert took_seconds < STOP_SECONDS


def test_a_port_that_is_taken_is_unavailable_and_the_other_one_is_let_go(tmp_path: Path) -> None:
    for taken in ("websocket", "zeromq"):
        stage = Stage(tmp_path)
        ports = {"websocket": stage.port, "zeromq": stage.zeromq_port}
        with (
            socket.create_server(("127.0.0.1", ports.pop(taken))),
            pytest.raises(SourceUnavailable, match="Address already in use"),
        ):
            stage.source.open()
        (other,) = ports.values()
        socket.create_server(("127.0.0.1", other)).close()


def test_a_server_that_cannot_begin_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no more of anything")

    monkeypatch.setattr(serving, "serve", broken)
    with pytest.raises(SourceUnavailable, match="channels cannot be served: no more of anything"):
        Stage(tmp_path).source.open()
    assert "because of a fault of ours" in caplog.text


def test_a_server_that_ends_by_itself_is_unavailable_before_a_message_is_lost(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path)
    stage.source.open()
    server = stage.source._channels._server  # type: ignore[attr-defined]
    server._loop.call_soon_threadsafe(server._stop.set)
    server._thread.join()

    with pytest.raises(SourceUnavailable, match="channels are not served: its thread has ended"):
        stage.source.read(0.1)
    with pytest.raises(SourceUnavailable, match="no socket is open"):
        stage.source.read(0.1)


def test_opening_again_serves_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.source.open()
    stage.source.open()
    with connect(stage.url) as client:
        client.send("job-42")
        stage.source.close()

        with pytest.raises(ConnectionClosed):
            client.recv(timeout=5)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "*", "::", "::1"])
def test_channels_are_served_on_all_kinds_of_addresses(tmp_path: Path, host: str) -> None:
    with Stage(tmp_path, host=host) as stage:
        target = "[::1]" if host == "::1" else "127.0.0.1"
        with connect(f"ws://{target}:{stage.port}") as client:
            client.send("job-42")
            stage.say("job-42", "FINISHED")

            assert to_the_end(client)[1] == 1000


def test_the_check_says_whether_the_port_is_free() -> None:
    port = free_port()
    site = Site(Endpoint("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)):
        taken = try_site(site, 1.0)
    free = try_site(site, 1.0)

    assert (taken.outcome, free.outcome) == (Outcome.FAILED, Outcome.PASSED)
    assert "is another program listening there" in taken.hint


def test_the_check_says_when_there_are_too_few_files_and_when_the_token_is_missing() -> None:
    place = Endpoint("127.0.0.1", free_port())
    many = try_site(Site(place, most_clients=10**9), 1.0)
    unknown = try_site(Site(place, token=Secret("env", "NO_SUCH_VARIABLE")), 1.0)

    assert (many.outcome, unknown.outcome) == (Outcome.NOTED, Outcome.FAILED)
    assert "not 1000000000" in many.text


def test_the_state_of_a_metric_is_in_a_file_of_its_own(tmp_path: Path) -> None:
    settings = ZeromqSettings.model_validate({"websocket": {"port": free_port()}})
    settings.build("recodex", None, tmp_path)

    assert list(tmp_path.iterdir()) == []
    with Stage(tmp_path):
        assert (tmp_path / "channels" / "recodex.db").exists()
