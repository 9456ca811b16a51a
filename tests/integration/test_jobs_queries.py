"""What is read from the tables of jobs and carried out of them, on three engines."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from rich.console import Console
from sqlalchemy.engine import make_url

from shipper.core.errors import ConfigError
from shipper.store.jobs import queries, views
from shipper.store.jobs.views import Page, Wanted
from shipper.store.jobs.wishes import NewEvent, NewProcess, NewTask
from shipper.store.jobs.writing_tasks import delete_task
from shipper.wiring.timeframes.transfer import Wanted as Transfer
from shipper.wiring.timeframes.transfer import bring_back, take_out
from tests.support.databases import Database as Place
from tests.support.job_tables import (
    AT,
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


def test_a_page_of_tasks_says_what_their_jobs_come_to(jobs: Place) -> None:
    make(jobs, task(username="ann", comment="first", tags=("a", "b")))
    later = task("later", NewProcess("job"), tags=("a",))
    make(jobs, NewTask("later", later.processes, AT + timedelta(seconds=1), tags=later.tags))
    post(jobs, event(0, "DONE"), event(1, "FAILED"), event(2, "BEAT"))
    with reading(jobs) as connection:
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


def test_a_page_of_jobs_says_what_each_is_doing(jobs: Place) -> None:
    make(jobs, task())
    post(jobs, event(4, "PROGRESS", 40), event(None, "DONE"))
    with reading(jobs) as connection:
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


def test_a_page_costs_as_many_questions_however_many_processes_there_are(jobs: Place) -> None:
    make(jobs, task("few", NewProcess("a")))
    make(jobs, task("many", *(NewProcess(str(each), jobs=3) for each in range(200))))

    def questions(limit: int) -> int:
        asked: list[str] = []
        with reading(jobs) as connection:
            sa.event.listen(
                connection, "before_cursor_execute", lambda *told: asked.append(str(told[2]))
            )
            queries.tasks_page(connection, limit=limit)
        return len(asked)

    assert questions(1) == questions(50) == 4


def test_figures_tell_of_the_newest_unfinished_tasks(jobs: Place) -> None:
    make(jobs, task())
    make(jobs, task("over", NewProcess("job")))
    with ledger_on(jobs) as ledger:
        ledger.submit(NewEvent("over", "job", None, AT, event_class="DONE")).result(20.0)
        ledger.submit(event(0, "DONE")).result(20.0)
    with reading(jobs) as connection:
        found = queries.figures(connection, most_series=1)

    assert found.progress == {("t", "arr"): 0.1}
    assert found.jobs == {"DONE": 2, "FAILED": 0, "RUNNING": 0, "PENDING": 10}


def test_lists_are_filtered_ordered_and_cut(jobs: Place) -> None:
    make(jobs, task())
    post(jobs, *(event(each, "A" if each % 2 else "B", each) for each in range(6)))
    with reading(jobs) as connection:
        page = Page(order="progress", descending=True, limit=2, offset=1)
        found = views.event_list(connection, "t", "arr", Wanted(event_class="A"), page)

    assert ([each["progress"] for each in found["entries"]], found["total"]) == ([3, 1], 3)


def test_events_travel_and_their_states_with_them(jobs: Place, tmp_path: Path) -> None:
    quiet = Console(quiet=True)
    url, path = make_url(jobs.url), str(tmp_path / "events.json")
    make(jobs, task())
    post(jobs, event(0, "DONE", payload="p", sent_at=AT), event(1, "FAILED"))
    before = (states(jobs), outbox_of(jobs))
    take_out(url, Transfer("events", "json", path), quiet)
    jobs.execute("DELETE FROM events", "DELETE FROM job_states")
    arrived = bring_back(url, Transfer("events", "json", path), quiet)

    assert arrived.added == 2
    assert (states(jobs), outbox_of(jobs)) == before


def test_events_without_their_task_are_not_brought_in(jobs: Place, tmp_path: Path) -> None:
    quiet = Console(quiet=True)
    url, path = make_url(jobs.url), str(tmp_path / "events.json")
    make(jobs, task())
    post(jobs, event(0, "DONE"))
    take_out(url, Transfer("events", "json", path), quiet)
    with writing(jobs) as connection:
        delete_task(connection, "t", EVERYTHING)

    with pytest.raises(ConfigError, match="event"):
        bring_back(url, Transfer("events", "json", path), quiet)
    assert list(outbox_of(jobs)) == []
