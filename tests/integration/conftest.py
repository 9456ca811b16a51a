"""What tests against real far ends share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.databases import Servers, database_servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL and MariaDB, for all tests of a process; each test makes databases of its own in them."""
    with database_servers() as running:
        yield running
