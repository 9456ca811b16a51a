"""What is written to the tables of jobs, in SQLite files and on servers of PostgreSQL and MariaDB."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from shipper.store.jobs import outbox, overview, views
from shipper.store.jobs.refusal import JobsRefusal
from shipper.store.jobs.tables import events
from shipper.store.jobs.wishes import NewProcess
from shipper.store.jobs.writing_events import add_events, rebuild_states
from shipper.store.jobs.writing_tasks import create_task, delete_task, replace_task
from tests.support.databases import Database as Place
from tests.support.databases import Servers
from tests.support.job_tables import (
    EVERYTHING,
    event,
    ledger_on,
    make,
    outbox_of,
    post,
    reading,
    states,
    task,
    writing,
)
from tests.support.jobs import Client, source_at
from tests.support.services import free_port
from tests.support.shipper_process import until


def test_states_follow_every_event(jobs: Place) -> None:
    make(jobs, task())
    posted = [event(1, "STARTED"), event(1, "PROGRESS", 40), event(1, "PROGRESS", 30)]
    post(jobs, *posted, event(1, "DONE"), event(2, "FAILED"), event(None, "STARTED"))
    followed = states(jobs)
    with writing(jobs) as connection:
        rebuild_states(connection)

    assert states(jobs) == followed
    assert [(row.jobIndex, row.outcome, row.progress, row.latestProgress) for row in followed] == [
        (1, "DONE", 40, 30),
        (2, "FAILED", 0, 0),
        (-1, None, 0, 0),
    ]


def test_of_those_who_ask_for_the_same_name_at_once_one_gets_it(jobs: Place) -> None:
    def ask(number: int) -> bool:
        with ledger_on(jobs) as ledger:
            wanted = task(comment=str(number))
            try:
                ledger.submit(lambda connection: create_task(connection, wanted)).result(20.0)
            except JobsRefusal:
                return False
            return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(ask, range(4))) == 1


def test_one_bad_wish_among_many_hurts_no_other(jobs: Place) -> None:
    make(jobs, task())
    wanted = [event(0, "DONE"), event(99, "DONE"), event(1, "DONE"), event(2, "x" * 300)]
    with ledger_on(jobs) as ledger:
        settled = [ledger.submit(each) for each in wanted]
        errors = [each.exception(20.0) for each in settled]

    assert [error is None for error in errors[:3]] == [True, False, True]
    assert [row["index"] for row in outbox_of(jobs)][:2] == [0, 1]


def test_the_outbox_passes_over_no_event_of_several_writers(jobs: Place) -> None:
    make(jobs, task("t", NewProcess("arr", jobs=1000)))

    def write(first: int) -> None:
        with ledger_on(jobs) as ledger:
            for settled in [ledger.submit(event(first + each, "DONE")) for each in range(100)]:
                settled.result(20.0)

    seen: list[int] = []
    with ThreadPoolExecutor(3) as threads:
        writers = [threads.submit(write, first) for first in (0, 100, 200)]
        while not all(writer.done() for writer in writers):
            seen += [row["index"] for row in outbox_of(jobs, _last_id(jobs, seen))]
        for writer in writers:
            writer.result()
    seen += [row["index"] for row in outbox_of(jobs, _last_id(jobs, seen))]

    assert sorted(seen) == list(range(300))


def _last_id(jobs: Place, seen: Sequence[int]) -> int:
    """Return the id of the event that was seen last."""
    if not seen:
        return 0
    with reading(jobs) as connection:
        found = connection.scalar(sa.select(events.c.id).where(events.c.procNumInArray == seen[-1]))
    return int(found or 0)


def test_deleted_events_stay_until_they_are_shipped(jobs: Place) -> None:
    make(jobs, task())
    post(jobs, event(0, "STARTED"), event(1, "STARTED"), event(2, "STARTED"))
    with writing(jobs) as connection:
        delete_task(connection, "t", 1)

    assert [row["index"] for row in outbox_of(jobs, 1)] == [1, 2]
    with writing(jobs) as connection:
        outbox.forget(connection, 2)
    assert [row["index"] for row in outbox_of(jobs, 1)] == [2]


def test_nothing_of_a_deleted_task_is_left_but_tags_of_others(jobs: Place) -> None:
    make(jobs, task("t", tags=("shared", "own")))
    make(jobs, task("u", tags=("shared",)))
    post(jobs, event(0, "STARTED"))
    with writing(jobs) as connection:
        delete_task(connection, "t", EVERYTHING)

    assert states(jobs) == []
    assert [row[0] for row in jobs.answer("SELECT name FROM tags")] == ["shared"]
    assert [row[0] for row in jobs.answer("SELECT name FROM tasks")] == ["u"]


def test_a_replaced_task_keeps_the_events_of_what_stays(jobs: Place) -> None:
    make(jobs, task())
    post(jobs, event(0, "DONE"), event(None, "STARTED"))
    with writing(jobs) as connection:
        replace_task(connection, task("t", NewProcess("arr", jobs=2), tags=("new",)), 0)
    with reading(jobs) as connection:
        found = views.task(connection, "t")

    assert [(each["name"], each["progress"]) for each in found["processes"]] == [("arr", 50)]
    assert found["tags"] == ["new"]
    assert len(outbox_of(jobs)) == 2


def test_an_array_cannot_become_smaller_than_its_events(jobs: Place) -> None:
    make(jobs, task())
    post(jobs, event(7, "DONE"))

    with pytest.raises(JobsRefusal, match="beyond nJobs"), writing(jobs) as connection:
        replace_task(connection, task("t", NewProcess("arr", jobs=7)), 0)


def test_names_are_told_apart_by_case_and_by_blanks_at_the_end(jobs: Place) -> None:
    for name in ("name", "NAME", "name "):
        make(jobs, task(name))
    with reading(jobs) as connection:
        found = overview.of_tasks(connection, ["name"])

    assert {each.task for each in found} == {"name"}


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_server_that_was_away_is_written_to_again(
    kind: str, servers: Servers, tmp_path: Path
) -> None:
    server = servers(kind)
    source = source_at(free_port(), tmp_path, server.url(server.empty_database()))
    source.open()
    client = Client(source.port)
    client.post("/t", {"processes": {"job": None}})
    server.crash()
    away = client.post("/t/job/event", {"payload": "lost"})
    server.start()

    def back() -> bool:
        return client.post("/t/job/event", {"payload": "kept"}).status == 201

    until(back)
    client.close()
    batch = source.read(1.0)
    source.close()

    assert (away.status, away.headers["retry-after"]) == (503, "5")
    assert [row["payload"] for row in batch.rows] == ["kept"]


def test_no_event_is_seen_before_one_with_a_smaller_id(jobs: Place) -> None:
    make(jobs, task())
    with ledger_on(jobs) as ledger:
        with writing(jobs) as connection:
            add_events(connection, [event(0, "DONE")])
            second = ledger.submit(event(1, "DONE"))
            with suppress(TimeoutError):
                second.result(0.5)
            early = list(outbox_of(jobs))
        second.result(20.0)

    assert early == []
    assert [row["index"] for row in outbox_of(jobs)] == [0, 1]
