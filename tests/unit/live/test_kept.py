"""Questions about what is kept, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Thread

import pytest
from starlette.applications import Starlette

from shipper.live.kept import MOST_WAITING, Answer, Away, Inquiries, Jobs, Runs, kept_routes
from tests.support.asgi import Response, ask


@dataclass
class FakeRuns:
    """Knows run 7."""

    away: str = ""
    asked: list[int] = field(default_factory=list)

    def overview(self, limit: int) -> Answer:
        if self.away:
            raise Away(self.away)
        self.asked.append(limit)
        return {"runs": []}

    def run(self, number: int) -> Answer | None:
        return {"run_number": number} if number == 7 else None


@dataclass
class FakeJobs:
    """Remembers what it was asked."""

    asked: list[object] = field(default_factory=list)

    def tasks(self, limit: int, offset: int, tags: Sequence[str]) -> Answer:
        self.asked = [limit, offset, list(tags)]
        return {"tasks": [], "total": 0}

    def jobs(self, task: str, process: str, limit: int, offset: int) -> Answer | None:
        self.asked = [task, process, limit, offset]
        return {"jobs": [], "total": 0} if task == "t" else None


def answer(path: str, runs: Runs | None = None, jobs: Jobs | None = None) -> Response:
    path, _, query = path.partition("?")
    app = Starlette(routes=kept_routes(Inquiries(), runs, jobs))
    return ask(app, path, query=query)


def test_the_newest_runs_are_told() -> None:
    runs = FakeRuns()
    found = [answer(path, runs).json() for path in ("/api/runs", "/api/runs?limit=3")]

    assert found == [{"runs": []}] * 2
    assert runs.asked == [50, 3]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/runs/7", 200),
        ("/api/runs/8", 404),
        ("/api/runs/-1", 404),
        ("/api/runs/x", 404),
        ("/api/runs/99999999999999999999", 404),
        ("/api/runs?limit=0", 400),
        ("/api/runs?limit=1001", 400),
        ("/api/runs?limit=x", 400),
    ],
)
def test_one_run_is_told_or_why_not(path: str, status: int) -> None:
    response = answer(path, FakeRuns())

    assert response.status == status
    assert status == 200 or response.json()["error"]


@pytest.mark.parametrize("path", ["/api/runs", "/api/runs/7", "/api/jobs", "/api/jobs/t/p"])
def test_what_this_run_does_not_keep_is_not_found(path: str) -> None:
    assert answer(path).status == 404


def test_a_database_that_is_away_is_told() -> None:
    response = answer("/api/runs", FakeRuns(away="db.example cannot be asked now"))

    assert (response.status, response.json()) == (503, {"error": "db.example cannot be asked now"})


def test_tasks_are_asked_for_by_page_and_tags() -> None:
    jobs = FakeJobs()
    response = answer("/api/jobs?limit=5&offset=10&tags=a,b", jobs=jobs)

    assert (response.status, jobs.asked) == (200, [5, 10, ["a", "b"]])


def test_jobs_are_asked_for_by_process() -> None:
    jobs = FakeJobs()
    found = [answer(f"/api/jobs/{task}/p?offset=3", jobs=jobs).status for task in ("t", "u")]

    assert found == [200, 404]
    assert jobs.asked == ["u", "p", 100, 3]


def test_only_a_few_questions_wait() -> None:
    inquiries, began, go_on = Inquiries(), Event(), Event()

    class SlowRuns(FakeRuns):
        def overview(self, limit: int) -> Answer:
            began.set()
            go_on.wait(10)
            return super().overview(limit)

    app = Starlette(routes=kept_routes(inquiries, SlowRuns(), None))
    statuses: list[int] = []
    askers = [
        Thread(target=lambda: statuses.append(ask(app, "/api/runs").status))
        for _ in range(MOST_WAITING + 1)
    ]
    askers[0].start()
    began.wait(10)
    for asker in askers[1:]:
        asker.start()
    while inquiries._waiting <= MOST_WAITING:
        began.wait(0.001)
    refused = ask(app, "/api/runs").status
    go_on.set()
    for asker in askers:
        asker.join()

    assert refused == 503
    assert statuses == [200] * (MOST_WAITING + 1)
