"""The tables of jobs in the hands of a test: made, written to, and read, on any engine."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from shipper.sources.jobs.ledger import Ledger
from shipper.store import versions
from shipper.store.current import current_database
from shipper.store.database import Database
from shipper.store.jobs import outbox
from shipper.store.jobs.tables import job_states
from shipper.store.jobs.wishes import NewEvent, NewProcess, NewTask
from shipper.store.jobs.writing_tasks import create_task
from tests.support.databases import Database as Place

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
