"""The proxy that is in trouble on purpose does to a client what its troubles say, and to the server no more."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
import urllib3
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from shipper.demo.log_store import LogStore
from tests.support.chaos_proxy import (
    NO_TROUBLE,
    Canned,
    ChaosProxy,
    CutAnswer,
    LoseAnswer,
    Refuse,
    ResetRequest,
    Silence,
    Slow,
    Trickle,
    name_of,
)
from tests.support.services import free_port

PUSH = b'{"streams":[{"stream":{"job":"a"},"values":[["%d","x"]]}]}'


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


@pytest.fixture
def proxy(store: LogStore) -> Iterator[ChaosProxy]:
    with ChaosProxy("127.0.0.1", store.port) as running:
        yield running


@pytest.fixture
def client(proxy: ChaosProxy) -> Iterator[urllib3.HTTPConnectionPool]:
    with urllib3.HTTPConnectionPool("127.0.0.1", proxy.port, retries=False) as pool:
        yield pool


def push(
    client: urllib3.HTTPConnectionPool, *, timeout_seconds: float = 5
) -> urllib3.BaseHTTPResponse:
    return client.request(
        "POST",
        "/loki/api/v1/push",
        body=PUSH % time.time_ns(),
        headers={"Content-Type": "application/json"},
        timeout=timeout_seconds,
    )


def test_without_trouble_requests_and_answers_pass_on_one_kept_connection(
    store: LogStore, proxy: ChaosProxy, client: urllib3.HTTPConnectionPool
) -> None:
    statuses = [push(client).status, client.request("GET", "/ready").status, push(client).status]

    assert statuses == [204, 200, 204]
    assert len(store.lines()) == 2
    assert client.num_connections == 1
    assert proxy.struck == {NO_TROUBLE: 3}


def test_refusing_closes_the_port_and_mending_opens_the_same(
    proxy: ChaosProxy, client: urllib3.HTTPConnectionPool
) -> None:
    push(client)
    port = proxy.port
    proxy.suffer(Refuse())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    proxy.mend()

    assert proxy.port == port
    assert push(client).status == 204


def test_silence_is_heard_on_kept_connections_too_and_stores_nothing(
    store: LogStore, proxy: ChaosProxy, client: urllib3.HTTPConnectionPool
) -> None:
    push(client)
    proxy.suffer(Silence())
    with pytest.raises(ReadTimeoutError):
        push(client, timeout_seconds=0.3)

    assert len(store.lines()) == 1


def test_a_slow_request_is_answered_late(
    proxy: ChaosProxy, client: urllib3.HTTPConnectionPool
) -> None:
    proxy.suffer(Slow(delay_seconds=0.2))
    began = time.monotonic()

    assert push(client).status == 204
    assert time.monotonic() - began >= 0.2


def test_a_trickling_answer_arrives_whole(
    proxy: ChaosProxy, client: urllib3.HTTPConnectionPool
) -> None:
    proxy.suffer(Trickle(piece_bytes=20, pause_seconds=0.05))
    began = time.monotonic()
    answer = client.request("GET", "/ready")

    assert (answer.status, answer.data) == (200, b"ready\n")
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize(
    ("trouble", "stored"),
    [
        pytest.param(ResetRequest(), 0, id="in the middle of the request"),
        pytest.param(LoseAnswer(), 1, id="before the answer"),
        pytest.param(CutAnswer(), 1, id="in the middle of the answer"),
    ],
)
def test_a_connection_breaks_where_the_trouble_says(
    store: LogStore,
    proxy: ChaosProxy,
    client: urllib3.HTTPConnectionPool,
    trouble: ResetRequest | LoseAnswer | CutAnswer,
    stored: int,
) -> None:
    proxy.suffer(trouble)
    with pytest.raises(ProtocolError):
        push(client)

    assert len(store.lines()) == stored
    assert proxy.struck == {name_of(trouble): 1}


def test_a_canned_answer_comes_from_the_proxy_alone(
    store: LogStore, proxy: ChaosProxy, client: urllib3.HTTPConnectionPool
) -> None:
    proxy.suffer(Canned(429, b"slow down\n", {"Retry-After": "1"}))
    answers = [push(client), push(client)]

    assert [each.status for each in answers] == [429, 429]
    assert (answers[0].data, answers[0].headers["Retry-After"]) == (b"slow down\n", "1")
    assert store.lines() == []


def test_a_server_that_is_away_is_a_connection_that_is_reset() -> None:
    with (
        ChaosProxy("127.0.0.1", free_port()) as proxy,
        urllib3.HTTPConnectionPool("127.0.0.1", proxy.port, retries=False) as client,
        pytest.raises(ProtocolError),
    ):
        push(client)
