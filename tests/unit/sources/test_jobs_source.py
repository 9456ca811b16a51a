"""The source of jobs with its port on loopback and its tables in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.core.errors import SourceUnavailable
from shipper.core.record import Row
from shipper.sources.jobs.source import JobsSource
from tests.contract.source_contract import (
    READ_SECONDS,
    Rig,
    SourceContract,
    heard_within,
    read_until_it_fails,
)
from tests.support.jobs import BASE, Client, source_at
from tests.support.services import free_port

TASK = {"processes": {"job": None, "many": 5}}


class JobsRig(Rig):
    """A far end that is the database: it dies when nobody can open its file any more."""

    source: JobsSource

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "kept"
        self.port = free_port()
        self.client = Client(self.port)
        self.source = source_at(self.port, self._folder)

    def say(self, text: str) -> None:
        self.client.post("/told", TASK)
        answer = self.client.post("/told/job/event", {"payload": text})
        assert answer.status == 201, answer

    def heard(self, row: Row) -> str:
        return str(row["payload"])

    def die(self) -> None:
        if not self._folder.exists():
            self._folder.write_text("no folder")
            return
        self._folder.rename(self._folder.with_name("away"))
        self._folder.write_text("no folder")

    def revive(self) -> None:
        self._folder.unlink()
        self._folder.with_name("away").rename(self._folder)

    def end(self) -> None:
        # After a failure the first closing lets go of the database, and the second of the port.
        self.source.close()
        self.source.close()
        self.client.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[JobsRig]:
    made = JobsRig(tmp_path)
    yield made
    made.end()


class TestJobs(SourceContract):
    """The source of jobs keeps the promises of every source."""


def opened(rig: JobsRig) -> JobsRig:
    rig.source.open()
    return rig


def test_an_event_is_a_row_with_its_place_and_time(rig: JobsRig) -> None:
    client = opened(rig).client
    client.post("/t", TASK)
    meta = {"host": "node", "time": "1546632760.271140872"}
    body = {"eventClass": "PROGRESS", "progress": 40, "payload": "p", "_meta": meta}
    client.post("/t/many/event?arrayIndex=3", body)
    row = dict(rig.source.read(READ_SECONDS).rows[0])

    assert row.pop("receivedAt") is not None
    assert str(row.pop("sentAt")) == "2019-01-04 20:12:40.271141+00:00"
    assert row == {
        "task": "t",
        "process": "many",
        "index": 3,
        "eventClass": "PROGRESS",
        "progress": 40,
        "payload": "p",
        "hostname": "node",
        "clientIP": "127.0.0.1",
        "id": 1,
    }


def test_what_was_not_acknowledged_comes_again(rig: JobsRig) -> None:
    opened(rig).say("one")
    first = rig.source.read(READ_SECONDS)
    rig.say("two")
    rig.source.read(READ_SECONDS)
    rig.source.open(first.cursor)

    assert heard_within(rig, count=1) == ["two"]


def test_a_cursor_of_other_tables_is_not_trusted(rig: JobsRig) -> None:
    opened(rig).say("one")
    rig.source.open((1000, "others"))

    assert heard_within(rig, count=1) == ["one"]


def test_the_events_of_a_deleted_task_are_read_as_well(rig: JobsRig) -> None:
    opened(rig).say("one")
    rig.client.ask("DELETE", f"{BASE}/told")
    rig.say("two")

    assert heard_within(rig, count=2) == ["one", "two"]


def test_an_id_is_never_given_again(rig: JobsRig) -> None:
    opened(rig).say("one")
    heard_within(rig, count=1)
    rig.client.ask("DELETE", f"{BASE}/told")
    rig.say("two")

    assert heard_within(rig, count=1) == ["two"]


def test_who_begins_now_is_told_nothing_older_and_lets_nobody_in_before(tmp_path: Path) -> None:
    before = JobsRig(tmp_path)
    before.source.open()
    before.say("old")
    before.end()
    rig = JobsRig(tmp_path)
    rig.source = source_at(rig.port, tmp_path / "kept", start="now")
    rig.source.open()
    batch = rig.source.read(READ_SECONDS)

    assert list(batch.rows) == []
    assert batch.cursor is not None
    with pytest.raises(SourceUnavailable):
        assert rig.source.port
    rig.source.acknowledge(batch.cursor)
    rig.say("new")
    assert heard_within(rig, count=1) == ["new"]
    rig.end()


def test_clients_are_told_to_come_again_while_the_database_is_away(rig: JobsRig) -> None:
    opened(rig).say("one")
    rig.die()
    with pytest.raises(SourceUnavailable):
        read_until_it_fails(rig)
    rig.source.close()
    answers = [
        rig.client.post("/told/job/event", {"payload": "two"}),
        rig.client.ask("GET", f"{BASE}/told"),
    ]

    assert [answer.status for answer in answers] == [503, 503]
    assert [answer.headers["retry-after"] for answer in answers] == ["5", "5"]
    assert all(b"sqlite" not in answer.body.lower() for answer in answers)
    rig.revive()
    rig.source.open()
    rig.say("three")
    assert heard_within(rig, count=2) == ["one", "three"]


def test_a_port_that_is_taken_is_unavailable(tmp_path: Path) -> None:
    rig, other = JobsRig(tmp_path / "one"), JobsRig(tmp_path / "other")
    rig.source.open()
    other.source = source_at(rig.port, tmp_path / "other" / "kept")

    with pytest.raises(SourceUnavailable, match="already in use"):
        other.source.open()
    rig.end()
    other.end()


def test_classes_are_counted_and_words_of_one_s_own_together(rig: JobsRig) -> None:
    opened(rig).client.post("/t", TASK)
    for word in ("DONE", "DONE", "mine", "yours"):
        rig.client.post("/t/job/event", {"eventClass": word})
    batch = rig.source.read(READ_SECONDS)

    assert batch.counted == {"shipper_job_events_total": {("DONE",): 2, ("other",): 2}}


def test_gauges_tell_of_unfinished_tasks_and_of_all_jobs(rig: JobsRig) -> None:
    opened(rig).client.post("/t", TASK)
    rig.client.post("/t/many/event?arrayIndex=0", {"eventClass": "DONE"})
    rig.client.post("/t/many/event?arrayIndex=1", {"eventClass": "STARTED"})
    batch = rig.source.read(READ_SECONDS)

    assert batch.shown == {
        "shipper_job_progress_ratio": {("t", "job"): 0.0, ("t", "many"): 0.2},
        "shipper_jobs": {("DONE",): 1, ("FAILED",): 0, ("RUNNING",): 1, ("PENDING",): 4},
    }
