"""What the routes need behind them: who writes, who reads, and the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import Request

from shipper.core.clock import Clock
from shipper.sources.jobs.answers import Answers
from shipper.sources.jobs.ledger import Change, Ledger
from shipper.store.jobs.wishes import NewEvent, Taken

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

ANSWER = TypeVar("ANSWER")


@dataclass(frozen=True, slots=True)
class Back:
    """What is behind the routes.

    Attributes:
        ledger: Writes.
        answers: Reads.
        shipped_id: Returns the last event that is known to be shipped.
        clock: Time.
    """

    ledger: Ledger
    answers: Answers
    shipped_id: Callable[[], int]
    clock: Clock

    async def write(self, wish: NewEvent | Change) -> Taken:
        """Return once it is committed.

        Raises:
            JobsRefusal: It is refused.
            StoreError: The database cannot be used.
            ConfigError: Where it is cannot be found out.
            LedgerBusy: Too much waits already.
        """
        return await asyncio.wrap_future(self.ledger.submit(wish))

    async def read(self, question: Callable[[Connection], ANSWER]) -> ANSWER:
        """Return what is asked for; raises like `write`."""
        return await asyncio.wrap_future(self.answers.ask(question))

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.fromtimestamp(self.clock.now_ns() / 1e9, UTC)


def back_of(request: Request) -> Back:
    """Return what is behind the application that a request came to."""
    back: Back = request.app.state.back
    return back


def address_of(request: Request) -> str | None:
    """Return where a request came from."""
    return request.client.host if request.client else None
