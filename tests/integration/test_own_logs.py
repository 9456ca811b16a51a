"""Our own log of a real run: shipped without a loop, with few lines in an outage, and without any secret."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shipper.demo.log_store import LogStore
from shipper.demo.log_store.pushes import Answer
from shipper.demo.sqream import Column, Row, SqreamEmulator, StatementRefused, WireType
from tests.support.brokers import ActiveMq
from tests.support.databases import PASSWORD, Servers
from tests.support.shipper_process import ROOT, ShipperProcess, far_ends, until, write_config

NUMBERS = [Column("n", WireType.INT)]
OWN: dict[str, Any] = {"type": "log", "every_seconds": 0.3}
METRICS = 10


@pytest.fixture
def emulator() -> Iterator[SqreamEmulator]:
    with SqreamEmulator() as running:
        running.serve("show_locks", NUMBERS, [(1,), (2,)])
        yield running


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


def locks(metrics: int = 1, **written: Any) -> dict[str, dict[str, Any]]:
    return {
        f"m{number}": {"function": "show_locks", "every_seconds": 0.3, **written}
        for number in range(metrics)
    }


def own_lines(store: LogStore) -> list[dict[str, Any]]:
    return [json.loads(each.line) for each in store.lines('{job="own_logs"}')]


def run_flags(emulator: SqreamEmulator, store: LogStore, config: Path) -> list[str]:
    return ["run", *far_ends(emulator, store.url, config), "--log_format", "json"]


def logged(shipper: ShipperProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shipper.stderr.splitlines() if line.startswith("{")]


def test_own_lines_arrive_under_their_level_with_their_own_time(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    config = write_config(tmp_path, {**locks(), "own_logs": OWN})
    with ShipperProcess(run_flags(emulator, store, config), tmp_path) as shipper:
        until(lambda: any(line["event"] == "started" for line in own_lines(store)))
        emulator.stop()
        until(lambda: any(line["event"] == "poll_failed" for line in own_lines(store)))
        shipper.terminate()
    (stored,) = [each for each in store.lines('{job="own_logs"}') if "poll_failed" in each.line]
    line = json.loads(stored.line)

    assert (stored.labels["service_name"], stored.labels["level"]) == ("shipper", "warning")
    assert stored.metadata["metric"] == line["metric"] == "m0"
    assert stored.metadata["poll"] == line["poll"]
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stored.time_ns / 1e9)) in line["time"]


def test_what_the_worker_that_ships_says_is_not_shipped_even_in_full(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    config = write_config(tmp_path, {**locks(), "own_logs": {**OWN, "level": "debug"}})
    flags = [*run_flags(emulator, store, config), "--log_level", "debug"]
    with ShipperProcess(flags, tmp_path) as shipper:
        until(lambda: sum(line["event"] == "poll_succeeded" for line in own_lines(store)) >= 5)
        store.answers.script([Answer(status=400, body=b"refused for the test")] * 5)
        until(lambda: store.answers.left == 0)
        until(lambda: shipper.polls("own_logs") >= 10)
        shipper.terminate()
    kept = (tmp_path / "state" / "log" / "shipper.jsonl").read_text()
    said = Counter(line.get("metric", "") for line in logged(shipper))

    assert said["own_logs"] > 0
    assert {line.get("metric", "") for line in own_lines(store)} == {"", "m0"}
    assert '"metric": "own_logs"' not in kept


def test_a_poll_is_followed_from_the_read_to_the_delivery(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    config = write_config(tmp_path, locks())
    flags = [*run_flags(emulator, store, config), "--log_level", "debug"]
    with ShipperProcess(flags, tmp_path) as shipper:
        until(lambda: shipper.polls("m0") >= 4)
        shipper.terminate()
    polls: dict[str, list[str]] = {}
    for line in logged(shipper):
        if line.get("poll"):
            polls.setdefault(line["poll"], []).append(line["event"])

    assert len(polls) >= 4
    assert {tuple(events) for events in polls.values()} == {("poll_succeeded", "lines_delivered")}


def test_a_metric_that_fails_every_other_poll_is_summed_up_and_the_sums_add_up(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    asked = count()

    def every_other_time() -> list[Row]:
        if next(asked) % 2:
            raise StatementRefused("not now")
        return [(1,)]

    emulator.serve("show_locks", NUMBERS, every_other_time)
    config = write_config(tmp_path, locks(every_seconds=0.1))
    with ShipperProcess(run_flags(emulator, store, config), tmp_path) as shipper:
        until(lambda: shipper.polls("m0", "error") >= 10)
        shipper.terminate()
        failures = next(asked) // 2
    told = [line for line in logged(shipper) if line.get("event") == "poll_failed"]

    assert [line.get("repeats", 0) > 0 for line in told] == [False, True]
    assert sum(line.get("repeats", 1) for line in told) == pytest.approx(failures, abs=1)


def test_a_log_file_that_takes_nothing_stops_nobody_and_is_told_once_by_each_process(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    config = write_config(tmp_path, locks(2))
    flags = [*run_flags(emulator, store, config), "--log_level", "debug"]
    flags += ["--log_file_path", "/dev/full"]
    with ShipperProcess(flags, tmp_path) as shipper:
        until(lambda: all(shipper.polls(metric) >= 5 for metric in ("m0", "m1")))
        assert shipper.terminate() == 0
    complaints = [line for line in shipper.stderr.splitlines() if "cannot be written" in line]

    text = "shipper: /dev/full cannot be written: No space left on device. Lines are missing there."
    assert complaints == [text] * 3


def test_what_was_said_while_loki_was_away_and_shipper_stopped_arrives_once(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    config = write_config(tmp_path, {**locks(), "own_logs": OWN})
    flags = [*run_flags(emulator, store, config), "--drain_seconds", "1"]
    with ShipperProcess(flags, tmp_path / "a") as shipper:
        until(lambda: own_lines(store))
        store.stop()
        until(lambda: shipper.state()["m0"]["sink_error"])
        shipper.terminate()
        first = logged(shipper)
    store.start()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "state").rename(tmp_path / "b" / "state")
    with ShipperProcess(flags, tmp_path / "b") as shipper:
        until(lambda: sum(line["event"] == "started" for line in own_lines(store)) == 2)
        shipper.terminate()
        second = logged(shipper)
    wanted = [line for line in (*first, *second) if line.get("metric", "") != "own_logs"]
    stored = Counter(json.dumps(line) for line in own_lines(store))
    begun = next(line for line in wanted if line["event"] == "started")
    ended = max(number for number, line in enumerate(wanted) if line["event"] == "started")

    assert set(stored.values()) == {1}
    assert Counter(json.dumps(line) for line in wanted[: ended + 1]) - stored == Counter()
    assert begun in own_lines(store)


def test_a_reload_that_adds_the_entry_begins_to_ship_what_everybody_says(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    config = write_config(tmp_path, locks(2))
    with ShipperProcess(run_flags(emulator, store, config), tmp_path) as shipper:
        shipper.until_ready()
        write_config(tmp_path, {**locks(2), "own_logs": OWN})
        shipper.signal(signal.SIGHUP)
        until(lambda: any(line["event"] == "reloaded" for line in own_lines(store)))
        until(lambda: all(shipper.polls(metric) for metric in ("m0", "m1", "own_logs")))
        emulator.stop()
        until(lambda: {"m0", "m1"} <= {line.get("metric") for line in own_lines(store)})
        write_config(tmp_path, locks(2))
        shipper.signal(signal.SIGHUP)
        until(lambda: sum(line["event"] == "reloaded" for line in logged(shipper)) == 2)
        shipper.terminate()

    reloads = [line["summary"] for line in logged(shipper) if line["event"] == "reloaded"]
    assert [summary.partition(" (m0")[0] for summary in reloads] == [
        "1 added (own_logs), 2 changed",
        "1 removed (own_logs), 2 changed",
    ]


def _queries() -> list[str]:
    page = (ROOT / "docs" / "how-to" / "own-logs.md").read_text(encoding="utf-8")
    return [found.replace("\\|", "|") for found in re.findall(r"\| `(.*?[^\\])` \|", page)]


def test_every_question_of_the_page_is_answered(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    # Seldom, so that the worker of the metric is the one that meets the outage, and its line is shipped.
    config = write_config(tmp_path, {**locks(), "own_logs": {**OWN, "every_seconds": 3}})
    with ShipperProcess(run_flags(emulator, store, config), tmp_path) as shipper:
        until(lambda: own_lines(store))
        store.answers.script([Answer(status=429)] * 2)
        until(lambda: any(line["event"] == "sink_recovered" for line in own_lines(store)))
        emulator.stop()
        until(lambda: any(line["event"] == "poll_failed" for line in own_lines(store)))
        shipper.terminate()
    poll = next(line["poll"] for line in own_lines(store) if line["event"] == "poll_failed")
    answers = {}
    for query in _queries():
        asked = query.replace("show_locks-3f2a[.]17", poll.replace(".", "[.]"))
        asked = asked.replace("show_locks", "m0")
        answer = urllib3.request(
            "GET", f"{store.url}/loki/api/v1/query_range", fields={"query": asked}
        )
        answers[query] = answer.status == 200 and len(answer.json()["data"]["result"]) > 0

    assert len(answers) == 5
    assert [query for query, found in answers.items() if not found] == []


def test_an_outage_of_loki_is_told_once_when_it_begins_and_once_when_it_ends(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    config = write_config(tmp_path, locks(METRICS))
    with ShipperProcess(run_flags(emulator, store, config), tmp_path) as shipper:
        until(lambda: all(shipper.polls(f"m{number}") for number in range(METRICS)))
        store.stop()
        until(lambda: all(each["sink_error"] for each in shipper.state().values()))
        time.sleep(2)
        store.start()
        until(lambda: not any(each["lines_waiting"] for each in shipper.state().values()))
        shipper.terminate()
    events = [line["event"] for line in logged(shipper) if line.get("metric")]

    assert events == ["sink_failed", "sink_recovered"]


def test_no_wrong_password_of_any_kind_is_ever_said(
    servers: Servers, activemq: ActiveMq, store: LogStore, tmp_path: Path
) -> None:
    secrets = {
        name: f"kein-Wort-{name}-7431"
        for name in ("sqream", "postgresql", "mariadb", "stomp", "loki", "store", "http")
    }
    urls = {
        kind: servers(kind).url("postgres" if kind == "postgresql" else "mysql")
        for kind in ("postgresql", "mariadb")
    }
    variables = {
        **secrets,
        "store": _with_password(urls["postgresql"], secrets["store"]),
        **{kind: _with_password(url, secrets[kind]) for kind, url in urls.items()},
    }
    for name, secret in secrets.items():
        (tmp_path / name).write_text(secret)
    store.answers.script([Answer(status=401, body=f"no: {secrets['loki']}".encode())] * 1000)
    log_file, optional = tmp_path / "shipper.log", {"required": False, "every_seconds": 0.3}
    broker = {"type": "stomp", "host": "127.0.0.1", "port": activemq.port, **optional}
    config = write_config(
        tmp_path,
        {
            "show_locks": optional,
            "pg": _query("postgresql", optional),
            "my": _query("mariadb", optional),
            "broker": {
                **broker,
                "destination": "/queue/secret",
                "user": "nobody",
                "password": {"env": "A_STOMP"},
            },
            "lines": {"type": "log", **optional},
        },
        sqream={"password": {"env": "A_SQREAM"}},
        store={"url": {"env": "A_STORE"}, "required": False},
        loki={
            "username": "nobody",
            "password": {"file": str(tmp_path / "loki")},
            "required": False,
        },
        http={"token": {"file": str(tmp_path / "http")}},
    )
    with SqreamEmulator(password="another") as emulator:  # noqa: S106
        flags = [*far_ends(emulator, store.url, config), "--log_level", "debug"]
        flags += ["--log_file_path", str(log_file)]
        given = {f"A_{name.upper()}": text for name, text in variables.items()}
        with ShipperProcess(["run", *flags], tmp_path / "run", variables=given) as shipper:
            failing = ("show_locks", "pg", "my", "broker")
            until(lambda: _all_failed(shipper, failing, secrets["http"]))
            until(lambda: "loki takes no lines" in shipper.stderr)
            state = shipper.get("/api/state", token=secrets["http"]).data.decode()
            shown = [state, *shipper.titles()]
            shipper.terminate()
    shown += [shipper.stdout, shipper.stderr, log_file.read_text()]
    shown += [
        each.read_bytes().decode("utf-8", "replace")
        for each in (tmp_path / "run" / "state").rglob("*")
        if each.is_file()
    ]

    assert [name for name, secret in secrets.items() for text in shown if secret in text] == []
    assert "***" in shipper.stderr


def _with_password(url: str, password: str) -> str:
    return url.replace(PASSWORD.replace(" ", "%20"), password)


def _query(kind: str, optional: Mapping[str, Any]) -> dict[str, Any]:
    url = {"env": f"A_{kind.upper()}"}
    return {"type": "sql", "url": url, "query": "SELECT 1 AS n", **optional}


def _all_failed(shipper: ShipperProcess, metrics: tuple[str, ...], token: str) -> bool:
    answer = shipper.get("/api/state", token=token).json()
    errors = {each["metric"]: each["error"] for each in answer["metrics"]}
    return all(errors.get(metric) for metric in metrics)
