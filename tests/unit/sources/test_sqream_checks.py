"""The startup checks of SQreamDB, against a server that only answers texts."""

from __future__ import annotations

import pickle
from collections.abc import Mapping

import pytest

from shipper.core.checks import Finding, Outcome
from shipper.core.errors import (
    ReadRefused,
    SourceError,
    SourceRefused,
    SourceTimeout,
    SourceUnavailable,
)
from shipper.sources.sqream import SqreamSettings, checks, driver
from shipper.sources.sqream.checks import MetricCall, try_functions, try_login, try_worker
from shipper.sources.sqream.connection import SqreamConnection

SECTION = SqreamConnection(host="db")
DEADLINE_SECONDS = 5.0


class FakeServer:
    """Lets everybody in unless told otherwise, and answers no rows unless told otherwise."""

    def __init__(self) -> None:
        self.login_error: SourceError | None = None
        self.errors: Mapping[str, SourceError] = {}
        self.asked: list[str] = []
        self.waited_seconds: list[float] = []
        self.sessions_open = 0

    def connect(self, section: SqreamConnection, *, timeout_seconds: float) -> FakeServer:
        self.waited_seconds.append(timeout_seconds)
        if self.login_error is not None:
            raise self.login_error
        self.sessions_open += 1
        return self

    def query(self, sql: str, *, timeout_seconds: float) -> driver.Answer:
        self.asked.append(sql)
        self.waited_seconds.append(timeout_seconds)
        if sql in self.errors:
            raise self.errors[sql]
        return driver.Answer()

    def hang_up(self) -> None:
        self.sessions_open -= 1


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    monkeypatch.setattr(driver, "connect", fake.connect)
    return fake


def call(function: str, *, metric: str = "m", required: bool = True) -> MetricCall:
    return MetricCall(metric, function, f"select {function}()", required)


def tried(*calls: MetricCall) -> Finding:
    return try_functions(SECTION, calls, DEADLINE_SECONDS)


UNKNOWN = ReadRefused("Could not find function show_lock in catalog.")


def test_without_entries_there_is_nothing_to_check() -> None:
    assert SqreamSettings.checks(None, {}) == ()


def test_the_three_checks_have_the_names_operators_know() -> None:
    found = checks.startup_checks(SECTION, [call("show_locks")])

    assert [check.name for check in found] == [
        "check_customer_metrics",
        "check_sqream_connection",
        "check_sqream_on_cpu",
    ]


@pytest.mark.parametrize(("other", "required"), [(True, True), (False, False)])
def test_checks_are_required_when_one_entry_is(other: bool, required: bool) -> None:
    calls = [call("show_locks", required=False), call("show_version", required=other)]

    assert {check.required for check in checks.startup_checks(SECTION, calls)} == {required}


def test_checks_can_be_sent_to_another_process() -> None:
    entries = {"show_locks": SqreamSettings(function="show_locks")}
    found = SqreamSettings.checks(SECTION, entries)

    assert [each.name for each in pickle.loads(pickle.dumps(found))] == [  # noqa: S301 - our own
        each.name for each in found
    ]


def test_every_function_is_called_once(server: FakeServer) -> None:
    tried(call("show_locks"), call("show_locks", metric="again"), call("show_version"))

    assert server.asked == ["select show_locks()", "select show_version()"]


def test_functions_that_answer_pass(server: FakeServer) -> None:
    assert tried(call("show_locks"), call("show_version")) == Finding(
        Outcome.PASSED, "2 functions answered"
    )


def test_a_function_that_changes_the_server_is_not_called(server: FakeServer) -> None:
    finding = tried(call("reset_leveldb_stats"))

    assert server.asked == []
    assert finding == Finding(
        Outcome.PASSED,
        "0 functions answered; reset_leveldb_stats: not tried, it changes the server",
    )


def test_an_unknown_function_fails_with_metric_function_and_the_nearest_one(
    server: FakeServer,
) -> None:
    server.errors = {"select show_lock()": UNKNOWN}

    assert tried(call("show_lock", metric="locks")) == Finding(
        Outcome.FAILED,
        'show_lock (metric locks): the server knows no such function; did you mean "show_locks"?',
        "correct the function, or remove the metric",
    )


def test_an_unknown_function_that_nobody_requires_is_noted(server: FakeServer) -> None:
    server.errors = {"select show_lock()": UNKNOWN}

    assert tried(call("show_lock", required=False)).outcome is Outcome.NOTED


def test_an_unknown_function_that_one_of_two_metrics_requires_fails(server: FakeServer) -> None:
    server.errors = {"select show_lock()": UNKNOWN}
    finding = tried(call("show_lock", metric="a", required=False), call("show_lock", metric="b"))

    assert finding.outcome is Outcome.FAILED
    assert "(metric a, b)" in finding.text


def test_a_denied_function_is_noted_and_the_others_are_tried(server: FakeServer) -> None:
    server.errors = {"select show_connections()": ReadRefused("permission denied")}

    assert tried(call("show_connections"), call("show_locks")) == Finding(
        Outcome.NOTED,
        "show_connections (metric m): permission denied",
        "its worker will keep trying",
    )
    assert server.asked[-1] == "select show_locks()"


def test_one_failure_among_notes_fails(server: FakeServer) -> None:
    server.errors = {
        "select show_connections()": ReadRefused("permission denied"),
        "select show_lock()": UNKNOWN,
    }
    finding = tried(call("show_connections"), call("show_lock"))

    assert finding.outcome is Outcome.FAILED
    assert "permission denied; show_lock" in finding.text


def test_a_function_that_hangs_fails_and_ends_the_check(server: FakeServer) -> None:
    server.errors = {"select show_locks()": SourceTimeout("db:5000 did not answer within 4 s")}
    finding = tried(call("show_locks"), call("show_version"))

    assert server.asked == ["select show_locks()"]
    assert finding.outcome is Outcome.FAILED
    assert finding.text.startswith("show_locks (metric m): db:5000 did not answer within 4 s")


def test_without_a_connection_no_function_is_tried(server: FakeServer) -> None:
    server.login_error = SourceUnavailable("db:5000 refuses connections")

    finding = tried(call("show_locks"))
    assert (finding.outcome, finding.text) == (Outcome.FAILED, "not tried: no connection")


def test_a_login_passes(server: FakeServer) -> None:
    assert try_login(SECTION, DEADLINE_SECONDS) == Finding(
        Outcome.PASSED, "db:5000 lets sqream into master, service monitor"
    )


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (SourceUnavailable("db:5000 refuses connections"), "worker listening"),
        (SourceUnavailable("db:5000 is not a host that can be found"), "spelling"),
        (SourceTimeout("db:5000 did not answer within 2 s"), "is it SQream"),
        (SourceUnavailable("db:5000 is not a server picker, and `clustered` is true"), "3108"),
        (SourceUnavailable("db:5000 does not speak TLS, and `use_ssl` is true"), "`use_ssl` off"),
        (SourceUnavailable("db:5000 hung up"), "needs `use_ssl`"),
        (SourceUnavailable("Login failure: role 'x' doesn't exist"), "create the role"),
        (SourceUnavailable("Login failure: wrong password for role 'x'"), "password"),
        (SourceUnavailable("Database x no longer exists"), "database"),
        (SourceUnavailable("There are no instances subscribed to the"), "subscribe a worker"),
        (SourceUnavailable("Server is shutting down, no new"), "start the server"),
        (SourceRefused("it is not there: install procps"), "apt-get install procps"),
        (SourceUnavailable("db:5000: KeyError: 'x'"), ""),
    ],
)
def test_a_login_that_fails_comes_with_a_hint(
    server: FakeServer, error: SourceError, hint: str
) -> None:
    server.login_error = error
    finding = try_login(SECTION, DEADLINE_SECONDS)

    assert (finding.outcome, finding.text) == (Outcome.FAILED, str(error))
    assert hint in finding.hint
    assert bool(finding.hint) is bool(hint)


def test_a_worker_that_runs_select_1_has_a_gpu_and_fails(server: FakeServer) -> None:
    finding = try_worker(SECTION, DEADLINE_SECONDS)

    assert server.asked == ["select 1"]
    assert finding.outcome is Outcome.FAILED
    assert finding.text.startswith("db:5000 runs on a GPU")


@pytest.mark.parametrize(
    "answer",
    ["The query requires a GPU-Worker. Ensure the SQream Service has GPU ...", "Internal Runtime Error"],
)  # fmt: skip
def test_a_worker_that_misses_its_gpu_passes(server: FakeServer, answer: str) -> None:
    server.errors = {"select 1": ReadRefused(answer)}

    assert try_worker(SECTION, DEADLINE_SECONDS) == Finding(
        Outcome.PASSED, "db:5000 runs without a GPU"
    )


def test_another_refusal_does_not_tell_the_kind_of_worker(server: FakeServer) -> None:
    server.errors = {"select 1": ReadRefused("permission denied")}
    finding = try_worker(SECTION, DEADLINE_SECONDS)

    assert finding.outcome is Outcome.NOTED
    assert finding.text.endswith("permission denied")


@pytest.mark.parametrize("step", ["login", "query"])
def test_a_lost_connection_is_no_proof_of_a_cpu_worker(server: FakeServer, step: str) -> None:
    lost = SourceUnavailable("db:5000 hung up")
    server.login_error = lost if step == "login" else None
    server.errors = {"select 1": lost}

    assert try_worker(SECTION, DEADLINE_SECONDS).outcome is Outcome.FAILED


def test_every_wait_is_shorter_than_the_deadline(server: FakeServer) -> None:
    tried(call("show_locks"))

    assert max(server.waited_seconds) < DEADLINE_SECONDS


def test_sessions_are_closed_whatever_happened(server: FakeServer) -> None:
    server.errors = {"select show_lock()": UNKNOWN, "select 1": ReadRefused("permission denied")}
    tried(call("show_lock"))
    try_worker(SECTION, DEADLINE_SECONDS)
    try_login(SECTION, DEADLINE_SECONDS)

    assert server.sessions_open == 0
