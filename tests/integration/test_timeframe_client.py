"""The Time Frame client as its users run it: a real broker, the real program, an SQLite file."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from shipper.demo.log_store import LogStore
from tests.support.brokers import PASSWORD, USER, ActiveMq
from tests.support.services import free_port
from tests.support.shipper_process import ROOT, ShipperProcess, command, until

_numbers = count(1)


@pytest.fixture(scope="module")
def broker(activemq: ActiveMq) -> ActiveMq:
    return activemq


def new_queue() -> str:
    """Return a queue that no other test knows; unlike a topic it keeps what comes too early."""
    return f"/queue/tf-{next(_numbers)}"


def client(
    broker: ActiveMq, folder: Path, *more: str, topic: str, variables: Mapping[str, str] = {}
) -> ShipperProcess:
    """Return a client that is not started yet; its database and its state lie in `folder`."""
    arguments = [
        *("start", "--host", "127.0.0.1", "--port", str(broker.port), "--user", USER),
        *("--password", PASSWORD, "--topic", topic, "--db-name", str(folder / "tf.db")),
        *("--state-dir", str(folder / "state"), *more),
    ]
    return ShipperProcess(arguments, folder, variables=variables)


def rows(folder: Path, question: str) -> list[tuple[Any, ...]]:
    """Return the rows of an answer; none while there is no database, or no table in it."""
    path = folder / "tf.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute(question).fetchall()
        except sqlite3.OperationalError:
            return []


def kept(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Return number of the run, size and time of every Time Frame, by file."""
    found = rows(folder, "SELECT file_id, run_number, file_size_bytes, created_at FROM tf_metadata")
    return {file_id: tuple(rest) for file_id, *rest in found}


def message(file_id: object, run_number: object = 1, **more: object) -> str:
    fields = {"file_id": file_id, "run_number": run_number, "file_size_bytes": 1024, **more}
    return json.dumps(fields)


# The table of rules, in one run


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the messages of the table."""

    folder: Path
    stdout: str
    stderr: str
    exit_code: int
    letters: list[dict[str, Any]]

    def kept(self) -> dict[str, tuple[Any, ...]]:
        return kept(self.folder)

    def total(self, run: int) -> tuple[Any, ...]:
        found = rows(
            self.folder,
            f"SELECT total_tfs, total_size_bytes FROM runs WHERE run_number = {run}",  # noqa: S608
        )
        return found[0]

    def reasons(self) -> list[str]:
        return sorted(letter["reason"] for letter in self.letters)


FIRST = [
    message("new", 10, tf_number=7, status="registered", created_at="2025-07-31T12:00:00Z"),
    message("again", 10),
    message("moves", 10),
]
FURTHER = [
    message("again", 10, file_size_bytes=2048, status="done"),
    message("moves", 11),
    message("run 0", 0),
    message("no time", 20, created_at="yesterday"),
    message("no zone", 20, created_at="2025-07-31T12:00:00"),
    message("other zone", 20, created_at="2025-07-31T12:00:00-05:00"),
    message("big", 20, file_size_bytes=2**40),
    message("extra", 20, colour="red"),
    message("no run", None),
    json.dumps({"file_id": "run missing"}),
    json.dumps({"run_number": 30}),
    message(None, 30),
    message("wrong type", 30, file_size_bytes="large"),
    json.dumps({"msg_type": "tf_file_registered", "tf_filename": "later.tf", "run_number": 30}),
    "this is not JSON",
    "[1, 2]",
    message("last", 40),
]


@pytest.fixture(scope="module")
def outcome(broker: ActiveMq, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("rules")
    queue = new_queue()
    with client(broker, folder, topic=queue) as running:
        broker.publish(queue, FIRST)
        until(lambda: len(kept(folder)) == len(FIRST))
        broker.publish(queue, FURTHER)
        until(lambda: "last" in kept(folder))
        running.signal(signal.SIGINT)
        exit_code = running.wait()
        running.until_nothing_lives()
        said = running.stdout, running.stderr
    words = ["dead-letter", "list", "--json", "--limit", "100", "--state_dir"]
    listed = command([*words, str(folder / "state")], folder / "list")
    return Outcome(folder, *said, exit_code, json.loads(listed.stdout)["newest"])


def test_a_time_frame_is_kept_and_its_run_begins(outcome: Outcome) -> None:
    assert outcome.kept()["new"] == (10, 1024, "2025-07-31 12:00:00.000000")


def test_the_same_file_again_is_overwritten_and_counted_once(outcome: Outcome) -> None:
    assert outcome.kept()["again"][:2] == (10, 2048)
    assert outcome.total(10) == (2, 1024 + 2048)


def test_a_file_that_moves_to_another_run_corrects_both_totals(outcome: Outcome) -> None:
    assert outcome.kept()["moves"][:2] == (11, 1024)
    assert outcome.total(11) == (1, 1024)


def test_run_0_is_a_run(outcome: Outcome) -> None:
    assert outcome.total(0) == (1, 1024)
    shown = command(
        ["status", "--run", "0", "--db-name", str(outcome.folder / "tf.db")],
        outcome.folder / "status",
    )
    assert shown.stdout.startswith("Run 0\n")


@pytest.mark.parametrize(
    ("file_id", "created_at"),
    [
        ("no time", None),
        ("no zone", "2025-07-31 12:00:00.000000"),
        ("other zone", "2025-07-31 17:00:00.000000"),
    ],
)
def test_a_time_is_kept_in_utc_or_not_at_all(
    outcome: Outcome, file_id: str, created_at: str | None
) -> None:
    assert outcome.kept()[file_id][2] == created_at


def test_a_size_may_be_larger_than_32_bits(outcome: Outcome) -> None:
    assert outcome.kept()["big"][1] == 2**40


def test_what_is_not_known_of_a_message_is_kept_as_well(outcome: Outcome) -> None:
    question = "SELECT metadata_json FROM tf_metadata WHERE file_id = 'extra'"

    assert json.loads(rows(outcome.folder, question)[0][0])["colour"] == "red"


def test_what_cannot_be_kept_becomes_a_dead_letter_with_its_reason(outcome: Outcome) -> None:
    assert outcome.reasons() == sorted(
        [
            *("no_run_number", "no_run_number", "no_file_id", "no_file_id", "wrong_type"),
            *("no_file_id", "not_json", "not_an_object"),
        ]
    )
    assert not {"no run", "run missing", "wrong type"} & set(outcome.kept())


def test_every_time_frame_is_shown_in_a_line(outcome: Outcome) -> None:
    lines = outcome.stdout.splitlines()

    assert lines[0] == ("[12:00:00] TF: new | Size: 1024B | STF: - | Run: 10 | Status: registered")
    assert any("TF: later.tf |" in line for line in lines)
    assert "\x1b" not in outcome.stdout


def test_the_end_is_summed_up(outcome: Outcome) -> None:
    assert outcome.exit_code == 0
    _, summary = outcome.stdout.split("\nSummary\n")
    lines = [line.strip() for line in summary.splitlines()]
    assert lines[1:4] == ["Files:  10", "Size:   1048576.0 MiB", "Runs:   5"]
    assert "Run 10: 2 files, 0.0 MiB" in lines


# What is around it


class WatchedElsewhere:
    """A program whose output goes to a descriptor; it is killed at the end, if it has not ended."""

    def __init__(self, arguments: list[str], stdout: int, folder: Path) -> None:
        self._arguments, self._stdout, self._folder = arguments, stdout, folder

    def __enter__(self) -> subprocess.Popen[bytes]:
        variables = {name: text for name, text in os.environ.items() if name != "NO_COLOR"}
        with (self._folder / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                self._arguments,
                cwd=ROOT,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=self._stdout,
                stderr=stderr,
                start_new_session=True,
            )
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def test_a_topic_is_received_under_its_bare_name(broker: ActiveMq, tmp_path: Path) -> None:
    with client(broker, tmp_path, topic="bare.name") as running:

        def came() -> bool:
            broker.publish("/topic/bare.name", [message("a")])
            return "a" in kept(tmp_path)

        until(came)
        assert running.terminate() == 0
        assert "Files:  1" in running.stdout


def test_with_loki_time_frames_are_shipped_as_well(broker: ActiveMq, tmp_path: Path) -> None:
    queue = new_queue()
    with LogStore() as loki:
        variables = {"SHIPPER_LOKI_URL": loki.url}
        with client(broker, tmp_path, topic=queue, variables=variables) as running:
            broker.publish(queue, [message("a")])
            until(lambda: kept(tmp_path) and loki.lines('{job="tf"}'))
            running.terminate()
        lines = [json.loads(stored.line) for stored in loki.lines('{job="tf"}')]

    assert [line["file_id"] for line in lines] == ["a"]


def test_a_reader_that_goes_away_stops_nobody(broker: ActiveMq, tmp_path: Path) -> None:
    queue = new_queue()
    running = client(broker, tmp_path, topic=queue)
    reading, writing = os.pipe()
    with WatchedElsewhere(running._arguments, writing, tmp_path) as process:
        os.close(writing)
        broker.publish(queue, [message("a")])
        assert b"TF: a" in os.read(reading, 1000)
        os.close(reading)
        broker.publish(queue, [message(f"b{number}") for number in range(50)])
        until(lambda: len(kept(tmp_path)) == 51)
        process.send_signal(signal.SIGTERM)

        assert process.wait(40) == 0


def test_a_terminal_gets_colours(broker: ActiveMq, tmp_path: Path) -> None:
    queue = new_queue()
    running = client(broker, tmp_path, topic=queue)
    terminal, its_end = pty.openpty()
    with WatchedElsewhere(running._arguments, its_end, tmp_path) as process:
        os.close(its_end)
        broker.publish(queue, [message("a", status="failed", file_url="x/\x1b[2J")])
        seen = b""
        while b"Status: failed" not in seen:
            seen += os.read(terminal, 1000)
        process.send_signal(signal.SIGTERM)
        process.wait(40)
    os.close(terminal)

    assert b"\x1b[31m[" in seen
    assert b"\x1b[2J" not in seen


@pytest.fixture(scope="module")
def running(broker: ActiveMq, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShipperProcess]:
    """A client that runs, with nothing to do."""
    with client(broker, tmp_path_factory.mktemp("running"), topic=new_queue()) as started:
        assert started.address
        yield started


def test_a_second_client_on_the_same_database_is_refused(
    running: ShipperProcess, tmp_path: Path
) -> None:
    refused = command(running._arguments[2:], tmp_path)

    assert refused.exit_code == 3
    assert "another Shipper" in refused.stderr


def test_no_password_is_shown_to_others(running: ShipperProcess) -> None:
    assert not [title for title in running.titles() if PASSWORD in title]


def test_a_broker_that_cannot_be_reached_ends_it_with_exit_code_3(tmp_path: Path) -> None:
    place = ["--db-name", str(tmp_path / "tf.db"), "--state-dir", str(tmp_path / "state")]
    ended = command(["start", "--port", str(free_port()), *place], tmp_path)

    assert ended.exit_code == 3
    assert "FAILED check_stomp_tf" in ended.stderr
    assert (ended.stdout, (tmp_path / "tf.db").exists()) == ("", False)


def test_a_database_that_cannot_be_reached_ends_it_with_exit_code_3(
    broker: ActiveMq, tmp_path: Path
) -> None:
    more = ("--db-engine", "postgresql", "--db-host", "127.0.0.1", "--db-port", str(free_port()))
    refused = client(broker, tmp_path, *more, topic=new_queue())
    ended = command(refused._arguments[2:], tmp_path / "ended")

    assert ended.exit_code == 3
    assert "FAILED check_store_connection" in ended.stderr


def test_a_broker_s_certificate_that_cannot_be_checked_ends_it_with_exit_code_3(
    broker: ActiveMq, tmp_path: Path
) -> None:
    refused = client(broker, tmp_path, "--ssl", "--ca-certs", "none.pem", topic=new_queue())
    ended = command(refused._arguments[2:], tmp_path / "ended")

    assert ended.exit_code == 3
    assert "none.pem" in ended.stderr


def test_init_db_without_a_terminal_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tf.db"
    path.touch()
    ended = command(["init-db", "--db-name", str(path)], tmp_path / "ended")

    assert ended.exit_code == 1
    assert path.read_bytes() == b""


def test_an_export_whose_reader_hangs_up_is_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "tf.db"
    brought = tmp_path / "tf.csv"
    lines = (f"tf-{number},1,2025-01-01T00:00:00Z" for number in range(20_000))
    brought.write_text("file_id,run_number,received_at\n" + "\n".join(lines) + "\n")
    reach = ["--db-name", str(path)]
    filled = command(["import", "tf", "--format", "csv", "--input", str(brought), *reach], tmp_path)
    exporting = ["export", "tf", "--format", "csv", "--output", "-", *reach]
    arguments = [sys.executable, str(ROOT / "main.py"), *exporting]
    with subprocess.Popen(
        arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as reading:
        assert reading.stdout is not None
        first = reading.stdout.readline()
        reading.stdout.close()
        exit_code = reading.wait(40)

    assert (filled.exit_code, exit_code) == (0, 0)
    assert first.startswith(b"id,file_id,run_number,")
