"""SIGHUP: the whole program follows its configuration file, and touches only what changed in it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from shipper.demo.log_store import Answer, LogStore
from shipper.demo.sqream import Column, Fault, Hang, SqreamEmulator, Step, WireType
from tests.support.shipper_process import ShipperProcess, far_ends, until, write_config

TOKEN = "open-sesame-2209"  # noqa: S105 - opens a test
OFTEN = 0.25
METRICS: dict[str, Any] = {"show_locks": OFTEN, "show_conf": OFTEN}
FUNCTIONS = ("show_locks", "show_conf", "show_node_info", "show_version")
NUMBERS = [Column("n", WireType.BIGINT)]
COLUMN_METRIC = {"name": "test_reload_n", "help": "n", "value": "n"}


@dataclass(frozen=True)
class Play:
    """A shipper, its far ends, and the file it reads again when it is told to."""

    shipper: ShipperProcess
    emulator: SqreamEmulator
    store: LogStore
    folder: Path

    def write(self, metrics: dict[str, Any], **sections: Any) -> None:
        write_config(self.folder, metrics, **sections)

    def told(self, words: str) -> int:
        """Return how many lines of the log hold these words."""
        return sum(words in line for line in self.shipper.stderr.splitlines())

    def reload(self, metrics: dict[str, Any], **sections: Any) -> str:
        """Write the file, tell the supervisor, and return the line that says what happened."""
        before = self.told("eloaded: ")
        self.write(metrics, **sections)
        self.shipper.signal(signal.SIGHUP)
        until(lambda: self.told("eloaded: ") > before)
        lines = [line for line in self.shipper.stderr.splitlines() if "eloaded: " in line]
        return lines[-1].partition(" ")[2].strip()

    def pid(self, metric: str) -> int:
        return int(self.shipper.state().get(metric, {}).get("pid", 0))

    def living(self) -> dict[str, int]:
        """Return the processes of workers that the system knows, by metric."""
        return {
            title.removeprefix("shipper: "): pid
            for title, pid in self._titles().items()
            if title.removeprefix("shipper: ") in FUNCTIONS
        }

    def web_pid(self) -> int:
        return self._titles().get("shipper: web", 0)

    def _titles(self) -> dict[str, int]:
        titles = {}
        for process in self.shipper.living():
            with suppress(psutil.NoSuchProcess):
                titles[" ".join(process.cmdline()).strip()] = process.pid
        return titles

    def polled(self, *metrics: str, more: int = 1) -> None:
        """Wait until each of the metrics was polled `more` times from now on."""
        before = {metric: self.shipper.polls(metric) for metric in metrics}
        until(lambda: all(self.shipper.polls(name) >= before[name] + more for name in metrics))


@pytest.fixture(scope="module")
def lasting_play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    folder = tmp_path_factory.mktemp("reload")
    config = write_config(folder, METRICS)
    with SqreamEmulator() as emulator, LogStore() as store:
        for function in FUNCTIONS:
            emulator.serve(function, NUMBERS, [(7,)])
        flags = [*far_ends(emulator, store.url, config), "--drain_seconds", "2"]
        with ShipperProcess(["run", *flags], folder) as shipper:
            yield Play(shipper, emulator, store, folder)


@pytest.fixture
def play(lasting_play: Play) -> Play:
    """The shared play with its two metrics, whatever became of the test before."""
    lasting_play.emulator.faults.clear()
    lasting_play.store.answers.clear()
    lasting_play.shipper.until_ready()
    before = lasting_play.living()
    said = lasting_play.reload(METRICS)
    # The page is half a second behind the processes.
    restarted = {metric for metric in METRICS if metric in said}
    until(
        lambda: all(lasting_play.living().get(name, 0) != before.get(name, 0) for name in restarted)
    )
    until(lambda: lasting_play.shipper.worker_pids() == lasting_play.living())
    lasting_play.shipper.until_ready()
    lasting_play.polled(*METRICS)
    return lasting_play


def test_a_file_that_says_the_same_touches_nothing(play: Play) -> None:
    before, web = play.shipper.worker_pids(), play.web_pid()
    said = play.reload(METRICS)
    play.polled(*METRICS)

    assert said.endswith("Reloaded: 2 unchanged.")
    assert (play.shipper.worker_pids(), play.web_pid()) == (before, web)


def test_only_the_metric_that_changed_is_restarted_and_counters_go_on(play: Play) -> None:
    before, web = play.shipper.worker_pids(), play.web_pid()
    counted = {metric: play.shipper.polls(metric) for metric in METRICS}
    said = play.reload({**METRICS, "show_locks": {"every_seconds": 0.2, "labels": {"a": "b"}}})
    until(lambda: play.pid("show_locks") not in (0, before["show_locks"]))
    play.polled(*METRICS)
    after = {metric: play.shipper.polls(metric) for metric in METRICS}

    assert said.endswith("Reloaded: 1 changed (show_locks), 1 unchanged.")
    assert play.pid("show_conf") == before["show_conf"]
    assert play.web_pid() == web
    assert play.shipper.state()["show_locks"]["every_seconds"] == 0.2
    assert all(after[metric] > counted[metric] for metric in METRICS)
    assert play.shipper.value("shipper_worker_restarts_total", metric="show_locks") == 0
    assert play.store.lines('{job="show_locks", a="b"}')


def test_what_is_added_appears_and_what_is_removed_vanishes(play: Play) -> None:
    before, web = play.shipper.worker_pids(), play.web_pid()
    added = {"every_seconds": OFTEN, "metrics": [COLUMN_METRIC]}
    said = play.reload({"show_conf": OFTEN, "show_node_info": added})
    until(lambda: play.shipper.value("test_reload_n") == 7)
    play.shipper.until_ready()
    shown = {dict(labels).get("metric") for _, labels in play.shipper.metrics()}

    assert said.endswith("Reloaded: 1 added (show_node_info), 1 removed (show_locks), 1 unchanged.")
    assert set(play.shipper.state()) == {"show_conf", "show_node_info"}
    assert {"show_conf", "show_node_info"} <= shown
    assert "show_locks" not in shown
    assert (play.pid("show_conf"), play.web_pid()) == (before["show_conf"], web)
    until(lambda: "shipper: show_locks" not in play.shipper.titles())


def test_a_section_that_all_share_restarts_all(play: Play) -> None:
    before = play.shipper.worker_pids()
    said = play.reload(METRICS, loki={"tenant": "ops"})
    until(lambda: not set(before.values()) & {0, *play.shipper.worker_pids().values()})

    assert said.endswith("Reloaded: 2 changed (show_locks, show_conf), 0 unchanged.")


@pytest.mark.parametrize(
    ("metrics", "complaint"),
    [
        pytest.param({**METRICS, "show_locks": -1}, "show_locks", id="a bad value"),
        pytest.param({}, "at least one metric is needed", id="nothing to do"),
    ],
)
def test_a_file_that_cannot_be_used_changes_nothing_and_is_told(
    play: Play, metrics: dict[str, Any], complaint: str
) -> None:
    before = play.shipper.worker_pids()
    said = play.reload(metrics)
    play.polled(*METRICS)

    assert "ERROR" in said
    assert "Nothing was reloaded: " in said
    assert complaint in said
    assert play.shipper.worker_pids() == before


def test_a_file_that_is_not_json_changes_nothing(play: Play) -> None:
    before = play.shipper.worker_pids()
    (play.folder / "metrics.json").write_text('{"metrics": ')
    refused = play.told("Nothing was reloaded: ")
    play.shipper.signal(signal.SIGHUP)
    until(lambda: play.told("Nothing was reloaded: ") > refused)
    play.polled(*METRICS)

    assert play.shipper.worker_pids() == before


def test_another_address_is_told_to_need_a_restart(play: Play) -> None:
    address = play.shipper.address
    play.reload(METRICS, http={"host": "127.0.0.2"})

    assert play.told("http.host: 127.0.0.2 instead of 127.0.0.1 needs a restart.") == 1
    assert play.shipper.get("/ready").status == 200
    assert play.shipper.address == address


def test_the_page_can_be_given_a_token_and_be_opened_again(play: Play) -> None:
    secret = play.folder / "token"
    secret.write_text(f"{TOKEN}\n")
    play.reload(METRICS, http={"token": {"file": str(secret)}})
    until(lambda: play.shipper.get("/metrics").status == 401)
    with_token = play.shipper.get("/metrics", token=TOKEN).status
    play.write(METRICS)
    play.shipper.signal(signal.SIGHUP)
    until(lambda: play.shipper.get("/metrics").status == 200)

    assert with_token == 200


def test_a_web_process_that_dies_after_a_reload_shows_what_was_reloaded(play: Play) -> None:
    play.reload({"show_conf": OFTEN, "show_version": OFTEN})
    until(lambda: set(play.shipper.state()) == {"show_conf", "show_version"})
    before = play.web_pid()
    os.kill(before, signal.SIGKILL)
    until(lambda: play.web_pid() not in (0, before))
    play.shipper.until_ready()

    assert set(play.shipper.state()) == {"show_conf", "show_version"}


def test_many_signals_end_in_what_the_file_says_last(play: Play) -> None:
    before = play.shipper.worker_pids()
    for turn in range(6):
        play.write({"show_conf": OFTEN, **({"show_version": OFTEN} if turn % 2 else METRICS)})
        play.shipper.signal(signal.SIGHUP)
    play.reload({"show_conf": OFTEN, "show_locks": 0.2})
    until(lambda: set(play.shipper.state()) == set(METRICS))
    until(lambda: play.pid("show_locks") not in (0, before["show_locks"]))
    play.polled(*METRICS)
    titles = play.shipper.titles()

    assert play.pid("show_conf") == before["show_conf"]
    assert titles.count("shipper: show_locks") == 1


def test_a_worker_that_cannot_stop_is_killed_and_the_others_go_on_meanwhile(play: Play) -> None:
    before = play.shipper.worker_pids()
    hang = play.emulator.faults.add(Fault(at=Step.EXECUTE, function="show_locks", action=Hang()))
    until(hang.struck.is_set)
    play.reload({**METRICS, "show_locks": 0.2})
    play.polled("show_conf", more=4)
    meanwhile = play.pid("show_locks")
    until(lambda: play.told("Worker show_locks did not stop in time and was killed.") == 1)
    play.emulator.faults.clear()
    until(lambda: play.pid("show_locks") not in (0, before["show_locks"]))

    assert meanwhile == before["show_locks"]
    assert play.pid("show_conf") == before["show_conf"]


def test_a_stop_during_a_reload_ends_everything(tmp_path: Path) -> None:
    config = write_config(tmp_path, METRICS)
    with SqreamEmulator() as emulator, LogStore() as store:
        for function in FUNCTIONS:
            emulator.serve(function, NUMBERS, [(7,)])
        flags = [*far_ends(emulator, store.url, config), "--drain_seconds", "1"]
        with ShipperProcess(["run", *flags], tmp_path) as shipper:
            play = Play(shipper, emulator, store, tmp_path)
            shipper.until_ready()
            store.answers.script([Answer(never=True, repeat=True)])
            play.reload({"show_conf": OFTEN, "show_locks": 0.2, "show_version": OFTEN})

            assert shipper.terminate() == 0
            shipper.until_nothing_lives()
    assert "Traceback" not in shipper.stderr
