"""A new kind of source is one module: it is put into a copy of the program, and everything else finds it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.demo.log_store import LogStore
from tests.support.program_copy import copy_with_source
from tests.support.shipper_process import Ended, ShipperProcess, command, until, write_config

MODULE = '''"""Ticks."""

import time
from typing import Literal

from shipper.config.models import SourceSettings
from shipper.core.errors import SourceRefused
from shipper.core.record import Batch


class TickerSettings(SourceSettings):
    """A clock that ticks at every poll."""

    type: Literal["ticker"] = "ticker"
    """A clock."""

    word: str = "tick"
    """What it says; `never` is refused."""

    def build(self, metric, section, state_dir):
        return Ticker(self.word)

    def instance(self, section):
        return "clock:0"


class Ticker:
    def __init__(self, word):
        self.word = word
        self.count = 0

    def open(self, cursor=None):
        if self.word == "never":
            raise SourceRefused("this clock stands")

    def read(self, timeout_seconds):
        self.count += 1
        return Batch([{"word": self.word, "n": self.count}], time.time_ns())

    def acknowledge(self, cursor):
        pass

    def close(self):
        pass
'''
GOOD = {"type": "ticker", "every_seconds": 0.25}
REFUSED = {**GOOD, "word": "never"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return `main.py` of a copy with one module more."""
    return copy_with_source(tmp_path_factory.mktemp("copy"), "ticker", MODULE)


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


def test_the_schema_knows_the_new_kind(program: Path, tmp_path: Path) -> None:
    ended = command(["schema"], tmp_path, program=program)

    assert ended.exit_code == 0
    assert "word" in json.loads(ended.stdout)["$defs"]["TickerSettings"]["properties"]


def test_the_example_of_the_new_kind_is_a_configuration_that_can_be_polled(
    program: Path, store: LogStore, tmp_path: Path
) -> None:
    example = command(["example", "ticker"], tmp_path, program=program)
    path = tmp_path / "example.json"
    path.write_text(example.stdout)
    (metric,) = json.loads(example.stdout)["metrics"]
    flags = ["--config", str(path), "--loki_url", store.url]
    ended = command(["once", metric, *flags], tmp_path, program=program)

    assert ended == Ended(0, "1 row polled, 1 line delivered.\n", "")


def test_a_run_ships_the_new_kind(program: Path, store: LogStore, tmp_path: Path) -> None:
    config = write_config(tmp_path, {"clock": GOOD})
    flags = ["--config", str(config), "--loki_url", store.url]
    with ShipperProcess(["run", *flags], tmp_path, program=program) as shipper:
        until(lambda: len(store.lines()) >= 3)

        assert shipper.terminate() == 0
        shipper.until_nothing_lives()
    first, second = store.lines()[:2]
    assert (first.line, second.line) == ('{"word":"tick","n":1}', '{"word":"tick","n":2}')
    assert first.labels == {"job": "clock", "service_name": "ticker", "instance": "clock:0"}


def test_a_metric_that_can_never_work_is_given_up_alone(
    program: Path, store: LogStore, tmp_path: Path
) -> None:
    config = write_config(tmp_path, {"clock": GOOD, "standing": REFUSED})
    flags = ["--config", str(config), "--loki_url", store.url]
    with ShipperProcess(["run", *flags], tmp_path, program=program) as shipper:
        until(lambda: shipper.state()["standing"]["state"] == "failed")
        until(lambda: len(store.lines('{job="clock"}')) >= 3)
        ready = shipper.get("/ready")

        assert shipper.terminate() == 0
    assert ready.status == 503
    assert ready.json()["reasons"] == ["standing: failed (it can never work here; see the log)"]
    assert "this clock stands" in shipper.stderr


def test_a_metric_that_is_not_required_does_not_keep_the_run_from_being_ready(
    program: Path, store: LogStore, tmp_path: Path
) -> None:
    metrics = {"clock": GOOD, "standing": {**REFUSED, "required": False}}
    flags = ["--config", str(write_config(tmp_path, metrics)), "--loki_url", store.url]
    with ShipperProcess(["run", *flags], tmp_path, program=program) as shipper:
        until(lambda: shipper.state()["standing"]["state"] == "failed")

        shipper.until_ready()
