"""The tables of jobs in SQLite files and on servers of PostgreSQL and MariaDB that the tests start."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from rich.console import Console
from sqlalchemy.engine import make_url

from shipper.config.secret import Secret
from shipper.core.checks import Outcome
from shipper.core.errors import ConfigError
from shipper.sinks.store.building import store_checks
from shipper.sources.jobs.ledger import Ledger
from shipper.store import versions
from shipper.store.current import current_database
from shipper.store.database import Database
from shipper.store.errors import StoreUnavailable
from shipper.store.jobs import outbox, overview, queries, views
from shipper.store.jobs.refusal import JobsRefusal
from shipper.store.jobs.tables import METADATA, events, job_states
from shipper.store.jobs.views import Page, Wanted
from shipper.store.jobs.wishes import NewEvent, NewProcess, NewTask
from shipper.store.jobs.writing_events import add_events, rebuild_states
from shipper.store.jobs.writing_tasks import create_task, delete_task, replace_task
from shipper.store.moment import Moment
from shipper.store.settings import StoreSettings
from shipper.wiring.timeframes.transfer import Wanted as Transfer
from shipper.wiring.timeframes.transfer import bring_back, take_out
from tests.support.databases import Database as Place
from tests.support.databases import Servers
from tests.support.jobs import Client, source_at
from tests.support.services import free_port
from tests.support.shipper_process import until

KINDS = ("sqlite", "postgresql", "mariadb")
LOG = logging.getLogger("jobs under test")
AT = datetime(2026, 12, 1, 5, 30, 15, 250000, tzinfo=UTC)
EVERYTHING = 10_000

OLD_TABLES = """
CREATE TABLE tasks (name VARCHAR{n} NOT NULL, username VARCHAR{n}, {q}emailNotify{q} VARCHAR{n}, comment VARCHAR{n},
  {q}submittedAt{q} {moment}, {q}submHostIP{q} VARCHAR{n}, hostname VARCHAR{n}, {q}depGraph{q} VARCHAR{n},
  config VARCHAR{n}, PRIMARY KEY (name));
CREATE TABLE tags (name VARCHAR{n} NOT NULL, PRIMARY KEY (name));
CREATE TABLE tag_associations (task_name VARCHAR{n}, tag_name VARCHAR{n},
  FOREIGN KEY(task_name) REFERENCES tasks (name), FOREIGN KEY(tag_name) REFERENCES tags (name));
CREATE TABLE processes (name VARCHAR{n} NOT NULL, {q}taskID{q} VARCHAR{n} NOT NULL, {q}thresholdProgress{q} INTEGER,
  kin INTEGER, PRIMARY KEY (name, {q}taskID{q}), FOREIGN KEY({q}taskID{q}) REFERENCES tasks (name));
CREATE TABLE arrays (name VARCHAR{n} NOT NULL, {q}taskID{q} VARCHAR{n} NOT NULL, {q}nJobs{q} INTEGER NOT NULL,
  {q}fTolerance{q} INTEGER, PRIMARY KEY (name, {q}taskID{q}),
  FOREIGN KEY(name, {q}taskID{q}) REFERENCES processes (name, {q}taskID{q}));
CREATE TABLE events (id {serial} NOT NULL, {q}sentAt{q} {moment}, {q}recievedAt{q} {moment}, payload VARCHAR{n},
  progress INTEGER, {q}eventClass{q} VARCHAR{n}, hostname VARCHAR{n}, {q}clientIP{q} VARCHAR{n},
  {q}procNumInArray{q} INTEGER, {q}procID{q} VARCHAR{n}, {q}taskID{q} VARCHAR{n}, PRIMARY KEY (id),
  FOREIGN KEY({q}procID{q}, {q}taskID{q}) REFERENCES processes (name, {q}taskID{q}));
INSERT INTO tasks (name, {q}submittedAt{q}) VALUES ('old', '2021-09-30 12:00:00.250000');
INSERT INTO tags VALUES ('one');
INSERT INTO tag_associations VALUES ('old', 'one');
INSERT INTO tag_associations VALUES ('old', 'one');
INSERT INTO processes VALUES ('arr', 'old', NULL, 3);
INSERT INTO arrays VALUES ('arr', 'old', 4, 1);
INSERT INTO events ({q}recievedAt{q}, progress, {q}eventClass{q}, {q}procNumInArray{q}, {q}procID{q}, {q}taskID{q})
  VALUES ('2021-09-30 12:01:00.500000', 0, 'DONE', 0, 'arr', 'old');
INSERT INTO events ({q}recievedAt{q}, progress, {q}eventClass{q}, {q}procNumInArray{q}, {q}procID{q}, {q}taskID{q})
  VALUES ('2021-09-30 12:02:00.500000', 0, 'FAILED', 1, 'arr', 'old');
INSERT INTO events ({q}recievedAt{q}, progress, {q}eventClass{q}, {q}procNumInArray{q}, {q}procID{q}, {q}taskID{q})
  VALUES ('2021-09-30 12:03:00.500000', 0, 'BEAT', 1, 'arr', 'old')
"""
"""As create_all of the old facility made them, with a task in them."""

WORDS = {
    "sqlite": {"q": '"', "n": "", "moment": "DATETIME", "serial": "INTEGER"},
    "postgresql": {"q": '"', "n": "", "moment": "TIMESTAMP WITHOUT TIME ZONE", "serial": "SERIAL"},
    "mariadb": {
        "q": "`",
        "n": "(160)",
        "moment": "DATETIME(6)",
        "serial": "INTEGER AUTO_INCREMENT",
    },
}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Place:
    """A database without tables."""
    kind = request.param
    if kind == "sqlite":
        (tmp_path / "kept").mkdir()
        return Place(kind, f"sqlite:///{tmp_path / 'kept' / 'store.db'}")
    server = servers(kind)
    return Place(kind, server.url(server.empty_database()), server)


@pytest.fixture
def ready(place: Place) -> Place:
    """A database with the newest tables and no rows."""
    upgrade(place)
    return place


def upgrade(place: Place) -> None:
    versions.upgrade(make_url(place.url), "jobs")


def connected(place: Place) -> Database:
    return current_database(
        make_url(place.url),
        "jobs",
        log=LOG,
        connect_timeout_seconds=5,
        statement_timeout_seconds=10,
    )


Changing = Callable[[], Any]


@contextmanager
def writing(place: Place) -> Iterator[sa.Connection]:
    database = connected(place)
    try:
        with database.writing() as connection:
            versions.hold(connection, "jobs")
            yield connection
    finally:
        database.close()


@contextmanager
def reading(place: Place) -> Iterator[sa.Connection]:
    database = connected(place)
    try:
        with database.reading() as connection:
            yield connection
    finally:
        database.close()


@contextmanager
def ledger_on(place: Place) -> Iterator[Ledger]:
    ledger = Ledger(lambda: connected(place), LOG)
    try:
        yield ledger
    finally:
        ledger.close(10.0)


def task(name: str = "t", *processes: NewProcess, **more: Any) -> NewTask:
    usual = (NewProcess("arr", jobs=10, tolerated=1), NewProcess("job"))
    return NewTask(name, processes or usual, AT, client_ip="10.0.0.1", **more)


def event(index: int | None, event_class: str, progress: int = 0, **more: Any) -> NewEvent:
    process = "job" if index is None else "arr"
    return NewEvent("t", process, index, AT, event_class=event_class, progress=progress, **more)


def post(place: Place, *wanted: NewEvent) -> list[Any]:
    with ledger_on(place) as ledger:
        return [settled.result(20.0) for settled in [ledger.submit(each) for each in wanted]]


def make(place: Place, wanted: NewTask) -> None:
    with writing(place) as connection:
        create_task(connection, wanted)


def states(place: Place) -> Sequence[Any]:
    order = (job_states.c.taskID, job_states.c.procID, job_states.c.jobIndex)
    with reading(place) as connection:
        return connection.execute(sa.select(job_states).order_by(*order)).all()


def outbox_of(place: Place, behind: int = 0) -> Sequence[Any]:
    with reading(place) as connection:
        return outbox.behind(connection, behind, most_records=EVERYTHING, most_bytes=2**30)


def take_from_the_facility(place: Place) -> None:
    text = OLD_TABLES.format(**WORDS[place.kind])
    place.execute(*(statement for statement in text.split(";") if statement.strip()))


def _are_different(
    context: MigrationContext, _there: object, _believed: object, _type: object, believed: object
) -> bool | None:
    """Leave it to Alembic, but for times in SQLite, which are text in a column that says DATETIME."""
    is_time = isinstance(believed, Moment) or isinstance(getattr(believed, "impl", None), sa.String)
    return False if is_time and context.dialect.name == "sqlite" else None


def differences(place: Place) -> list[Any]:
    with reading(place) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": _are_different})
        return [
            each for each in compare_metadata(context, METADATA) if "shipper_jobs" not in str(each)
        ]


def test_the_tables_are_what_the_code_believes(ready: Place) -> None:
    assert differences(ready) == []


@pytest.mark.parametrize("target", ["jobs_0001", "base"])
def test_migrating_down_and_up_again_keeps_every_row(ready: Place, target: str) -> None:
    make(ready, task(tags=("a", "b")))
    post(ready, event(3, "PROGRESS", 40), event(3, "DONE"), event(None, "FAILED"))
    before = (states(ready), outbox_of(ready))
    versions.downgrade(make_url(ready.url), "jobs", target)
    upgrade(ready)

    assert (states(ready), outbox_of(ready)) == before


def test_a_database_of_the_facility_is_taken_over_with_all_rows(place: Place) -> None:
    take_from_the_facility(place)
    with reading(place) as connection:
        found = views.task(connection, "old")

    assert found["submittedAt"] == "2021-09-30T12:00:00.250000"
    assert found["tags"] == ["one"]
    assert (found["processes"][0]["progress"], found["processes"][0]["lastEventClass"]) == (
        25,
        "BEAT",
    )
    assert [row["receivedAt"].isoformat() for row in outbox_of(place)] == [
        f"2021-09-30T12:0{minute}:00.500000+00:00" for minute in (1, 2, 3)
    ]


def test_what_was_taken_over_goes_on_as_if_it_had_always_been_ours(place: Place) -> None:
    take_from_the_facility(place)
    wanted = NewEvent("old", "arr", 2, AT, event_class="DONE")
    with ledger_on(place) as ledger:
        ledger.submit(wanted).result(20.0)
    with writing(place) as connection:
        delete_task(connection, "old", 4)
    make(place, task())
    post(place, event(None, "STARTED"))

    assert [row["id"] for row in outbox_of(place, 4)] == [5]


def test_tags_cannot_be_there_twice_any_more(place: Place) -> None:
    take_from_the_facility(place)
    upgrade(place)

    with pytest.raises(sa.exc.IntegrityError):
        place.execute("INSERT INTO tag_associations VALUES ('old', 'one')")


def test_states_made_by_the_migration_are_those_of_the_rules(place: Place) -> None:
    take_from_the_facility(place)
    upgrade(place)
    by_migration = states(place)
    with writing(place) as connection:
        rebuild_states(connection)

    assert states(place) == by_migration


def test_another_program_s_tables_of_the_same_name_are_left_alone(place: Place) -> None:
    place.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, title VARCHAR(10))")

    with pytest.raises(StoreUnavailable, match="there is a table events already"):
        upgrade(place)


def test_states_follow_every_event(ready: Place) -> None:
    make(ready, task())
    posted = [event(1, "STARTED"), event(1, "PROGRESS", 40), event(1, "PROGRESS", 30)]
    post(ready, *posted, event(1, "DONE"), event(2, "FAILED"), event(None, "STARTED"))
    followed = states(ready)
    with writing(ready) as connection:
        rebuild_states(connection)

    assert states(ready) == followed
    assert [(row.jobIndex, row.outcome, row.progress, row.latestProgress) for row in followed] == [
        (1, "DONE", 40, 30),
        (2, "FAILED", 0, 0),
        (-1, None, 0, 0),
    ]


def test_of_those_who_ask_for_the_same_name_at_once_one_gets_it(ready: Place) -> None:
    def ask(number: int) -> bool:
        with ledger_on(ready) as ledger:
            wanted = task(comment=str(number))
            try:
                ledger.submit(lambda connection: create_task(connection, wanted)).result(20.0)
            except JobsRefusal:
                return False
            return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(ask, range(4))) == 1


def test_one_bad_wish_among_many_hurts_no_other(ready: Place) -> None:
    make(ready, task())
    wanted = [event(0, "DONE"), event(99, "DONE"), event(1, "DONE"), event(2, "x" * 300)]
    with ledger_on(ready) as ledger:
        settled = [ledger.submit(each) for each in wanted]
        errors = [each.exception(20.0) for each in settled]

    assert [error is None for error in errors[:3]] == [True, False, True]
    assert [row["index"] for row in outbox_of(ready)][:2] == [0, 1]


def test_the_outbox_passes_over_no_event_of_several_writers(ready: Place) -> None:
    make(ready, task("t", NewProcess("arr", jobs=1000)))

    def write(first: int) -> None:
        with ledger_on(ready) as ledger:
            for settled in [ledger.submit(event(first + each, "DONE")) for each in range(100)]:
                settled.result(20.0)

    seen: list[int] = []
    with ThreadPoolExecutor(3) as threads:
        writers = [threads.submit(write, first) for first in (0, 100, 200)]
        while not all(writer.done() for writer in writers):
            seen += [row["index"] for row in outbox_of(ready, _last_id(ready, seen))]
        for writer in writers:
            writer.result()
    seen += [row["index"] for row in outbox_of(ready, _last_id(ready, seen))]

    assert sorted(seen) == list(range(300))


def _last_id(place: Place, seen: Sequence[int]) -> int:
    """Return the id of the event that was seen last."""
    if not seen:
        return 0
    with reading(place) as connection:
        found = connection.scalar(sa.select(events.c.id).where(events.c.procNumInArray == seen[-1]))
    return int(found or 0)


def test_deleted_events_stay_until_they_are_shipped(ready: Place) -> None:
    make(ready, task())
    post(ready, event(0, "STARTED"), event(1, "STARTED"), event(2, "STARTED"))
    with writing(ready) as connection:
        delete_task(connection, "t", 1)

    assert [row["index"] for row in outbox_of(ready, 1)] == [1, 2]
    with writing(ready) as connection:
        outbox.forget(connection, 2)
    assert [row["index"] for row in outbox_of(ready, 1)] == [2]


def test_nothing_of_a_deleted_task_is_left_but_tags_of_others(ready: Place) -> None:
    make(ready, task("t", tags=("shared", "own")))
    make(ready, task("u", tags=("shared",)))
    post(ready, event(0, "STARTED"))
    with writing(ready) as connection:
        delete_task(connection, "t", EVERYTHING)

    assert states(ready) == []
    assert [row[0] for row in ready.answer("SELECT name FROM tags")] == ["shared"]
    assert [row[0] for row in ready.answer("SELECT name FROM tasks")] == ["u"]


def test_a_replaced_task_keeps_the_events_of_what_stays(ready: Place) -> None:
    make(ready, task())
    post(ready, event(0, "DONE"), event(None, "STARTED"))
    with writing(ready) as connection:
        replace_task(connection, task("t", NewProcess("arr", jobs=2), tags=("new",)), 0)
    with reading(ready) as connection:
        found = views.task(connection, "t")

    assert [(each["name"], each["progress"]) for each in found["processes"]] == [("arr", 50)]
    assert found["tags"] == ["new"]
    assert len(outbox_of(ready)) == 2


def test_an_array_cannot_become_smaller_than_its_events(ready: Place) -> None:
    make(ready, task())
    post(ready, event(7, "DONE"))

    with pytest.raises(JobsRefusal, match="beyond nJobs"), writing(ready) as connection:
        replace_task(connection, task("t", NewProcess("arr", jobs=7)), 0)


def test_a_page_of_tasks_says_what_their_jobs_come_to(ready: Place) -> None:
    make(ready, task(username="ann", comment="first", tags=("a", "b")))
    later = task("later", NewProcess("job"), tags=("a",))
    make(ready, NewTask("later", later.processes, AT + timedelta(seconds=1), tags=later.tags))
    post(ready, event(0, "DONE"), event(1, "FAILED"), event(2, "BEAT"))
    with reading(ready) as connection:
        page = queries.tasks_page(connection, tags=("a", "b"))
        both = queries.tasks_page(connection, limit=1)

    assert page == {
        "tasks": [
            {
                "name": "t",
                "status": "RUNNING",
                "progress": 5,
                "submittedAt": "2026-12-01T05:30:15.250000+00:00",
                "username": "ann",
                "comment": "first",
                "tags": ["a", "b"],
                "processes": [
                    {
                        "name": "arr",
                        "type": "array",
                        "nJobs": 10,
                        "status": "RUNNING",
                        "progress": 10,
                        "lastEventClass": "BEAT",
                        "jobs": {"DONE": 1, "FAILED": 1, "RUNNING": 1, "PENDING": 7},
                    },
                    {
                        "name": "job",
                        "type": "solitary",
                        "nJobs": 1,
                        "status": None,
                        "progress": 0,
                        "lastEventClass": None,
                        "jobs": {"DONE": 0, "FAILED": 0, "RUNNING": 0, "PENDING": 1},
                    },
                ],
            }
        ],
        "total": 1,
    }
    assert ([each["name"] for each in both["tasks"]], both["total"]) == (["later"], 2)


def test_a_page_of_jobs_says_what_each_is_doing(ready: Place) -> None:
    make(ready, task())
    post(ready, event(4, "PROGRESS", 40), event(None, "DONE"))
    with reading(ready) as connection:
        page = queries.jobs_page(connection, "t", "arr", limit=2, offset=4)
        alone = queries.jobs_page(connection, "t", "job")
        beyond = queries.jobs_page(connection, "t", "arr", offset=99)
        missing = queries.jobs_page(connection, "t", "none")

    at = "2026-12-01T05:30:15.250000+00:00"
    running = {
        "index": 4,
        "status": "RUNNING",
        "lastEventClass": "PROGRESS",
        "progress": 40,
        "lastAt": at,
    }
    pending = {
        "index": 5,
        "status": "PENDING",
        "lastEventClass": None,
        "progress": None,
        "lastAt": None,
    }
    done = {"index": None, "status": "DONE", "lastEventClass": "DONE", "progress": 0, "lastAt": at}
    assert page == {"jobs": [running, pending], "total": 10}
    assert alone == {"jobs": [done], "total": 1}
    assert beyond == {"jobs": [], "total": 10}
    assert missing is None


def test_a_page_costs_as_many_questions_however_many_processes_there_are(ready: Place) -> None:
    make(ready, task("few", NewProcess("a")))
    make(ready, task("many", *(NewProcess(str(each), jobs=3) for each in range(200))))

    def questions(limit: int) -> int:
        asked: list[str] = []
        with reading(ready) as connection:
            sa.event.listen(
                connection, "before_cursor_execute", lambda *told: asked.append(str(told[2]))
            )
            queries.tasks_page(connection, limit=limit)
        return len(asked)

    assert questions(1) == questions(50) == 4


def test_figures_tell_of_the_newest_unfinished_tasks(ready: Place) -> None:
    make(ready, task())
    make(ready, task("over", NewProcess("job")))
    with ledger_on(ready) as ledger:
        ledger.submit(NewEvent("over", "job", None, AT, event_class="DONE")).result(20.0)
        ledger.submit(event(0, "DONE")).result(20.0)
    with reading(ready) as connection:
        found = queries.figures(connection, most_series=1)

    assert found.progress == {("t", "arr"): 0.1}
    assert found.jobs == {"DONE": 2, "FAILED": 0, "RUNNING": 0, "PENDING": 10}


def test_lists_are_filtered_ordered_and_cut(ready: Place) -> None:
    make(ready, task())
    post(ready, *(event(each, "A" if each % 2 else "B", each) for each in range(6)))
    with reading(ready) as connection:
        page = Page(order="progress", descending=True, limit=2, offset=1)
        found = views.event_list(connection, "t", "arr", Wanted(event_class="A"), page)

    assert ([each["progress"] for each in found["entries"]], found["total"]) == ([3, 1], 3)


def test_names_are_told_apart_by_case_and_by_blanks_at_the_end(ready: Place) -> None:
    for name in ("name", "NAME", "name "):
        make(ready, task(name))
    with reading(ready) as connection:
        found = overview.of_tasks(connection, ["name"])

    assert {each.task for each in found} == {"name"}


def test_events_travel_and_their_states_with_them(ready: Place, tmp_path: Path) -> None:
    quiet = Console(quiet=True)
    url, path = make_url(ready.url), str(tmp_path / "events.json")
    make(ready, task())
    post(ready, event(0, "DONE", payload="p", sent_at=AT), event(1, "FAILED"))
    before = (states(ready), outbox_of(ready))
    take_out(url, Transfer("events", "json", path), quiet)
    ready.execute("DELETE FROM events", "DELETE FROM job_states")
    arrived = bring_back(url, Transfer("events", "json", path), quiet)

    assert arrived.added == 2
    assert (states(ready), outbox_of(ready)) == before


def test_events_without_their_task_are_not_brought_in(ready: Place, tmp_path: Path) -> None:
    quiet = Console(quiet=True)
    url, path = make_url(ready.url), str(tmp_path / "events.json")
    make(ready, task())
    post(ready, event(0, "DONE"))
    take_out(url, Transfer("events", "json", path), quiet)
    with writing(ready) as connection:
        delete_task(connection, "t", EVERYTHING)

    with pytest.raises(ConfigError, match="event"):
        bring_back(url, Transfer("events", "json", path), quiet)
    assert list(outbox_of(ready)) == []


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


def test_the_startup_check_passes_before_and_after_the_tables_are_made(
    place: Place, tmp_path: Path
) -> None:
    settings = StoreSettings.model_validate({"url": Secret("literal", place.url)})
    (check,) = store_checks(settings, tmp_path, {"jobs": True})
    before = check.attempt(10.0)
    upgrade(place)
    after = check.attempt(10.0)

    assert (before.outcome, after.outcome) == (Outcome.PASSED, Outcome.PASSED), (before, after)
    assert f"jobs is at version {versions.head('jobs')}" in after.text


def test_no_event_is_seen_before_one_with_a_smaller_id(ready: Place) -> None:
    make(ready, task())
    with ledger_on(ready) as ledger:
        with writing(ready) as connection:
            add_events(connection, [event(0, "DONE")])
            second = ledger.submit(event(1, "DONE"))
            with suppress(TimeoutError):
                second.result(0.5)
            early = list(outbox_of(ready))
        second.result(20.0)

    assert early == []
    assert [row["index"] for row in outbox_of(ready)] == [0, 1]
