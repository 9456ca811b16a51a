"""What must be true before SQreamDB is polled: the login works, the worker has no GPU, every function answers.

Every check has a connection of its own and keeps within its deadline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from shipper.core.checks import Check, Finding, Outcome
from shipper.core.clock import Clock, SystemClock
from shipper.core.errors import ReadRefused, SourceError, SourceUnavailable
from shipper.sources.sqream import driver
from shipper.sources.sqream.connection import SqreamConnection
from shipper.sources.sqream.functions import CHANGING_FUNCTIONS, did_you_mean

UNKNOWN_FUNCTION = re.compile(r"could not find function", re.IGNORECASE)

CPU_WORKER = re.compile(r"GPU-Worker|Internal Runtime Error", re.IGNORECASE)
"""What a worker without a GPU answers to `select 1`; the second was heard in May 2024, the first since."""

_CONNECTION_HINTS = (
    ("refuses connections", "is a worker listening there? A server picker needs `clustered`"),
    ("host that can be found", "check the spelling of the host"),
    ("IPv4 address", "give the IPv4 address of the host"),
    ("did not answer within", "something listens there: is it SQream, and is it TLS (`use_ssl`)?"),
    ("does not answer", "check host and port, and the firewall between"),
    ("server picker", "turn `clustered` off, or give the picker's port (3108)"),
    ("TLS", "turn `use_ssl` off, or give the TLS port (5001)"),
    ("hung up", "is it SQream? A TLS port (5001) needs `use_ssl`"),
    ("doesn't exist", "check the username, or create the role"),
    ("wrong password", "check the password"),
    ("no longer exists", "check the database"),
    ("no instances subscribed", "check the service, or subscribe a worker to it"),
    ("shutting down", "start the server again"),
    ("procps", "apt-get install procps"),
    ("cannot be imported", "pip install -r requirements.txt"),
)
_SHORTEST_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class MetricCall:
    """What a metric will ask the server for."""

    metric: str
    function: str
    sql: str
    required: bool = True

    @property
    def changes_server(self) -> bool:
        """Whether it must not be tried in advance."""
        return self.function in CHANGING_FUNCTIONS


def startup_checks(section: SqreamConnection, calls: Sequence[MetricCall]) -> Sequence[Check]:
    """Return the checks for metrics that share one connection section; they can be pickled."""
    if not calls:
        return ()
    required = any(call.required for call in calls)
    attempts = {
        "check_customer_metrics": partial(try_functions, section, tuple(calls)),
        "check_sqream_connection": partial(try_login, section),
        "check_sqream_on_cpu": partial(try_worker, section),
    }
    return [Check(name, attempt, required=required) for name, attempt in attempts.items()]


def try_login(section: SqreamConnection, deadline_seconds: float) -> Finding:
    """Log in as the metrics will."""
    try:
        with _session(section, _Countdown(deadline_seconds)):
            where = f"{section.database}, service {section.service}"
            text = f"{section.far_end} lets {section.username} into {where}"
            return Finding(Outcome.PASSED, text)
    except SourceError as error:
        return Finding(Outcome.FAILED, str(error), _hint(error))


def try_worker(section: SqreamConnection, deadline_seconds: float) -> Finding:
    """Find out whether the worker has a GPU: only then it can run `select 1`."""
    left = _Countdown(deadline_seconds)
    try:
        with _session(section, left) as session:
            session.query("select 1", timeout_seconds=left.seconds())
    except ReadRefused as error:
        return _kind_of_worker(section, str(error))
    except SourceError as error:
        return Finding(Outcome.FAILED, f"not found out: {error}", _hint(error))
    return Finding(
        Outcome.FAILED,
        f"{section.far_end} runs on a GPU: every poll would take a turn from the queries",
        f"give the service {section.service} a worker of its own, with cudaMemQuota 0",
    )


def try_functions(
    section: SqreamConnection, calls: Sequence[MetricCall], deadline_seconds: float
) -> Finding:
    """Call every function once, except those that change the server."""
    left = _Countdown(deadline_seconds)
    try:
        with _session(section, left) as session:
            return _finding(calls, list(_troubles(session, calls, left)))
    except SourceError as error:
        return Finding(Outcome.FAILED, "not tried: no connection", _hint(error))


class _Countdown:
    """What is left of a deadline."""

    def __init__(self, seconds: float, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._end_seconds = self._clock.monotonic_seconds() + seconds

    def seconds(self) -> float:
        """Return how long the next step may take."""
        return max(self._end_seconds - self._clock.monotonic_seconds(), _SHORTEST_WAIT_SECONDS)


@contextmanager
def _session(section: SqreamConnection, left: _Countdown) -> Iterator[driver.Session]:
    login_seconds = min(section.login_timeout_seconds, left.seconds())
    session = driver.connect(section, timeout_seconds=login_seconds)
    try:
        yield session
    finally:
        session.hang_up()


def _hint(error: SourceError) -> str:
    text = str(error)
    return next((hint for fragment, hint in _CONNECTION_HINTS if fragment in text), "")


def _kind_of_worker(section: SqreamConnection, answer: str) -> Finding:
    if CPU_WORKER.search(answer):
        return Finding(Outcome.PASSED, f"{section.far_end} runs without a GPU")
    return Finding(
        Outcome.NOTED,
        f"{section.far_end} does not tell whether it has a GPU: {answer}",
        "make sure that the worker has cudaMemQuota 0",
    )


@dataclass(frozen=True, slots=True)
class _Trouble:
    """One statement that brought no rows, and whether that stops the run."""

    outcome: Outcome
    text: str
    hint: str = ""


def _troubles(
    session: driver.Session, calls: Sequence[MetricCall], left: _Countdown
) -> Iterator[_Trouble]:
    for sql, users in _by_statement(calls).items():
        try:
            session.query(sql, timeout_seconds=left.seconds())
        except ReadRefused as error:
            yield _refused(users, str(error))
        except SourceUnavailable as error:
            outcome = Outcome.FAILED if any(call.required for call in users) else Outcome.NOTED
            yield _Trouble(outcome, f"{_named(users)}: {error}; the functions after it not tried")
            return


def _by_statement(calls: Sequence[MetricCall]) -> dict[str, list[MetricCall]]:
    statements: dict[str, list[MetricCall]] = {}
    for call in calls:
        if not call.changes_server:
            statements.setdefault(call.sql, []).append(call)
    return statements


def _refused(users: Sequence[MetricCall], answer: str) -> _Trouble:
    if not UNKNOWN_FUNCTION.search(answer):
        text = f"{_named(users)}: {answer}"
        return _Trouble(Outcome.NOTED, text, "its worker will keep trying")
    outcome = Outcome.FAILED if any(call.required for call in users) else Outcome.NOTED
    suggestion = did_you_mean(users[0].function)
    text = f"{_named(users)}: the server knows no such function{suggestion}"
    return _Trouble(outcome, text, "correct the function, or remove the metric")


def _named(users: Sequence[MetricCall]) -> str:
    metrics = ", ".join(call.metric for call in users)
    return f"{users[0].function} (metric {metrics})"


def _finding(calls: Sequence[MetricCall], troubles: Sequence[_Trouble]) -> Finding:
    left_out = sorted({call.function for call in calls if call.changes_server})
    remarks = [f"{function}: not tried, it changes the server" for function in left_out]
    if not troubles:
        answered = f"{len(_by_statement(calls))} functions answered"
        return Finding(Outcome.PASSED, "; ".join([answered, *remarks]))
    outcomes = {trouble.outcome for trouble in troubles}
    outcome = Outcome.FAILED if Outcome.FAILED in outcomes else Outcome.NOTED
    texts = [trouble.text for trouble in troubles]
    hints = dict.fromkeys(trouble.hint for trouble in troubles if trouble.hint)
    return Finding(outcome, "; ".join([*texts, *remarks]), "; ".join(hints))
