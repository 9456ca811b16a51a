from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy.engine import URL, Connection

from shipper.core.errors import ConfigError
from shipper.sources.jobs.ledger import MOST_WAITING, Ledger, LedgerBusy
from shipper.store.current import current_database
from shipper.store.database import Database
from shipper.store.errors import StoreUnavailable
from shipper.store.jobs.refusal import JobsRefusal, no_task

LOG = logging.getLogger("ledger under test")
PATIENCE_SECONDS = 10.0


class Door:
    """A way to a database that a test can shut, and let fail."""

    def __init__(self, folder: Path) -> None:
        self._url = URL.create("sqlite", database=str(folder / "store.db"))
        self.open = Event()
        self.faults: list[Exception] = []

    def connect(self) -> Database:
        self.open.wait(PATIENCE_SECONDS)
        if self.faults:
            raise self.faults.pop(0)
        return current_database(
            self._url, "jobs", log=LOG, connect_timeout_seconds=1, statement_timeout_seconds=1
        )


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.fixture
def ledger(door: Door) -> Iterator[Ledger]:
    made = Ledger(door.connect, LOG)
    yield made
    door.open.set()
    made.close(PATIENCE_SECONDS)


def nothing(connection: Connection) -> None:
    """Change nothing."""
    del connection


def refused(connection: Connection) -> None:
    raise no_task("t")


def faulty(connection: Connection) -> None:
    raise ZeroDivisionError


def test_a_wish_that_was_taken_back_hurts_no_other(ledger: Ledger, door: Door) -> None:
    first = ledger.submit(nothing)
    second = ledger.submit(nothing)
    third = ledger.submit(nothing)
    second.cancel()
    door.open.set()

    assert first.result(PATIENCE_SECONDS).keep_going
    assert third.result(PATIENCE_SECONDS).keep_going


def test_a_refusal_is_for_who_asked_alone(ledger: Ledger, door: Door) -> None:
    door.open.set()
    settled = [ledger.submit(wish) for wish in (nothing, refused, nothing)]

    assert isinstance(settled[1].exception(PATIENCE_SECONDS), JobsRefusal)
    assert [settled[index].exception(PATIENCE_SECONDS) for index in (0, 2)] == [None, None]


@pytest.mark.parametrize(
    "fault",
    [StoreUnavailable("away", reason="connection_lost"), ConfigError("no such variable")],
    ids=["away", "secret"],
)
def test_after_a_failure_it_connects_again(ledger: Ledger, door: Door, fault: Exception) -> None:
    door.faults.append(fault)
    door.open.set()

    assert ledger.submit(nothing).exception(PATIENCE_SECONDS) is fault
    assert ledger.submit(nothing).exception(PATIENCE_SECONDS) is None


def test_a_fault_of_ours_is_told_and_outlived(
    ledger: Ledger, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    door.open.set()

    assert isinstance(ledger.submit(faulty).exception(PATIENCE_SECONDS), ZeroDivisionError)
    assert ledger.submit(nothing).exception(PATIENCE_SECONDS) is None
    assert "fault of ours" in caplog.text


def test_more_than_can_wait_is_sent_away(ledger: Ledger) -> None:
    def crowd() -> None:
        for _ in range(2 * MOST_WAITING):
            ledger.submit(nothing)

    with pytest.raises(LedgerBusy):
        crowd()


def test_a_commit_is_announced(ledger: Ledger, door: Door) -> None:
    door.open.set()
    ledger.submit(nothing).result(PATIENCE_SECONDS)

    assert ledger.committed.is_set()
