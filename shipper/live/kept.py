"""Answers questions about what is kept in SQL, without waiting for a database anywhere but in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

MOST_WAITING = 8
"""How many questions may wait for the one that is being answered."""

MOST_AT_ONCE = 1000
LARGEST = 2**63 - 1

Answer = Mapping[str, Any]


class Away(Exception):
    """The database cannot be asked now; the text says why, and has no password in it."""


class Runs(Protocol):
    """Answers questions about runs; may take its time."""

    def overview(self, limit: int) -> Answer:
        """Return the newest runs.

        Raises:
            Away: They cannot be had now.
        """

    def run(self, number: int) -> Answer | None:
        """Return what is known of a run; `None` when there is no such run.

        Raises:
            Away: That cannot be had now.
        """


class Jobs(Protocol):
    """Answers questions about jobs; may take its time."""

    def tasks(self, limit: int, offset: int, tags: Sequence[str]) -> Answer:
        """Return some tasks, and how many there are.

        Raises:
            Away: They cannot be had now.
        """

    def jobs(self, task: str, process: str, limit: int, offset: int) -> Answer | None:
        """Return some jobs of a process, and how many there are; `None` when there is no such process.

        Raises:
            Away: They cannot be had now.
        """


class BadQuestion(ValueError):
    """The query cannot be understood; the text says why."""


@dataclass(slots=True)
class Inquiries:
    """Asks one question after the other, in a thread; a few may wait."""

    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="kept")
    )
    _waiting: int = 0

    async def answer(self, ask: Callable[[], Answer | None], nothing: str) -> Response:
        """Return the answer as JSON: 404 with `nothing` for none, 503 while the database cannot be asked."""
        if self._waiting > MOST_WAITING:
            return _error(503, "too many questions wait for the database; try again later")
        self._waiting += 1
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._pool, ask)
        except Away as error:
            return _error(503, str(error))
        finally:
            self._waiting -= 1
        return _error(404, nothing) if found is None else JSONResponse(found)


def kept_routes(inquiries: Inquiries, runs: Runs | None, jobs: Jobs | None) -> list[BaseRoute]:
    """Return what answers under `/api/runs` and `/api/jobs`; what this run does not keep is not found."""
    return [*_routes_of_runs(inquiries, runs), *_routes_of_jobs(inquiries, jobs)]


def _routes_of_runs(inquiries: Inquiries, runs: Runs | None) -> Iterator[Route]:
    async def overview(request: Request) -> Response:
        if runs is None:
            return _error(404, "this run keeps no Time Frames")
        limit = _number(request, "limit", 50, least=1, most=MOST_AT_ONCE)
        return await inquiries.answer(lambda: runs.overview(limit), "")

    async def one_run(request: Request) -> Response:
        number = _whole(request.path_params["number"])
        if runs is None or number is None:
            return _error(404, "there is no such run")
        return await inquiries.answer(lambda: runs.run(number), f"there is no run {number}")

    yield Route("/api/runs", _understood(overview))
    yield Route("/api/runs/{number}", _understood(one_run))


def _routes_of_jobs(inquiries: Inquiries, jobs: Jobs | None) -> Iterator[Route]:
    async def tasks(request: Request) -> Response:
        if jobs is None:
            return _error(404, "this run keeps no jobs")
        limit, offset = _page(request, 50)
        tags = [tag for tag in request.query_params.get("tags", "").split(",") if tag]
        return await inquiries.answer(lambda: jobs.tasks(limit, offset, tags), "")

    async def of_process(request: Request) -> Response:
        if jobs is None:
            return _error(404, "this run keeps no jobs")
        limit, offset = _page(request, 100)
        task, process = request.path_params["task"], request.path_params["process"]
        nothing = f"there is no process {process} of a task {task}"
        return await inquiries.answer(lambda: jobs.jobs(task, process, limit, offset), nothing)

    yield Route("/api/jobs", _understood(tasks))
    yield Route("/api/jobs/{task}/{process}", _understood(of_process))


def _understood(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Answer 400 where the query cannot be understood."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except BadQuestion as error:
            return _error(400, str(error))

    return answer


def _page(request: Request, default: int) -> tuple[int, int]:
    limit = _number(request, "limit", default, least=1, most=MOST_AT_ONCE)
    return limit, _number(request, "offset", 0, least=0, most=LARGEST)


def _number(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    written = request.query_params.get(name)
    number = default if written is None else _whole(written)
    if number is None or not least <= number <= most:
        raise BadQuestion(f"{name}: must be a whole number from {least} to {most}")
    return number


def _whole(text: str) -> int | None:
    """Return a number that a database can hold."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        return None
    number = int(text)
    return number if abs(number) <= LARGEST else None


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)
