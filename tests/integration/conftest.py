"""What tests against real far ends share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.brokers import ActiveMq
    from tests.support.databases import Database, Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL and MariaDB, for all tests of a process; each test makes databases of its own in them."""
    # Tests that need none of them also run where their drivers are missing.
    from tests.support.databases import database_servers

    with database_servers() as running:
        yield running


@pytest.fixture(scope="session")
def activemq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActiveMq]:
    """An ActiveMQ, for all tests of a process; each test takes a queue or a topic of its own."""
    from tests.support.brokers import ActiveMq

    running = ActiveMq(tmp_path_factory.mktemp("activemq"))
    try:
        running.start()
        yield running
    finally:
        running.kill()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def no_jobs(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Database:
    """A database without tables, on each engine."""
    from tests.support.databases import Database

    kind = request.param
    if kind == "sqlite":
        (tmp_path / "kept").mkdir()
        return Database(kind, f"sqlite:///{tmp_path / 'kept' / 'store.db'}")
    server = servers(kind)
    return Database(kind, server.url(server.empty_database()), server)


@pytest.fixture
def jobs(no_jobs: Database) -> Database:
    """A database with the newest tables of jobs and no rows, on each engine."""
    from tests.support.job_tables import upgrade

    upgrade(no_jobs)
    return no_jobs
