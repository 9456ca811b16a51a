"""What the whole program serves: metrics of all workers, health, state, and a real Prometheus that scrapes them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from shipper import __version__
from shipper.demo.log_store import LogStore
from shipper.demo.sqream import Column, SqreamEmulator, WireType
from tests.support.services import free_port, need
from tests.support.shipper_process import (
    ShipperProcess,
    far_ends,
    until,
    write_config,
)

TOKEN = "open-sesame-2209"  # noqa: S105 - opens a test
NUMBERS = [Column("n", WireType.BIGINT), Column("node", WireType.TEXT)]
METRICS = {
    "show_locks": 0.25,
    "show_conf": {
        "every_seconds": 0.25,
        "metrics": [{"name": "test_conf_n", "help": "n", "value": "n", "labels": ["node"]}],
    },
}


@pytest.fixture(scope="module")
def shipper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShipperProcess]:
    folder = tmp_path_factory.mktemp("web")
    config = write_config(folder, METRICS)
    with SqreamEmulator() as emulator, LogStore() as store:
        for function in METRICS:
            emulator.serve(function, NUMBERS, [(7, 'a "quoted" \\ node'), (8, "b")])
        with ShipperProcess(["run", *far_ends(emulator, store.url, config)], folder) as running:
            running.until_ready()
            until(lambda: all(running.polls(metric) >= 1 for metric in METRICS))
            yield running


@contextmanager
def guarded(folder: Path) -> Iterator[ShipperProcess]:
    """Run a shipper that wants a token."""
    (folder / "token").write_text(f"{TOKEN}\n")
    config = write_config(folder, {"show_version": 0.5})
    with SqreamEmulator() as emulator, LogStore() as store:
        flags = [*far_ends(emulator, store.url, config), "--http_token_file", str(folder / "token")]
        with ShipperProcess(["run", *flags], folder) as running:
            yield running.until_ready()


# Metrics


def test_every_worker_counts_on_one_page(shipper: ShipperProcess) -> None:
    counted = {
        dict(labels)["metric"] for name, labels in shipper.metrics() if "polls_total" in name
    }

    assert counted == set(METRICS)


def test_the_page_says_which_shipper_it_is(shipper: ShipperProcess) -> None:
    (labels,) = [dict(labels) for name, labels in shipper.metrics() if name == "shipper_build_info"]

    assert labels["version"] == __version__


def test_the_page_shows_the_metrics_that_an_entry_makes_of_its_rows(
    shipper: ShipperProcess,
) -> None:
    assert shipper.value("test_conf_n", node='a "quoted" \\ node') == 7
    assert shipper.value("test_conf_n", node="b") == 8


def test_a_running_worker_is_up(shipper: ShipperProcess) -> None:
    until(lambda: all(shipper.value("shipper_worker_up", metric=name) == 1 for name in METRICS))


def test_promtool_finds_nothing_to_say_about_the_page(shipper: ShipperProcess) -> None:
    page = shipper.get("/metrics").data
    checked = subprocess.run(
        [need("promtool"), "check", "metrics"], input=page, capture_output=True
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_counters_do_not_go_back_when_a_worker_starts_again(shipper: ShipperProcess) -> None:
    until(lambda: shipper.polls("show_locks") >= 5)
    pid = shipper.worker_pids()["show_locks"]
    before = shipper.metrics()
    os.kill(pid, signal.SIGKILL)
    until(lambda: shipper.state()["show_locks"]["pid"] not in (0, pid))
    until(lambda: shipper.polls("show_locks") > before_polls(before))
    after = shipper.metrics()

    counters = [key for key in before if key[0].endswith(("_total", "_count", "_sum", "_bucket"))]
    assert [key for key in counters if after.get(key, 0.0) < before[key]] == []


def before_polls(samples: dict[tuple[str, frozenset[tuple[str, str]]], float]) -> float:
    labels = frozenset({("metric", "show_locks"), ("result", "ok")})
    return samples["shipper_polls_total", labels]


def test_the_totals_of_the_state_do_not_go_back_when_a_worker_starts_again(
    shipper: ShipperProcess,
) -> None:
    until(lambda: shipper.state()["show_locks"]["rows_total"] >= 10)
    pid, before = shipper.worker_pids()["show_locks"], shipper.state()["show_locks"]["rows_total"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: shipper.state()["show_locks"]["pid"] not in (0, pid))
    until(lambda: shipper.state()["show_locks"]["rows_total"] != before)

    assert shipper.state()["show_locks"]["rows_total"] > before


# Health and state


def test_the_state_names_every_metric_with_what_it_is_at(shipper: ShipperProcess) -> None:
    shipper.until_ready()
    state = until(shipper.state)["show_conf"]

    assert state["state"] == "running"
    assert (state["result"], state["error"], state["rows_in_last_poll"]) == ("ok", "", 2)
    assert state["every_seconds"] == 0.25


def test_the_page_for_people_is_served(shipper: ShipperProcess) -> None:
    page = shipper.get("/")

    assert page.status == 200
    assert b"</html>" in page.data


def test_an_unknown_path_is_not_found(shipper: ShipperProcess) -> None:
    assert shipper.get("/nowhere").status == 404


def test_a_supervisor_that_does_not_tick_is_neither_ready_nor_healthy(
    shipper: ShipperProcess,
) -> None:
    shipper.until_ready()
    healthy_before = shipper.get("/healthy").status
    shipper.signal(signal.SIGSTOP)
    try:
        until(lambda: shipper.get("/healthy").status == 503)
        ready = shipper.get("/ready")
    finally:
        shipper.signal(signal.SIGCONT)
    until(lambda: shipper.get("/healthy").status == 200)
    shipper.until_ready()

    assert healthy_before == 200
    assert ready.status == 503
    assert ready.json()["reasons"] == ["the supervisor has not reported for some seconds"]


def test_a_web_process_that_is_killed_serves_again_at_the_same_address(
    shipper: ShipperProcess,
) -> None:
    (web,) = [each for each in shipper.living() if "shipper: web" in " ".join(each.cmdline())]
    web.kill()

    def answers() -> bool:
        try:
            return shipper.get("/ready").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    until(lambda: not web.is_running() or web.status() == "zombie")
    until(answers)


# The token


def test_with_a_token_only_the_health_answers_are_open(tmp_path: Path) -> None:
    with guarded(tmp_path) as running:
        paths = ("/", "/metrics", "/api/state", "/ready", "/healthy")
        without = {path: running.get(path).status for path in paths}
        wrong = running.get("/metrics", token="guessed").status  # noqa: S106 - a wrong one
        right = {path: running.get(path, token=TOKEN).status for path in paths}

    assert without == {
        "/": 401,
        "/metrics": 401,
        "/api/state": 401,
        "/ready": 200,
        "/healthy": 200,
    }
    assert wrong == 401
    assert set(right.values()) == {200}


# A real Prometheus


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Run a Prometheus that scrapes `target`, and yield its address."""
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        f"- {{job_name: shipper, static_configs: [{{targets: ['{target}']}}]}}\n"
    )
    arguments = [
        need("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=folder)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def asked(address: str, query: str) -> list[dict[str, Any]]:
    """Return the series that Prometheus answers; none while it does not answer."""
    try:
        answer = urllib3.request(
            "GET", f"{address}/api/v1/query", fields={"query": query}, retries=False, timeout=5.0
        )
    except urllib3.exceptions.HTTPError:
        return []
    if answer.status != 200:
        return []
    series: list[dict[str, Any]] = answer.json()["data"]["result"]
    return series


def test_a_real_prometheus_scrapes_the_page_and_knows_the_rows(
    shipper: ShipperProcess, tmp_path: Path
) -> None:
    with prometheus(tmp_path, shipper.address.removeprefix("http://")) as address:
        rows = until(lambda: asked(address, "shipper_rows_total"))
        (up,) = asked(address, 'up{job="shipper"}')

    assert {each["metric"]["metric"] for each in rows} == set(METRICS)
    assert all(float(each["value"][1]) > 0 for each in rows)
    assert up["value"][1] == "1"
