"""Dead letters from end to end: refused by a log store, listed and sent again by the commands."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from shipper.core.clock import SystemClock
from shipper.core.record import Stream
from shipper.demo.log_store import Answer, LogStore
from shipper.pipeline.dead_letter import DeadLetters, path_of, read_letters, replaying
from shipper.sinks.loki.settings import LokiSettings
from shipper.startup.surroundings import claim_state_dir
from tests.support.shipper_process import Ended, ShipperProcess, command, until, write_config

HOUR_NS = 3600 * 10**9
METRIC = "show_locks"
LABELS = {"job": METRIC}


class Place:
    """A state directory with the dead letters of one metric, and a log store."""

    def __init__(self, folder: Path, store: LogStore) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.store = store
        self.path = path_of(self.state_dir, METRIC)
        self._config = write_config(folder, {METRIC: 2})

    def refuse(self, *lines: bytes, age_hours: int = 300) -> None:
        """Let the store refuse lines, and keep them."""
        first_ns = time.time_ns() - age_hours * HOUR_NS
        stream = Stream(LABELS, range(first_ns, first_ns + len(lines)), lines)
        sink = LokiSettings(url=self.store.url).build()
        rejections = sink.write(stream)
        sink.close()
        letters = DeadLetters(self.path, max_bytes=10**6, clock=SystemClock())
        assert letters.add(stream, rejections, sink=sink.name) == len(lines)

    def listed(self, *words: str) -> Ended:
        return command(["dead-letter", "list", *words, *self._state], self.folder)

    def replayed(self, *words: str) -> Ended:
        return command(self.replay_words(*words), self.folder)

    def replay_words(self, *words: str) -> Sequence[str]:
        reach = ["--loki_url", self.store.url, "--config", str(self._config)]
        return ["dead-letter", "replay", *words, *reach, *self._state]

    def left(self) -> list[bytes]:
        return [letter.line for _, letter in read_letters(self.path) if letter is not None]

    def arrived(self) -> list[str]:
        return [stored.line for stored in self.store.lines(f'{{job="{METRIC}"}}')]

    @property
    def _state(self) -> Sequence[str]:
        return ["--state_dir", str(self.state_dir)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with LogStore() as store:
        yield Place(tmp_path, store)


def test_what_was_refused_is_listed_with_what_loki_said(place: Place) -> None:
    place.refuse(b"one", b"two")
    ended = place.listed()
    lines = ended.stdout.splitlines()

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert lines[0].startswith("show_locks: 2 too_old, from ")
    assert lines[-2] == "  two"
    assert "timestamp too old" in lines[-1]


def test_machines_list_them_as_json(place: Place) -> None:
    place.refuse(b"one", b"two")
    found = json.loads(place.listed(METRIC, "--json", "--limit", "1").stdout)

    assert [group["records"] for group in found["groups"]] == [2]
    assert [each["line"] for each in found["newest"]] == ["two"]


def test_a_list_needs_neither_letters_nor_a_configuration(place: Place) -> None:
    claim_state_dir(place.state_dir).release()

    assert place.listed() == Ended(0, "No dead letters.\n", "")


def test_a_state_directory_that_is_missing_or_none_is_told(place: Place) -> None:
    missing = place.listed()
    place.state_dir.mkdir()
    (place.state_dir / "notes.txt").touch()
    other = place.listed()

    assert (missing.exit_code, other.exit_code) == (3, 3)
    assert f"there is no state directory {place.state_dir}" in missing.stderr
    assert f"{place.state_dir} is no state directory of Shipper" in other.stderr


def test_what_is_still_too_old_is_refused_again_and_stays(place: Place) -> None:
    place.refuse(b"one", b"two")
    ended = place.replayed()

    assert ended == Ended(0, "0 sent, 2 refused again and kept, 0 not tried.\n", "")
    assert place.left() == [b"one", b"two"]


def test_with_the_present_time_they_are_taken(place: Place) -> None:
    place.refuse(b"one", b"two")
    began_ns = time.time_ns()
    ended = place.replayed(METRIC, "--reason", "too_old", "--restamp")
    stored = place.store.lines(f'{{job="{METRIC}"}}')

    assert ended == Ended(0, "2 sent, 0 refused again and kept, 0 not tried.\n", "")
    assert [each.line for each in stored] == ["one", "two"]
    assert all(each.time_ns > began_ns for each in stored)
    assert all("original_time" in dict(each.metadata) for each in stored)
    assert place.listed().stdout == "No dead letters.\n"


def test_what_another_reason_refused_stays(place: Place) -> None:
    place.refuse(b"one")
    ended = place.replayed("--reason", "too_long")

    assert ended.stdout == "0 sent, 0 refused again and kept, 0 not tried. 1 others stay.\n"
    assert place.left() == [b"one"]


def test_a_replay_works_while_shipper_runs(place: Place) -> None:
    place.refuse(b"one")
    running = claim_state_dir(place.state_dir)
    try:
        ended = place.replayed("--restamp")
    finally:
        running.release()

    assert ended.stdout == "1 sent, 0 refused again and kept, 0 not tried.\n"


def test_what_loki_does_not_take_at_once_is_tried_again_and_split(place: Place) -> None:
    place.refuse(b"one", b"two")
    place.store.answers.script([Answer(status=429), Answer(status=413), Answer(status=503)])
    ended = place.replayed("--restamp")

    assert ended.stdout == "2 sent, 0 refused again and kept, 0 not tried.\n"
    assert sorted(place.arrived()) == ["one", "two"]


def test_without_loki_nothing_is_lost(place: Place) -> None:
    place.refuse(b"one", b"two")
    before = place.path.read_bytes()
    asked = Answer(status=503, headers={"Retry-After": "60"}, repeat=True)
    place.store.answers.script([asked])
    ended = place.replayed()

    assert ended.exit_code == 3
    assert ended.stdout == "0 sent, 0 refused again and kept, 2 not tried.\n"
    assert ended.stderr.startswith("shipper: Loki takes no lines: Loki answered 503")
    assert ended.stderr.endswith("Nothing is lost.\n")
    assert place.path.read_bytes() == before


def test_two_replays_at_once_are_refused(place: Place) -> None:
    place.refuse(b"one")
    lock = os.open(place.path.with_name("replay.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    ended = place.replayed("--restamp")
    os.close(lock)

    assert ended == Ended(3, "", f"shipper: another replay runs on {place.path.parent}\n")
    assert place.left() == [b"one"]


def test_a_replay_that_is_killed_loses_nothing(place: Place) -> None:
    place.refuse(b"one")
    place.store.answers.script([Answer(never=True)])
    with ShipperProcess(place.replay_words("--restamp"), place.folder) as replay:
        until(lambda: place.store.answers.left == 0)
        replay.signal(signal.SIGKILL)
        replay.wait()
    assert replaying(place.path).exists()
    place.refuse(b"two")
    place.store.answers.clear()
    listed = place.listed()
    ended = place.replayed("--restamp")

    assert listed.stdout.startswith("show_locks: 2 too_old")
    assert ended.stdout == "2 sent, 0 refused again and kept, 0 not tried.\n"
    assert place.arrived() == ["one", "two"]


def test_there_may_be_nothing_to_replay(place: Place) -> None:
    assert place.replayed().stdout == "No dead letters.\n"
    place.refuse(b"one")
    assert place.replayed("other").stdout == "No dead letters of other.\n"
