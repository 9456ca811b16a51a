"""Where events of jobs go, and what a service says to one."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from shipper.core.errors import ConfigError
from shipper.wiring.job_event.post import Away, Event, NotTaken, Service, read_address
from tests.support.clock import FakeClock

ADDRESS = "http://h:8088/api/v0/t1/arr/event?arrayIndex=3"


def service(clock: FakeClock, *, retry_seconds: float = 0.0) -> Service:
    return Service(read_address(ADDRESS), None, "node1", 1.0, retry_seconds, clock, Random(1))


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[bytes], bytes]) -> None:
    monkeypatch.setattr(Service, "_attempt", lambda _self, content: answer(content))


def refusing(error: Exception) -> Callable[[bytes], bytes]:
    def refuse(_content: bytes) -> bytes:
        raise error

    return refuse


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (ADDRESS, "/api/v0/t1/arr/event"),
        ("https://h/api/v0/t1/job1/event", "/api/v0/t1/job1/event"),
        ("http://h/api/v0/t1/job1", "/api/v0/t1/job1/event"),
        ("http://h/api/v0/t1/job1/?arrayIndex=0", "/api/v0/t1/job1/event"),
        ("http://h/prefix/api/v0/t1/job1/event", "/prefix/api/v0/t1/job1/event"),
        ("http://h/api/v0/t1/event", "/api/v0/t1/event/event"),
    ],
)
def test_an_address_ends_with_event(written: str, path: str) -> None:
    assert read_address(written).path == path


@pytest.mark.parametrize(
    "written",
    ["", "h:8088/api/v0/t/p/event", "ftp://h/api/v0/t/p/event", "http:///api/v0/t/p/event", "http://h",
     "http://h/api/v0/t", "http://h:x/api/v0/t/p/event", "http://u:p@h/api/v0/t/p/event",
     "http://h/api/v0/t/p/event/7", "http://h/api/v0/t/p\r\nX: y/event", "http://h/api/v0/t/p/event#a"],
)  # fmt: skip
def test_what_is_no_address_is_refused_in_printable_words(written: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_address(written)

    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("answer", "goes_on"),
    [
        (b'{"created": true}', True),
        (b'{"created": true, "keepGoing": true}', True),
        (b'{"created": true, "keepGoing": false}', False),
        (b'{"created": true, "keepGoing": null}', True),
        (b"[]", True),
        (b"no JSON", True),
        (b"[" * 100_000, True),
    ],
    ids=lambda value: str(value)[:40],
)
def test_only_who_says_so_wants_the_job_to_end(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, goes_on: bool
) -> None:
    answering(monkeypatch, lambda _content: answer)

    assert service(FakeClock()).post(Event("BEAT"), _never) is goes_on


def test_a_service_that_is_away_is_tried_for_as_long_as_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, pauses = FakeClock(), list[float]()
    answering(monkeypatch, refusing(Away("refused")))

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        clock.pass_seconds(seconds)

    with pytest.raises(Away):
        service(clock, retry_seconds=100.0).post(Event("DONE"), pause)

    assert sum(pauses) == pytest.approx(100.0)
    assert max(pauses) <= 30.0
    assert pauses[0] <= 0.5


def test_attempts_of_many_jobs_do_not_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, refusing(Away("refused")))
    pauses: list[float] = []

    def end(seconds: float) -> bool:
        pauses.append(seconds)
        return True

    for seed in range(10):
        ours = Service(read_address(ADDRESS), None, "n", 1.0, 9.0, FakeClock(), Random(seed))
        with pytest.raises(Away):
            ours.post(Event("DONE"), end)

    assert len(set(pauses)) == 10


def test_what_is_refused_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, refusing(NotTaken("no such task")))

    with pytest.raises(NotTaken, match="no such task"):
        service(FakeClock(), retry_seconds=100.0).post(Event("DONE"), _never)


def test_an_event_says_only_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    def take(content: bytes) -> bytes:
        sent.append(content)
        return b"{}"

    answering(monkeypatch, take)
    clock = FakeClock()
    service(clock).post(Event("BEAT"), _never)
    service(clock).post(Event("PROGRESS", 40, "ü"), _never)
    meta = {"host": "node1", "time": clock.now_ns() / 1e9}

    assert [json.loads(content) for content in sent] == [
        {"eventClass": "BEAT", "_meta": meta},
        {"eventClass": "PROGRESS", "progress": 40, "payload": "ü", "_meta": meta},
    ]


def _never(_seconds: float) -> Any:
    raise AssertionError("there is nothing to wait for")
