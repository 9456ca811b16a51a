"""`config_files/fastmon.json`, run by the real program: ActiveMQ, a database that may go away, and a log store."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from shipper.demo.log_store import LogStore
from tests.support.brokers import PASSWORD, USER, ActiveMq
from tests.support.databases import Database, DatabaseServer, Servers
from tests.support.ready_made import (
    DELIVERED,
    REJECTED,
    Changes,
    Shipped,
    ended,
    given,
    shipping,
)
from tests.support.shipper_process import ShipperProcess, until


@pytest.fixture(scope="module")
def broker(activemq: ActiveMq) -> ActiveMq:
    return activemq


@pytest.fixture(scope="module")
def postgres(servers: Servers) -> DatabaseServer:
    """A PostgreSQL that runs."""
    return servers("postgresql")


TOPIC = "/topic/epic.fastmon.tf"
MEBIBYTE = 1024 * 1024


def time_frame(number: int, run_number: int = 7, **more: object) -> str:
    """Return the message about a Time Frame; its size follows from its number."""
    fields = {
        "file_id": f"tf-{number}",
        "run_number": run_number,
        "tf_number": number,
        "file_url": f"file:///data/tf-{number}.root",
        "file_size_bytes": MEBIBYTE + number,
        "status": "registered",
        "created_at": "2025-07-31T12:00:00Z",
    }
    return json.dumps(fields | more)


def fastmon(
    folder: Path, loki: LogStore, broker: ActiveMq, url: str, **more: object
) -> ShipperProcess:
    """Return the program with `fastmon.json` and this database, not started yet."""
    keys = {
        "store.url": url,
        "metrics.tf.host": "127.0.0.1",
        "metrics.tf.port": broker.port,
        "metrics.tf.user": USER,
        **{f"metrics.tf.{key}": value for key, value in more.items()},
    }
    changes = Changes(keys, {"ACTIVEMQ_PASSWORD": PASSWORD})
    return shipping("fastmon.json", folder, loki, changes)


def new_database(server: DatabaseServer) -> Database:
    """Return an empty database of the test's own."""
    return Database(server.name, server.url(server.new_database()), server)


def totals(database: Database) -> dict[int, tuple[int, int]]:
    """Return number and bytes of the Time Frames of every run, as `runs` says."""
    found = database.answer("SELECT run_number, total_tfs, total_size_bytes FROM runs")
    return {int(run): (int(count), int(size_bytes)) for run, count, size_bytes in found}


def kept(database: Database) -> list[str]:
    """Return the names of all Time Frames in the table; none while there is no table."""
    if not sa.inspect(database.engine).has_table("tf_metadata"):
        return []
    return [str(file_id) for (file_id,) in database.answer("SELECT file_id FROM tf_metadata")]


def shipped(loki: LogStore) -> list[str]:
    """Return the names of the Time Frames in the log store."""
    return [json.loads(line.line)["file_id"] for line in loki.lines('{job="tf"}')]


@dataclass(frozen=True)
class Fastmon(Shipped):
    """A run of the testbed."""

    instance: str
    database: Database


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory, broker: ActiveMq) -> Iterator[Fastmon]:
    folder = tmp_path_factory.mktemp("fastmon")
    database = Database("sqlite", f"sqlite:///{folder / 'fastmon.db'}")
    messages = [
        *(time_frame(number) for number in range(3)),
        time_frame(1, status="processed"),
        time_frame(2, run_number=8),
        "this is not JSON",
    ]
    with LogStore() as loki:
        with fastmon(folder, loki, broker, database.url) as shipper:
            # A topic keeps nothing for those who have not subscribed yet.
            until(lambda: shipper.polls("tf"))
            broker.publish(TOPIC, messages)
            until(lambda: len(loki.lines()) == 5)
            until(lambda: shipper.value(DELIVERED, metric="tf", sink="store") == 5)
            left = ended(shipper, loki)
        yield Fastmon(**vars(left), instance=f"127.0.0.1:{broker.port}", database=database)


def test_every_message_of_the_testbed_is_a_line(testbed: Fastmon) -> None:
    assert [row["tf_number"] for row in testbed.rows(job="tf")] == [0, 1, 2, 1, 2]


def test_the_status_of_a_time_frame_is_a_label_and_its_names_are_structured_metadata(
    testbed: Fastmon,
) -> None:
    (line,) = testbed.of(status="processed")
    metadata = given(line)

    assert line.labels == {
        "job": "tf",
        "service_name": "stomp",
        "instance": testbed.instance,
        "status": "processed",
    }
    assert {name: metadata[name] for name in ("file_id", "run_number", "destination")} == {
        "file_id": "tf-1",
        "run_number": "7",
        "destination": TOPIC,
    }


def test_every_time_frame_is_a_row_with_what_was_said_last(testbed: Fastmon) -> None:
    found = testbed.database.answer(
        "SELECT file_id, run_number, file_size_bytes, status FROM tf_metadata ORDER BY file_id"
    )

    assert [tuple(row) for row in found] == [
        ("tf-0", 7, MEBIBYTE, "registered"),
        ("tf-1", 7, MEBIBYTE + 1, "processed"),
        ("tf-2", 8, MEBIBYTE + 2, "registered"),
    ]


def test_the_runs_of_the_testbed_add_up(testbed: Fastmon) -> None:
    assert totals(testbed.database) == {7: (2, 2 * MEBIBYTE + 1), 8: (1, MEBIBYTE + 2)}


def test_the_testbed_s_messages_are_counted(testbed: Fastmon) -> None:
    by_status = {
        status: testbed.value("fastmon_time_frames_total", status=status)
        for status in ("registered", "processed")
    }

    assert by_status == {"registered": 4, "processed": 1}
    assert testbed.value("fastmon_bytes_total") == 5 * MEBIBYTE + 6


def test_a_message_of_the_testbed_that_is_no_json_is_counted_and_kept(testbed: Fastmon) -> None:
    refused = {"metric": "tf", "sink": "source", "reason": "not_json"}

    assert testbed.value(REJECTED, **refused) == 1


# What may happen to the store, and to the program


def test_a_store_that_is_away_loses_nothing_and_keeps_loki_going(
    broker: ActiveMq, postgres: DatabaseServer, tmp_path: Path
) -> None:
    queue, database = "/queue/away", new_database(postgres)
    messages = [time_frame(number) for number in range(200)]
    with LogStore() as loki:
        with fastmon(tmp_path, loki, broker, database.url, destination=queue) as it:
            broker.publish(queue, messages[:50])
            until(lambda: len(kept(database)) == 50)
            postgres.crash()
            for first in (50, 100, 150):
                broker.publish(queue, messages[first : first + 50])
                until(lambda: len(loki.lines()) == first + 50)  # noqa: B023 - called at once
            until(lambda: it.value("shipper_spool_lines", metric="tf", sink="store") == 150)
            postgres.start()
            until(lambda: len(kept(database)) == len(messages))

            assert it.terminate() == 0
        shipped_once = sorted(shipped(loki))
    wanted = sorted(f"tf-{number}" for number in range(200))
    assert (shipped_once, sorted(kept(database))) == (wanted, wanted)
    assert totals(database) == {7: (200, 200 * MEBIBYTE + sum(range(200)))}


def test_a_program_that_is_killed_in_the_middle_loses_nothing(
    broker: ActiveMq, postgres: DatabaseServer, tmp_path: Path
) -> None:
    queue, database = "/queue/killed", new_database(postgres)
    messages = [time_frame(number, run_number=number % 3) for number in range(1500)]
    wanted = {f"tf-{number}" for number in range(1500)}
    with LogStore() as loki:
        with fastmon(tmp_path, loki, broker, database.url, destination=queue) as it:
            broker.publish(queue, messages[:500])
            until(lambda: it.value(DELIVERED, metric="tf", sink="store"))
            # What Loki gets from now on is not in the table yet, and was received a moment ago.
            with postgres.frozen():
                for first in range(500, 1000, 100):
                    broker.publish(queue, messages[first : first + 100])
                    until(lambda: len(loki.lines()) > first)  # noqa: B023 - called at once
                os.killpg(it.pid, signal.SIGKILL)
                it.until_nothing_lives()
        broker.publish(queue, messages[1000:])
        with fastmon(tmp_path, loki, broker, database.url, destination=queue) as it:
            until(lambda: len(kept(database)) == len(messages))
            until(lambda: set(shipped(loki)) == wanted)

            assert it.terminate() == 0
    assert sorted(kept(database)) == sorted(wanted)
    assert totals(database) == {
        run: (500, 500 * MEBIBYTE + sum(range(run, 1500, 3))) for run in range(3)
    }
