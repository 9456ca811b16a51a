"""The tables of jobs made, taken over from the old facility, and moved between versions, on three engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import make_url

from shipper.config.secret import Secret
from shipper.core.checks import Outcome
from shipper.sinks.store.building import store_checks
from shipper.store import versions
from shipper.store.errors import StoreUnavailable
from shipper.store.jobs import views
from shipper.store.jobs.tables import METADATA
from shipper.store.jobs.wishes import NewEvent
from shipper.store.jobs.writing_events import rebuild_states
from shipper.store.jobs.writing_tasks import delete_task
from shipper.store.moment import Moment
from shipper.store.settings import StoreSettings
from tests.support.databases import Database as Place
from tests.support.job_tables import (
    AT,
    event,
    ledger_on,
    make,
    outbox_of,
    post,
    reading,
    states,
    take_from_the_facility,
    task,
    upgrade,
    writing,
)


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


def test_the_tables_are_what_the_code_believes(jobs: Place) -> None:
    assert differences(jobs) == []


@pytest.mark.parametrize("target", ["jobs_0001", "base"])
def test_migrating_down_and_up_again_keeps_every_row(jobs: Place, target: str) -> None:
    make(jobs, task(tags=("a", "b")))
    post(jobs, event(3, "PROGRESS", 40), event(3, "DONE"), event(None, "FAILED"))
    before = (states(jobs), outbox_of(jobs))
    versions.downgrade(make_url(jobs.url), "jobs", target)
    upgrade(jobs)

    assert (states(jobs), outbox_of(jobs)) == before


def test_a_database_of_the_facility_is_taken_over_with_all_rows(no_jobs: Place) -> None:
    take_from_the_facility(no_jobs)
    with reading(no_jobs) as connection:
        found = views.task(connection, "old")

    assert found["submittedAt"] == "2021-09-30T12:00:00.250000"
    assert found["tags"] == ["one"]
    assert (found["processes"][0]["progress"], found["processes"][0]["lastEventClass"]) == (
        25,
        "BEAT",
    )
    assert [row["receivedAt"].isoformat() for row in outbox_of(no_jobs)] == [
        f"2021-09-30T12:0{minute}:00.500000+00:00" for minute in (1, 2, 3)
    ]


def test_what_was_taken_over_goes_on_as_if_it_had_always_been_ours(no_jobs: Place) -> None:
    take_from_the_facility(no_jobs)
    wanted = NewEvent("old", "arr", 2, AT, event_class="DONE")
    with ledger_on(no_jobs) as ledger:
        ledger.submit(wanted).result(20.0)
    with writing(no_jobs) as connection:
        delete_task(connection, "old", 4)
    make(no_jobs, task())
    post(no_jobs, event(None, "STARTED"))

    assert [row["id"] for row in outbox_of(no_jobs, 4)] == [5]


def test_tags_cannot_be_there_twice_any_more(no_jobs: Place) -> None:
    take_from_the_facility(no_jobs)
    upgrade(no_jobs)

    with pytest.raises(sa.exc.IntegrityError):
        no_jobs.execute("INSERT INTO tag_associations VALUES ('old', 'one')")


def test_states_made_by_the_migration_are_those_of_the_rules(no_jobs: Place) -> None:
    take_from_the_facility(no_jobs)
    upgrade(no_jobs)
    by_migration = states(no_jobs)
    with writing(no_jobs) as connection:
        rebuild_states(connection)

    assert states(no_jobs) == by_migration


def test_another_program_s_tables_of_the_same_name_are_left_alone(no_jobs: Place) -> None:
    no_jobs.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, title VARCHAR(10))")

    with pytest.raises(StoreUnavailable, match="there is a table events already"):
        upgrade(no_jobs)


def test_the_startup_check_passes_before_and_after_the_tables_are_made(
    no_jobs: Place, tmp_path: Path
) -> None:
    settings = StoreSettings.model_validate({"url": Secret("literal", no_jobs.url)})
    (check,) = store_checks(settings, tmp_path, {"jobs": True})
    before = check.attempt(10.0)
    upgrade(no_jobs)
    after = check.attempt(10.0)

    assert (before.outcome, after.outcome) == (Outcome.PASSED, Outcome.PASSED), (before, after)
    assert f"jobs is at version {versions.head('jobs')}" in after.text
