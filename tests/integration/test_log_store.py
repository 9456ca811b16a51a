from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import trustme
import urllib3
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from shipper.demo.log_store import Answer, Limits, LogStore, Tls

SELECTOR = quote('{app="x"}')
PUSH = "/loki/api/v1/push"
PATIENCE_SECONDS = 10.0


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=PATIENCE_SECONDS) as pool:
        yield pool


def push(
    http: urllib3.PoolManager, store: LogStore, *lines: str, **headers: str
) -> urllib3.BaseHTTPResponse:
    now_ns = time.time_ns()
    values = [[str(now_ns + place), line, {"n": str(place)}] for place, line in enumerate(lines)]
    return http.request(
        "POST",
        store.url + PUSH,
        body=json.dumps({"streams": [{"stream": {"app": "x"}, "values": values}]}),
        headers={"Content-Type": "application/json", **headers},
    )


def ask(http: urllib3.PoolManager, store: LogStore, path: str, **fields: str) -> Any:
    response = http.request("GET", f"{store.url}/loki/api/v1/{path}", fields=fields)
    assert response.status == 200, response.data
    return response.json()["data"]


def tail_url(store: LogStore, query: str) -> str:
    return f"ws://127.0.0.1:{store.port}/loki/api/v1/tail?{urlencode({'query': query})}"


def lines_of(store: LogStore) -> list[str]:
    return [stored.line for stored in store.lines()]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_the_limits_in_force_can_be_read(http: urllib3.PoolManager) -> None:
    with LogStore(limits=Limits(max_line_bytes=100)) as store:
        response = http.request("GET", f"{store.url}/config")

    assert (response.status, response.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert b"\n  max_line_size: 100B\n" in response.data


def test_a_push_is_stored_and_recorded(http: urllib3.PoolManager, store: LogStore) -> None:
    response = push(http, store, "a", "b")

    assert (response.status, response.data) == (204, b"")
    assert "content-type" not in response.headers
    assert lines_of(store) == ["a", "b"]
    (seen,) = store.pushes
    assert (seen.path, seen.status, seen.streams, seen.entries) == (PUSH, 204, 1, 2)
    assert (seen.content_type, seen.content_encoding) == ("application/json", "")
    assert seen.body_bytes == int(seen.headers["content-length"])


def test_a_refusal_is_plain_text_with_a_newline(http: urllib3.PoolManager, store: LogStore) -> None:
    response = http.request("GET", store.url + PUSH)

    assert (response.status, response.data) == (404, b"404 page not found\n")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_the_index_says_that_it_is_no_loki(http: urllib3.PoolManager, store: LogStore) -> None:
    assert b"not a replacement for Loki" in http.request("GET", store.url + "/").data


def test_it_stops_and_starts_on_its_port_with_its_lines(
    http: urllib3.PoolManager, store: LogStore
) -> None:
    push(http, store, "before")
    url = store.url
    store.stop()
    with pytest.raises(urllib3.exceptions.HTTPError):
        push(http, store, "while stopped")
    store.start()
    push(http, store, "after")

    assert store.url == url
    assert lines_of(store) == ["before", "after"]


def test_a_file_keeps_the_lines(http: urllib3.PoolManager, tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    with LogStore(path=path) as first:
        push(http, first, "kept")
    with LogStore(path=path) as second:
        push(http, second, "more")

        assert lines_of(second) == ["kept", "more"]


def test_it_is_not_ready_before_its_time_but_takes_pushes(http: urllib3.PoolManager) -> None:
    with LogStore(ready_after_seconds=60) as store:
        response = http.request("GET", store.url + "/ready")

        assert response.status == 503
        assert response.data == b"Ingester not ready: waiting for 15s after being ready\n"
        assert push(http, store, "a").status == 204


def test_metrics_count_lines_and_refusals(http: urllib3.PoolManager, store: LogStore) -> None:
    push(http, store, "good", "x" * 262_145)

    text = http.request("GET", store.url + "/metrics").data.decode()
    assert 'loki_distributor_lines_received_total{tenant="fake"} 2.0' in text
    assert 'loki_discarded_samples_total{reason="line_too_long",tenant="fake"} 1.0' in text


def test_tenants_are_kept_apart(http: urllib3.PoolManager) -> None:
    with LogStore(auth_enabled=True) as store:
        refused = push(http, store, "a")
        push(http, store, "b", **{"X-Scope-OrgID": "one"})

        assert (refused.status, refused.data) == (401, b"no org id\n")
        assert [stored.line for stored in store.lines(tenant="one")] == ["b"]
        assert store.lines(tenant="two") == []
        assert http.request("GET", store.url + "/ready").status == 200


def test_it_speaks_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = Tls(certificate_path=tmp_path / "cert.pem", key_path=tmp_path / "key.pem")

    with (
        LogStore(tls=tls) as store,
        urllib3.PoolManager(retries=False, ca_certs=str(tmp_path / "ca.pem")) as http,
    ):
        assert push(http, store, "a").status == 204


def test_a_body_over_the_limit_closes_the_connection(http: urllib3.PoolManager) -> None:
    with LogStore(limits=Limits(max_body_bytes=1000)) as store:
        response = push(http, store, "x" * 2000, **{"Content-Type": "application/x-protobuf"})

        assert response.status == 413
        assert response.headers["connection"] == "close"


def test_scripted_answers_come_in_order_and_then_normal_ones(
    http: urllib3.PoolManager, store: LogStore
) -> None:
    headers = {"Retry-After": "1"}
    store.answers.script(
        [Answer(status=503, body=b"busy", headers=headers), Answer(status=500, store_anyway=True)]
    )
    first, second, third = (push(http, store, line) for line in "abc")

    assert [answer.status for answer in (first, second, third)] == [503, 500, 204]
    assert (first.data, first.headers["retry-after"]) == (b"busy", "1")
    assert lines_of(store) == ["b", "c"]
    assert [seen.status for seen in store.pushes] == [503, 500, 204]


def test_a_repeated_answer_stays_until_cleared(http: urllib3.PoolManager, store: LogStore) -> None:
    store.answers.script([Answer(status=429, repeat=True)])
    refused = [push(http, store, "a").status for _ in range(3)]
    store.answers.clear()

    assert refused == [429, 429, 429]
    assert push(http, store, "a").status == 204


def test_an_answer_can_close_the_connection(http: urllib3.PoolManager, store: LogStore) -> None:
    store.answers.script([Answer(status=503, close=True)])
    for line in "abc":
        push(http, store, line)

    first, second, third = store.pushes
    assert first.client != second.client
    assert second.client == third.client


def test_an_answer_can_be_late(http: urllib3.PoolManager, store: LogStore) -> None:
    store.answers.script([Answer(delay_seconds=0.2)])
    began = time.monotonic()
    push(http, store, "a")

    assert time.monotonic() - began >= 0.2


def test_an_answer_can_be_cut_in_the_middle(http: urllib3.PoolManager, store: LogStore) -> None:
    store.answers.script([Answer(cut=True, store_anyway=True)])

    with pytest.raises(urllib3.exceptions.ProtocolError):
        push(http, store, "a")
    assert lines_of(store) == ["a"]
    assert store.pushes[0].status == 0


def test_a_push_can_stay_without_an_answer_until_cleared(
    http: urllib3.PoolManager, store: LogStore
) -> None:
    store.answers.script([Answer(never=True)])
    failures: list[Exception] = []

    def push_in_vain() -> None:
        try:
            push(http, store, "a")
        except urllib3.exceptions.HTTPError as error:
            failures.append(error)

    sender = threading.Thread(target=push_in_vain)
    sender.start()
    wait_until(lambda: len(store.pushes) == 1)
    assert sender.is_alive()
    store.answers.clear()
    sender.join(PATIENCE_SECONDS)

    assert len(failures) == 1
    assert lines_of(store) == []


def test_it_stops_although_a_push_waits_for_its_answer(store: LogStore) -> None:
    store.answers.script([Answer(never=True)])
    with socket.create_connection(("127.0.0.1", store.port)) as connection:
        head = f"POST {PUSH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        connection.sendall(head.encode())
        wait_until(lambda: len(store.pushes) == 1)
        store.stop()

        assert connection.recv(100) == b""


def test_metadata_is_folded_into_the_labels_of_a_query(
    http: urllib3.PoolManager, store: LogStore
) -> None:
    push(http, store, "a", "b")

    found = ask(http, store, "query_range", query='{app="x"}', direction="forward")
    assert found["resultType"] == "streams"
    assert [(stream["stream"]["n"], stream["values"][0][1]) for stream in found["result"]] == [
        ("0", "a"),
        ("1", "b"),
    ]


def test_labels_are_categorized_when_asked_for(http: urllib3.PoolManager, store: LogStore) -> None:
    push(http, store, "a")
    url = f"{store.url}/loki/api/v1/query_range?query={SELECTOR}"
    headers = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}

    found = http.request("GET", url, headers=headers).json()["data"]
    assert found["encodingFlags"] == ["categorize-labels"]
    (stream,) = found["result"]
    assert stream["stream"] == {"app": "x", "service_name": "x"}
    assert stream["values"][0][1:] == [
        "a",
        {"structuredMetadata": {"detected_level": "unknown", "n": "0"}},
    ]


def test_queries_are_posted_as_forms_too(http: urllib3.PoolManager, store: LogStore) -> None:
    push(http, store, "a")
    body = urlencode({"query": 'sum(count_over_time({app="x"}[1m]))', "step": "15"})

    response = http.request(
        "POST",
        f"{store.url}/loki/api/v1/query_range",
        body=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    found = response.json()["data"]
    assert found["resultType"] == "matrix"
    assert found["result"][0]["values"][-1][1] == "1"


def test_grafanas_health_check_gets_two(http: urllib3.PoolManager, store: LogStore) -> None:
    found = ask(http, store, "query", query="vector(1)+vector(1)")

    assert found["resultType"] == "vector"
    assert found["result"][0]["value"][1] == "2"


def test_labels_values_and_series_are_listed(http: urllib3.PoolManager, store: LogStore) -> None:
    push(http, store, "a")

    assert ask(http, store, "labels") == ["app", "service_name"]
    assert ask(http, store, "label/app/values") == ["x"]
    assert ask(http, store, "series", **{"match[]": '{app="x"}'}) == [
        {"app": "x", "service_name": "x"}
    ]
    assert ask(http, store, "index/volume", query='{app="x"}')["result"] == []


def test_an_empty_list_of_labels_has_no_data(http: urllib3.PoolManager, store: LogStore) -> None:
    push(http, store, "a")

    for path in ("labels?start=1&end=2", "label/nobody/values"):
        response = http.request("GET", f"{store.url}/loki/api/v1/{path}")
        assert response.json() == {"status": "success"}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ('query_range?query={app="q', "parse error at line 1, col 6: literal not terminated"),
        (
            'query_range?query={app="q"}&limit=6000',
            "limit > max_entries_limit_per_query (6000 > 5000)",
        ),
        ('query?query={app="q"}', "log queries are not supported as an instant query type"),
        ('query_range?query={app="q"} | logfmt', "understands a subset of LogQL"),
    ],
)
def test_wrong_queries_are_refused(
    path: str, words: str, http: urllib3.PoolManager, store: LogStore
) -> None:
    response = http.request("GET", f"{store.url}/loki/api/v1/{path}")

    assert (response.status, words in response.data.decode()) == (400, True)


def test_a_tail_shows_recent_lines_and_then_live_ones(
    http: urllib3.PoolManager, store: LogStore
) -> None:
    push(http, store, "recent")
    with connect(tail_url(store, '{app="x"} != "hidden"')) as viewer:
        recent = json.loads(viewer.recv(PATIENCE_SECONDS))
        push(http, store, "hidden")
        push(http, store, "live")
        live = json.loads(viewer.recv(PATIENCE_SECONDS))

    assert recent["streams"][0]["stream"]["n"] == "0"
    assert recent["streams"][0]["values"][0][1] == "recent"
    assert live["streams"][0]["stream"] == {"app": "x", "service_name": "x"}
    assert [line for _, line in live["streams"][0]["values"]] == ["live"]


def test_a_wrong_tail_is_refused(store: LogStore) -> None:
    with pytest.raises(InvalidStatus) as caught, connect(tail_url(store, "vector(1)")):
        pass
    assert caught.value.response.status_code == 400


def test_stopping_ends_a_tail(store: LogStore) -> None:
    with connect(tail_url(store, '{app="x"}')) as viewer:
        store.stop()

        with pytest.raises(ConnectionClosed):
            viewer.recv(PATIENCE_SECONDS)


def test_lifted_rates_take_what_loki_would_refuse(http: urllib3.PoolManager) -> None:
    lines = ["x" * 200_000] * 20
    with LogStore(limits=Limits().with_lifted_rates()) as store:
        statuses = [push(http, store, *lines).status for _ in range(3)]

        assert statuses == [204, 204, 204]


def test_the_command_runs_until_it_is_told_to_stop(
    http: urllib3.PoolManager, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "shipper.demo.log_store", "--port", "0", "--lift-rates"]
    with subprocess.Popen(
        [*command, "--path", str(tmp_path / "logs.db")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        url = greeting.split()[3].rstrip(":")
        ready = http.request("GET", f"{url}/ready").status
        process.send_signal(signal.SIGTERM)

        assert (ready, process.wait(PATIENCE_SECONDS)) == (200, 0)
    assert "not a replacement for Loki" in greeting
