"""The real program with `config_files/lamia.json`: a database of the old facility, jobs that post, and kills."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pytest
import urllib3

from shipper.demo.log_store import LogStore
from tests.support.databases import Database
from tests.support.job_tables import take_from_the_facility
from tests.support.jobs import Answer, Client
from tests.support.ready_made import Changes, Shipped, ended, given, shipping
from tests.support.services import free_port
from tests.support.shipper_process import ShipperProcess, until

TOKEN = "s3cret of the tests"  # noqa: S105 - only on loopback, only while a test runs
KEPT_AFTER_SECONDS = 30.0


@dataclass(frozen=True)
class Lamia(Shipped):
    """A task of an old facility, a new one, and their events."""

    database: Database
    shown: Mapping[str, Any]
    gauges: Mapping[str, float | None]
    page: Mapping[str, Any]


def changes(port: int, database: Database) -> Changes:
    return Changes(
        {"metrics.lamia.port": port, "metrics.lamia.host": "127.0.0.1"},
        {"LAMIA_DATABASE_URL": database.url, "LAMIA_TOKEN": TOKEN},
    )


def posted(client: Client, path: str, body: object) -> Answer:
    return client.post(path, body, Authorization=f"Bearer {TOKEN}")


def until_it_serves(client: Client) -> None:
    def serves() -> bool:
        try:
            return client.ask("GET", "/").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    until(serves)


@pytest.fixture(scope="module")
def lamia(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lamia]:
    folder, port = tmp_path_factory.mktemp("lamia"), free_port()
    database = Database("sqlite", f"sqlite:///{folder / 'lamia.sqlite3'}")
    take_from_the_facility(database)
    client = Client(port)
    with LogStore() as loki:
        with shipping("lamia.json", folder, loki, changes(port, database)) as shipper:
            shipper.until_ready()
            until_it_serves(client)
            posted(client, "/new", {"processes": {"arr": [3, 1], "job": None}})
            posted(client, "/new/arr/event?arrayIndex=2", {"eventClass": "DONE", "payload": "p"})
            posted(client, "/old/arr/event?arrayIndex=3", {"eventClass": "STARTED"})
            assert client.post("/new/job/event", {"eventClass": "UNASKED"}).status == 401
            until(lambda: len(loki.lines()) == 2)
            until(lambda: shipper.value("shipper_jobs", metric="lamia", state="DONE") == 2)
            shown = {name: client.get(f"/{name}") for name in ("old", "new")}
            gauges = {
                process: shipper.value(
                    "shipper_job_progress_ratio", metric="lamia", task="new", process=process
                )
                for process in ("arr", "job")
            }
            asked = ("state", "jobs?limit=1", "jobs/new/arr?offset=2", "jobs/new/none")
            page = {each: shipper.get(f"/api/{each}").json() for each in asked}
            left = ended(shipper, loki)
        client.close()
        yield Lamia(**vars(left), database=database, shown=shown, gauges=gauges, page=page)


def test_the_run_ends_in_good_order(lamia: Lamia) -> None:
    assert lamia.exit_code == 0


def test_an_event_is_a_line_under_its_class(lamia: Lamia) -> None:
    line = lamia.of(eventClass="DONE")[0]
    row = json.loads(line.line)

    assert line.labels["job"] == "lamia"
    assert line.labels["service_name"] == "jobs"
    assert given(line) == {"task": "new", "process": "arr", "index": "2"}
    assert (row["task"], row["index"], row["payload"]) == ("new", 2, "p")


def test_tasks_of_the_old_facility_are_there_and_go_on(lamia: Lamia) -> None:
    old = lamia.shown["old"]["processes"][0]

    assert (old["progress"], old["lastEventClass"]) == (25, "STARTED")
    assert [row["task"] for row in lamia.rows(eventClass="STARTED")] == ["old"]


def test_events_of_before_are_not_shipped(lamia: Lamia) -> None:
    assert lamia.rows(eventClass="BEAT") == []


def test_the_page_is_told_of_the_newest_tasks(lamia: Lamia) -> None:
    listed = lamia.page["jobs?limit=1"]
    (task,) = listed["tasks"]

    assert lamia.page["state"]["sections"] == {"runs": False, "jobs": True}
    assert (task["name"], task["status"], listed["total"]) == ("new", "RUNNING", 2)
    assert [each["jobs"] for each in task["processes"]] == [
        {"DONE": 1, "FAILED": 0, "RUNNING": 0, "PENDING": 2},
        {"DONE": 0, "FAILED": 0, "RUNNING": 0, "PENDING": 1},
    ]


def test_the_page_is_told_of_the_jobs_of_a_process(lamia: Lamia) -> None:
    listed = lamia.page["jobs/new/arr?offset=2"]

    assert [(each["index"], each["status"]) for each in listed["jobs"]] == [(2, "DONE")]
    assert listed["total"] == 3
    assert lamia.page["jobs/new/none"] == {"error": "there is no process none of a task new"}


def test_the_gauges_tell_of_the_new_task(lamia: Lamia) -> None:
    assert lamia.gauges["job"] == 0.0
    assert lamia.gauges["arr"] in (0.0, 1 / 3, 0.33)


class Poster:
    """Posts numbered events, each until it is acknowledged, and remembers which were."""

    def __init__(self, port: int) -> None:
        self.acknowledged: list[int] = []
        self._port = port
        self._stop = Event()
        self._thread = Thread(target=self._post)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20.0)

    def _post(self) -> None:
        client, number = Client(self._port), 0
        while not self._stop.is_set():
            try:
                answer = posted(client, "/t/job/event", {"payload": str(number)})
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
                continue
            if answer.status == 201:
                self.acknowledged.append(number)
                number += 1
        client.close()


def killed(shipper: ShipperProcess) -> None:
    """Kill the worker the hard way, and wait for its successor."""
    before = shipper.worker_pids()["lamia"]
    psutil.Process(before).send_signal(signal.SIGKILL)
    until(lambda: shipper.worker_pids().get("lamia") not in (None, before))


def test_no_event_that_was_acknowledged_is_lost_over_kills(tmp_path: Path) -> None:
    port = free_port()
    database = Database("sqlite", f"sqlite:///{tmp_path / 'lamia.sqlite3'}")
    client = Client(port)
    with LogStore() as loki, shipping("lamia.json", tmp_path, loki, changes(port, database)) as run:
        run.until_ready()
        until_it_serves(client)
        posted(client, "/t", {"processes": {"job": None}})
        poster = Poster(port)
        for _ in range(3):
            seen = len(poster.acknowledged)
            until(lambda seen=seen: len(poster.acknowledged) > seen + 20)  # type: ignore[misc]
            killed(run)
        poster.stop()
        wanted = set(poster.acknowledged)

        def arrived() -> set[int]:
            return {int(json.loads(line.line)["payload"]) for line in loki.lines()}

        until(lambda: wanted <= arrived(), within_seconds=KEPT_AFTER_SECONDS)
        stored = {int(row[0]) for row in database.answer("SELECT payload FROM events")}
        client.close()

    assert wanted <= stored
