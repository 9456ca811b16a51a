"""The REST interface of jobs over loopback: walked through with curl, mistaken, hurried, and fuzzed."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from shipper.sources.jobs import protocol
from shipper.sources.jobs.source import JobsSource
from tests.support.jobs import BASE, Answer, Client, source_at
from tests.support.services import free_port, need

TASK = {"processes": {"arr": [10, 8], "job": None}}


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def opened(port: int, tmp_path: Path) -> Iterator[Callable[..., JobsSource]]:
    """Open sources, closed at the end of the test."""
    sources: list[JobsSource] = []

    def opened_source(**written: Any) -> JobsSource:
        sources.append(source_at(port, tmp_path, **written))
        sources[-1].open()
        return sources[-1]

    yield opened_source
    for source in sources:
        source.close()


@pytest.fixture
def client(opened: Callable[..., JobsSource], port: int) -> Iterator[Client]:
    """A client of an interface without limits, with a task there."""
    opened()
    made = Client(port)
    assert made.post("/t", TASK).status == 201
    yield made
    made.close()


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of an interface that tests share, because nothing that they ask for is done."""
    port = free_port()
    source = source_at(port, tmp_path_factory.mktemp("jobs"))
    source.open()
    made = Client(port)
    assert made.post("/t", TASK).status == 201
    yield made
    made.close()
    source.close()


Curl = Callable[..., Any]


@pytest.fixture
def curl(port: int, opened: Callable[..., JobsSource]) -> Curl:
    """Run curl the way jobs do, and return code and content of the answer."""
    opened()
    program = need("curl")

    def run(method: str, path: str, body: object = None) -> tuple[int, Any]:
        words = [program, "--silent", "--request", method, "--write-out", "\n%{http_code}"]
        if body is not None:
            words += ["--data", json.dumps(body)]
        words.append(f"http://127.0.0.1:{port}{BASE}{path}")
        ran = subprocess.run(words, capture_output=True, text=True, check=True, timeout=20)
        content, _, code = ran.stdout.rpartition("\n")
        return int(code), json.loads(content)

    return run


def test_the_walk_through_of_the_facility_works_with_curl(curl: Curl) -> None:
    meta = {"host": "node1", "time": "1546632760.271140872"}
    task = {
        "_meta": meta,
        "tags": ["testing", "one"],
        "config": "some",
        "processes": {"arr1": 10, "arr2": [10, 8], "job1": None},
    }
    created = (201, {"created": True})

    assert curl("POST", "/walk", task) == created
    assert curl("GET", "/walk")[1]["hostname"] == "node1"
    assert curl("GET", "?tags=unknown") == (200, {"entries": [], "total": 0})
    assert curl("GET", "?tags=testing,one")[1]["total"] == 1
    assert curl("GET", "/walk/arr2?asArray=1")[1]["nJobs"] == 10
    started = {"_meta": meta, "eventClass": "STARTED"}
    assert curl("POST", "/walk/arr2/event?arrayIndex=3", started) == created
    hidden = {"_meta": meta, "eventClass": "PROGRESS", "payload": '{"progress": 90}'}
    assert curl("POST", "/walk/arr2/event?arrayIndex=3", hidden) == created
    assert curl("POST", "/walk/job1/event", started) == created
    assert curl("POST", "/walk/job1/event", {"_meta": meta, "eventClass": "FINISHED"}) == created
    names = [each["name"] for each in curl("GET", "/walk/@all?hasEventsOfClass=STARTED")[1]]
    assert names == ["arr2", "job1"]
    events = curl("GET", "/walk/arr2/event?arrayIndex=3")[1]
    assert (events["total"], [each["eventClass"] for each in events["entries"]]) == (
        2,
        ["STARTED", "PROGRESS"],
    )
    assert curl("DELETE", "/walk") == (200, {"deleted": 1})


def test_an_event_is_shown_as_it_always_was_and_spelt_right_beside(client: Client) -> None:
    meta = {"host": "n", "time": "1546632760.271140872"}
    body = {"eventClass": "PROGRESS", "progress": 40, "payload": "anything", "_meta": meta}
    client.post("/t/arr/event?arrayIndex=3", body)
    shown = client.get("/t/arr/event?arrayIndex=3")["entries"][0]
    recieved, received = shown.pop("recievedAt"), shown.pop("receivedAt")

    assert f"{recieved}+00:00" == received
    assert shown == {
        "id": 1,
        "eventClass": "PROGRESS",
        "progress": 40,
        "payload": "anything",
        "procNumInArray": 3,
        "hostname": "n",
        "clientIP": "127.0.0.1",
        "sentAt": "2019-01-04T20:12:40.271141",
    }


def test_host_and_time_of_a_solitary_process_are_kept_as_well(client: Client) -> None:
    client.post("/t/job/event", {"_meta": {"host": "n", "time": 1.5}})
    shown = client.get("/t/job/event/1")

    assert (shown["hostname"], shown["sentAt"], shown["clientIP"]) == (
        "n",
        "1970-01-01T00:00:01.500000",
        "127.0.0.1",
    )


def test_a_task_is_shown_with_its_links_and_statuses(client: Client) -> None:
    client.post("/t/arr/event?arrayIndex=0", {"eventClass": "DONE"})
    shown = client.get("/t")

    assert shown["_links"] == {"self": "/api/v0/t", "collection": "/api/v0"}
    assert shown["status"] == "RUNNING"
    assert shown["processes"][0]["status"] == "RUNNING"
    assert shown["processes"][0]["_links"] == {"events": "/api/v0/t/arr/event"}
    assert shown["processes"][1]["status"] is None


def test_a_job_is_told_when_no_more_is_needed(client: Client) -> None:
    threshold = {"type": "array", "name": "a", "nJobs": 4, "thresholdProgress": 2}
    client.post("/search", {"processes": [threshold]})
    answers = [
        client.post(f"/search/a/event?arrayIndex={index}", {"eventClass": "DONE"}).json()
        for index in range(3)
    ]

    assert answers == [
        {"created": True},
        {"created": True, "keepGoing": False},
        {"created": True, "keepGoing": False},
    ]
    assert client.get("/search/a")["progress"] == 150


def test_patch_adds_an_event_and_put_replaces_one(client: Client) -> None:
    added = client.ask("PATCH", f"{BASE}/t/job/event", {"eventClass": "STARTED"})
    put = client.ask("PUT", f"{BASE}/t/job/event/1", {"eventClass": "DONE"})

    assert (added.status, added.json()) == (201, {"created": True})
    assert (put.status, put.json()) == (200, {"replaced": True})
    assert client.get("/t/job/event")["entries"][0]["eventClass"] == "DONE"
    assert client.get("/t/job")["status"] == "DONE"


def test_put_replaces_a_task(client: Client) -> None:
    put = client.ask("PUT", f"{BASE}/t", {"processes": {"other": None}, "comment": "new"})
    shown = client.get("/t")

    assert (put.status, put.json()) == (200, {"replaced": True})
    assert (shown["comment"], [each["name"] for each in shown["processes"]]) == ("new", ["other"])


WRONG: Mapping[str, tuple[str, str, Any, int]] = {
    "no processes": ("POST", "/x", {}, 400),
    "empty processes": ("POST", "/x", {"processes": {}}, 400),
    "array without tolerance in brackets": ("POST", "/x", {"processes": {"a": [10]}}, 400),
    "no jobs": ("POST", "/x", {"processes": {"a": 0}}, 400),
    "more failures than jobs": ("POST", "/x", {"processes": {"a": [2, 3]}}, 400),
    "threshold of nothing": (
        "POST",
        "/x",
        {"processes": [{"type": "solitary", "name": "s", "thresholdProgress": 0}]},
        400,
    ),
    "a name that means all": ("POST", "/x", {"processes": {"@all": 1}}, 400),
    "unknown key": ("POST", "/x", {"processes": {"a": 1}, "typeLabel": "t"}, 400),
    "meta without time": ("POST", "/x", {"processes": {"a": 1}, "_meta": {"host": "h"}}, 400),
    "unknown key of meta": (
        "POST",
        "/x",
        {"processes": {"a": 1}, "_meta": {"time": 1, "x": 1}},
        400,
    ),
    "time that is none": ("POST", "/x", {"processes": {"a": 1}, "_meta": {"time": "x"}}, 400),
    "time of no year": ("POST", "/x", {"processes": {"a": 1}, "_meta": {"time": 1e300}}, 400),
    "list": ("POST", "/x", [1], 400),
    "no JSON": ("POST", "/x", b"{", 400),
    "nothing": ("POST", "/x", b"", 400),
    "nested without end": ("POST", "/x", b"[" * 5000, 400),
    "NUL": ("POST", "/x", {"processes": {"a": 1}, "comment": "\0"}, 400),
    "NUL in the address": ("GET", "/%00", None, 400),
    "halves of characters": ("POST", "/x", b'{"processes": {"a": 1}, "comment": "\\ud800"}', 400),
    "name missing": ("POST", "", {"processes": {"a": 1}}, 400),
    "another name": ("POST", "/x", {"processes": {"a": 1}, "name": "y"}, 400),
    "name too long": ("POST", f"/{'x' * 256}", {"processes": {"a": 1}}, 400),
    "name taken": ("POST", "/t", TASK, 409),
    "unknown task": ("GET", "/none", None, 404),
    "unknown task deleted": ("DELETE", "/none", None, 404),
    "unknown task replaced": ("PUT", "/none", TASK, 404),
    "unknown process": ("GET", "/t/none", None, 404),
    "all of an unknown task": ("GET", "/none/@all", None, 404),
    "event of an unknown process": ("POST", "/t/none/event", {}, 404),
    "events of an unknown process": ("GET", "/t/none/event", None, 404),
    "unknown event": ("GET", "/t/job/event/99", None, 404),
    "event with no number": ("GET", "/t/job/event/x", None, 400),
    "event replaced that is not there": ("PUT", "/t/job/event/99", {}, 404),
    "index as large as the array": ("POST", "/t/arr/event?arrayIndex=10", {}, 400),
    "negative index": ("POST", "/t/arr/event?arrayIndex=-1", {}, 400),
    "index that is no number": ("POST", "/t/arr/event?arrayIndex=x", {}, 400),
    "index that fits no integer": ("POST", "/t/arr/event?arrayIndex=99999999999", {}, 400),
    "no index for an array": ("POST", "/t/arr/event", {}, 400),
    "index for a solitary process": ("POST", "/t/job/event?arrayIndex=0", {}, 400),
    "progress that fits no integer": ("POST", "/t/job/event", {"progress": 2**31}, 400),
    "time of the server": ("POST", "/t/job/event", {"sentAt": "2026-12-01"}, 400),
    "unknown order": ("GET", "?order=nothing", None, 400),
    "unknown direction": ("GET", "?sort=up", None, 400),
    "unknown parameter": ("GET", "?what=1", None, 400),
    "unknown field": ("GET", "?fields=nothing", None, 400),
    "limit of nothing": ("GET", "?limit=0", None, 400),
    "all at once": ("DELETE", "", None, 403),
    "no such method": ("PATCH", "/t", {}, 405),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_told_in_one_form_and_never_in_words_of_the_database(
    unchanged: Client, mistake: str
) -> None:
    method, path, body, code = WRONG[mistake]
    answer = unchanged.ask(method, BASE + path, body)

    assert answer.status == code, answer
    assert all(each.keys() == {"reason", "details"} for each in answer.json()["errors"])
    assert method != "POST" or answer.json()["created"] is False
    assert not any(word in answer.body.lower() for word in (b"sql", b"traceback", b"pydantic"))


def test_what_is_no_json_is_told_of_the_body(unchanged: Client) -> None:
    answer = unchanged.post("/x", b"{")

    assert answer.json() == {
        "errors": [
            {"reason": "Input data is not JSON.", "details": {"body": ["must be a JSON object"]}}
        ],
        "created": False,
    }


def test_a_fault_in_a_body_is_told_by_its_place(unchanged: Client) -> None:
    answer = unchanged.post("/x", {"processes": {"a": 1}, "tags": "one"})

    assert list(answer.json()["errors"][0]["details"]) == ["tags"]


def test_a_tag_that_is_given_twice_is_there_once(client: Client) -> None:
    client.post("/tagged", {**TASK, "tags": ["a", "a"]})

    assert client.get("/tagged")["tags"] == ["a"]


def test_lists_say_how_many_there_are_when_they_are_asked_for_a_part(client: Client) -> None:
    client.post("", {**TASK, "name": "u"})

    assert client.get("")["total"] is None
    assert client.get("?limit=1&order=name&sort=desc&fields=name") == {
        "entries": [{"name": "u"}],
        "total": 2,
    }


def statuses(answers: list[Answer]) -> list[int]:
    return [answer.status for answer in answers]


def test_writing_needs_the_token_and_reading_does_not(
    opened: Callable[..., JobsSource], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_TOKEN", "s3cret")
    opened(token={"env": "JOBS_TOKEN"})
    client = Client(port)
    answers = [
        client.post("/t", TASK),
        client.post("/t", TASK, Authorization="Bearer wrong"),
        client.post("/t", TASK, Authorization="Bearer s3cret"),
        client.ask("DELETE", f"{BASE}/t"),
        client.ask("GET", f"{BASE}/t"),
    ]
    client.close()

    assert statuses(answers) == [401, 401, 201, 401, 200]


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(
    opened: Callable[..., JobsSource], port: int
) -> None:
    opened(max_request_bytes=1024)
    client = Client(port)
    said = client.post("/t", b" " * 1025)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as chunked:
        head = f"POST {BASE}/t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunked.sendall(head.encode() + b"401\r\n" + b" " * 1025)
        unsaid = chunked.recv(1000)
    client.close()

    assert said.status == 413
    assert unsaid.startswith(b"HTTP/1.1 413")


def test_who_asks_too_often_is_told_to_wait(opened: Callable[..., JobsSource], port: int) -> None:
    opened(max_requests_per_second=5)
    client = Client(port)
    answers = [client.ask("GET", "/") for _ in range(20)]
    client.close()

    assert statuses(answers[:5]) == [200] * 5
    assert answers[-1].status == 429
    assert answers[-1].headers["retry-after"] == "1"


def test_who_connects_and_does_not_ask_is_hung_up_on(
    opened: Callable[..., JobsSource], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    opened()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as silent,
        socket.create_connection(("127.0.0.1", port), timeout=10) as slow,
    ):
        for byte in b"GET / HT":
            slow.sendall(bytes([byte]))
            time.sleep(0.05)

        assert silent.recv(100) == b""
        assert slow.recv(100) == b""


@pytest.mark.parametrize(
    ("origins", "expected"),
    [([], None), (["https://jobs.example"], "https://jobs.example")],
    ids=["off", "on"],
)
def test_pages_of_other_origins_are_let_in_only_where_they_are_named(
    opened: Callable[..., JobsSource], port: int, origins: list[str], expected: str | None
) -> None:
    opened(cors_origins=origins)
    client = Client(port)
    answer = client.ask("GET", BASE, Origin="https://jobs.example")
    client.close()

    assert answer.headers.get("access-control-allow-origin") == expected


def test_the_documentation_needs_nothing_from_elsewhere(client: Client) -> None:
    page, document = client.ask("GET", "/docs"), client.ask("GET", "/openapi.json")

    assert page.status == 200
    assert b"POST /api/v0/{name}/{process}/event" in page.body
    assert b"//" not in page.body.replace(b"http://", b"").split(b"<pre>")[0]
    assert document.json()["openapi"].startswith("3.")


def test_thousands_of_jobs_that_post_at_once_lose_no_event(
    opened: Callable[..., JobsSource], port: int
) -> None:
    jobs, connections = 2000, 16
    source = opened()
    first = Client(port)
    first.post("/swarm", {"processes": {"arr": jobs}})

    def post(worker: int) -> list[int]:
        client = Client(port)
        codes = [
            client.post(f"/swarm/arr/event?arrayIndex={index}", {"eventClass": "DONE"}).status
            for index in range(worker, jobs, connections)
        ]
        client.close()
        return codes

    with ThreadPoolExecutor(connections) as threads:
        codes = [code for found in threads.map(post, range(connections)) for code in found]
    seen: list[Any] = []
    while rows := source.read(0.1).rows:
        seen += [row["index"] for row in rows]
    shown = first.get("/swarm/arr")
    first.close()

    assert set(codes) == {201}
    assert sorted(seen) == list(range(jobs))
    assert (shown["progress"], shown["status"]) == (100, "DONE")
