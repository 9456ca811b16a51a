"""What dashboards ask is asked about what the real program ships and counts.

SQreamDB is the emulator; Time Frames, pysmurf and jobs run with the ready-made files of `config_files/`. With LOKI_URL
the same lines go to that Loki too, and the same is asked there.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shipper.demo.log_store import LogStore, StoredLine
from shipper.demo.sqream import SqreamEmulator
from shipper.demo.sqream.functions import LOCKS, SERVER_STATUS
from shipper.sources.sqream.ready import READY
from tests.integration.test_jobs_program import changes, posted, until_it_serves
from tests.integration.test_ready_made import free_udp_port, publish_an_afternoon
from tests.integration.test_ready_made_fastmon import TOPIC, fastmon, time_frame
from tests.integration.test_web_and_prometheus import asked, prometheus
from tests.support.brokers import ActiveMq
from tests.support.dashboards import BUILT_IN, RANGE_SECONDS, STEP_SECONDS, Question, questions
from tests.support.databases import Database
from tests.support.jobs import Client
from tests.support.ready_made import Changes, shipping
from tests.support.services import free_port
from tests.support.shipper_process import ShipperProcess, far_ends, until, write_config

QUESTIONS = questions("logql")
SERVERS = ["log_store", *(["loki"] if os.environ.get("LOKI_URL") else [])]
NAME = re.compile(r"\b(?:shipper|sqream)_\w+")
MOST_ARE_ASKED = 55
SHORT_TIMES = BUILT_IN | {"__rate_interval": "30s", "__range": "60s"}
IN_TEMPLATE = re.compile(r"\{\{\.(\w+)\}\}")

STARTED_AT, LOCKED_AT = "20-05-2024 17:45:54", "2024-05-20 17:45:55"
STATEMENTS = [
    (
        *("etl", "node_1", 3, "10.0.0.5", 5000, "master", "ann", "10.0.0.9", 7, "select 1"),
        *(STARTED_AT, status, STARTED_AT),
    )
    for status in ("Executing", "In queue")
]
LOCK = (
    *("7", "select 1", "ann", "10.0.0.5", "5000", "table$t", "Exclusive"),
    *(STARTED_AT, LOCKED_AT, 1, 1),
)


@dataclass(frozen=True)
class Shipped:
    """What the programs have shipped to, and where their pages are."""

    loki: LogStore
    pages: Sequence[str]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, activemq: ActiveMq) -> Iterator[Shipped]:
    make = tmp_path_factory.mktemp
    with LogStore() as loki, ExitStack() as running:
        shippers = [
            _ship_sqream(running, make("sqream"), loki),
            _ship_time_frames(running, make("tf"), loki, activemq),
            _ship_pysmurf(running, make("pysmurf"), loki),
            _ship_jobs(running, make("jobs"), loki),
        ]
        for service, least in (("sqream", 3), ("stomp", 3), ("udp", 11), ("jobs", 3)):
            until(partial(_has_lines, loki, service, least))
        yield Shipped(loki, [each.address.removeprefix("http://") for each in shippers])


def _has_lines(loki: LogStore, service: str, least: int) -> bool:
    return len(loki.lines(f'{{service_name="{service}"}}')) >= least


def _ship_sqream(running: ExitStack, folder: Path, loki: LogStore) -> ShipperProcess:
    emulator = running.enter_context(SqreamEmulator())
    emulator.serve("show_server_status", SERVER_STATUS, STATEMENTS)
    emulator.serve("show_locks", LOCKS, [LOCK])
    config = write_config(folder, dict.fromkeys(READY, 0.5), sqream={"ready_metrics": True})
    arguments = ["run", *far_ends(emulator, loki.url, config)]
    return running.enter_context(ShipperProcess(arguments, folder))


def _ship_time_frames(
    running: ExitStack, folder: Path, loki: LogStore, broker: ActiveMq
) -> ShipperProcess:
    shipper = running.enter_context(
        fastmon(folder, loki, broker, f"sqlite:///{folder / 'fastmon.db'}")
    )
    until(lambda: shipper.polls("tf"))
    messages = [time_frame(1), time_frame(2, 8), time_frame(1, status="failed")]
    broker.publish(TOPIC, messages)
    return shipper


def _ship_pysmurf(running: ExitStack, folder: Path, loki: LogStore) -> ShipperProcess:
    port, database = free_udp_port(), f"sqlite:///{folder / 'files.db'}"
    changes = Changes({"metrics.pysmurf.port": port}, {"PYSMURF_DATABASE_URL": database})
    shipper = running.enter_context(shipping("pysmurf.json", folder, loki, changes))
    until(lambda: shipper.polls("pysmurf"))
    publish_an_afternoon(port, folder / "data")
    return shipper


def _ship_jobs(running: ExitStack, folder: Path, loki: LogStore) -> ShipperProcess:
    port = free_port()
    client = Client(port)
    database = Database("sqlite", f"sqlite:///{folder / 'jobs.db'}")
    shipper = shipping("lamia.json", folder, loki, changes(port, database))
    running.enter_context(shipper)
    until_it_serves(client)
    assert posted(client, "/run7", {"processes": {"fit": 3}}).status == 201
    for index, event in enumerate(("STARTED", "PROGRESS", "FAILED")):
        body = {"eventClass": event, "progress": 40, "hostname": "n1"}
        assert posted(client, f"/run7/fit/event?arrayIndex={index}", body).status == 201
    client.close()
    return shipper


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, shipped: Shipped) -> str:
    if request.param == "log_store":
        return shipped.loki.url
    url = os.environ["LOKI_URL"].rstrip("/")
    _push(url, shipped.loki.lines())
    return url


def _push(url: str, lines: Sequence[StoredLine]) -> None:
    streams = [
        {
            "stream": dict(line.labels),
            "values": [[str(line.time_ns), line.line, dict(line.metadata)]],
        }
        for line in lines
    ]
    answer = urllib3.request("POST", f"{url}/loki/api/v1/push", json={"streams": streams})
    assert answer.status == 204, answer.data.decode()


def _asked(url: str, question: Question) -> list[dict[str, Any]]:
    now_ns = time.time_ns()
    if question.instant:
        path, when = "query", {"time": now_ns}
    else:
        start_ns = now_ns - RANGE_SECONDS * 1_000_000_000
        path, when = "query_range", {"start": start_ns, "end": now_ns, "step": STEP_SECONDS}
    fields = {"query": question.filled, **{name: str(value) for name, value in when.items()}}
    answer = urllib3.request("GET", f"{url}/loki/api/v1/{path}", fields=fields, timeout=30.0)
    assert answer.status == 200, answer.data.decode()
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.of)
def test_a_query_finds_something_and_has_the_labels_that_are_shown(
    question: Question, server: str
) -> None:
    found = _asked(server, question)
    shown = [*question.legend_labels, *IN_TEMPLATE.findall(question.filled)]

    assert found
    assert [
        label
        for label in shown
        if not any(label in (series.get("stream") or series["metric"]) for series in found)
    ] == []


def test_grafana_s_own_questions_about_a_loki_are_answered(server: str) -> None:
    health = Question("", "logql", "", "vector(1)+vector(1)", True, ())
    labels = urllib3.request("GET", f"{server}/loki/api/v1/labels").json()["data"]
    values = urllib3.request(
        "GET",
        f"{server}/loki/api/v1/label/job/values",
        fields={"query": '{service_name=~".+"}'},
    )

    assert [series["value"][1] for series in _asked(server, health)] == ["2"]
    assert {"job", "service_name", "instance"} <= set(labels)
    assert {"show_locks", "tf", "pysmurf", "lamia"} <= set(values.json()["data"])


# Numbers


def test_numbers_of_the_real_pages_are_found(shipped: Shipped, tmp_path: Path) -> None:
    with prometheus(tmp_path, "', '".join(shipped.pages)) as address:
        twice = "count_over_time(shipper_build_info[30s]) >= 2"
        until(lambda: len(asked(address, twice)) == len(shipped.pages))
        names = {series["metric"]["__name__"] for series in asked(address, '{__name__=~".+"}')}
        about_these = [
            question
            for question in questions("promql", SHORT_TIMES)
            if names.issuperset(NAME.findall(question.filled))
            and not question.filled.endswith("> 0")
        ]
        silent = [each.of for each in about_these if not asked(address, each.filled)]

    assert silent == []
    assert len(about_these) > MOST_ARE_ASKED
