"""Runs of Time Frames, as the page asks for them while they are kept."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
import zmq

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import SqreamEmulator
from tests.support.services import free_port
from tests.support.shipper_process import ShipperProcess, far_ends, until, write_config


@pytest.fixture(scope="module")
def shipper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShipperProcess]:
    folder = tmp_path_factory.mktemp("runs")
    address = f"tcp://127.0.0.1:{free_port()}"
    entry = {"type": "zeromq", "bind": address, "format": "json", "store": "tf_metadata"}
    config = write_config(folder, {"tf": {**entry, "ship": False, "every_seconds": 0.2}})
    with (
        SqreamEmulator() as emulator,
        LogStore() as store,
        ShipperProcess(["run", *far_ends(emulator, store.url, config)], folder) as running,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as sending,
    ):
        sending.connect(address)
        running.until_ready()
        for number in range(30):
            frame = {"file_id": f"f{number}", "run_number": number // 10, "file_size_bytes": 5}
            sending.send(orjson.dumps({**frame, "status": "registered"}))
        until(lambda: running.state()["tf"]["lines_delivered"] == 30)
        yield running
        sending.close(0)


def test_the_state_says_that_there_are_runs(shipper: ShipperProcess) -> None:
    assert shipper.get("/api/state").json()["sections"] == {"runs": True, "jobs": False}


def test_the_newest_runs_come_first(shipper: ShipperProcess) -> None:
    runs = shipper.get("/api/runs?limit=2").json()["runs"]

    assert [run["run_number"] for run in runs] == [2, 1]
    assert (runs[0]["total_tfs"], runs[0]["total_bytes"]) == (10, 50)
    assert runs[0]["start_time"].endswith("+00:00")
    assert runs[0]["first_at"] is None


def test_a_run_tells_what_it_came_to_and_how_fast(shipper: ShipperProcess) -> None:
    run = shipper.get("/api/runs/0").json()

    assert run["by_status"] == {"registered": 10}
    assert (sum(run["rate"]["counts"]), sum(run["rate"]["bytes"])) == (10, 50)


def test_a_run_that_there_is_not_is_told(shipper: ShipperProcess) -> None:
    answer = shipper.get("/api/runs/99")

    assert (answer.status, answer.json()) == (404, {"error": "there is no run 99"})


def test_a_database_that_is_gone_is_told_in_a_sentence(shipper: ShipperProcess) -> None:
    path = shipper._folder / "state" / "store.db"
    hidden = path.with_suffix(".hidden")
    path.rename(hidden)
    answer = shipper.get("/api/runs")
    hidden.rename(path)
    after = shipper.get("/api/runs")

    assert answer.status == 503
    assert answer.json()["error"].startswith(f"sqlite:///{path} cannot be asked now: ")
    assert after.status == 200
