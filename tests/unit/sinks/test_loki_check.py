from __future__ import annotations

from collections.abc import Mapping

import pytest

from shipper.core.checks import Finding, Outcome
from shipper.core.errors import SinkUnavailable
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.check import check_loki_clock, check_loki_connection
from tests.support.loki_client import PathClient

READY = "/ready"
BUILD = "/loki/api/v1/status/buildinfo"
METRICS = "/metrics"
LABELS = "/loki/api/v1/labels"
STARTING = Answer(503, "Ingester not ready: waiting for 15s after being ready")


# Sun, 22 Nov 2026 05:00:00 GMT
LOKI_SECONDS = 1_795_323_600
DATED = {READY: Answer(200, "ready", {"date": "Sun, 22 Nov 2026 05:00:00 GMT"})}
HOUR_SECONDS = 3600


def clock_found(answers: Mapping[str, Answer | SinkUnavailable], ahead_seconds: float) -> Finding:
    return check_loki_clock(PathClient(answers), now_seconds=lambda: LOKI_SECONDS + ahead_seconds)


def found(answers: Mapping[str, Answer | SinkUnavailable], *, tenant: str | None = None) -> Finding:
    return check_loki_connection(PathClient(answers), tenant=tenant)


@pytest.mark.parametrize("path", [READY, BUILD, METRICS])
def test_any_answer_of_200_proves_it(path: str) -> None:
    assert found({path: Answer(200)}).outcome is Outcome.PASSED


def test_a_loki_that_is_starting_is_noted() -> None:
    finding = found({READY: STARTING})

    assert finding.outcome is Outcome.NOTED
    assert "starting" in finding.text


def test_a_loki_that_is_there_but_not_ready_is_noted() -> None:
    down = Answer(503, "Some services are not Running:\nTerminated: 1\nRunning: 15")
    finding = found({READY: down, BUILD: Answer(200)})

    assert finding.outcome is Outcome.NOTED
    assert "Some services are not Running" in finding.text


@pytest.mark.parametrize(
    ("answers", "text", "hint"),
    [
        pytest.param({}, "nothing at http://loki:3100 looks like Loki", "path prefix", id="404"),
        pytest.param({READY: Answer(401)}, "does not let us in", "loki.password", id="401"),
        pytest.param({READY: Answer(403)}, "answered 403", "loki.token", id="403"),
        pytest.param({READY: Answer(401, "no org id")}, "tenant", "loki.tenant", id="tenant"),
        pytest.param(
            {READY: Answer(302, "", {"location": "https://login/?a=b"})},
            "redirects to https://login/",
            "not followed",
            id="redirect",
        ),
        pytest.param(
            {READY: Answer(400, "Client sent an HTTP request to an HTTPS server.")},
            "wants https",
            "https://",
            id="http to https",
        ),
        pytest.param({READY: Answer(502, "Bad Gateway")}, "Bad Gateway", "its log", id="gateway"),
        pytest.param(
            {READY: Answer(503, "Application is stopping")}, "stopping", "its log", id="stopping"
        ),
    ],
)
def test_a_loki_that_cannot_be_used_is_told_with_a_hint(
    answers: Mapping[str, Answer], text: str, hint: str
) -> None:
    finding = found(answers)

    assert finding.outcome is Outcome.FAILED
    assert text in finding.text
    assert hint in finding.hint


def test_the_query_of_a_redirect_is_not_shown() -> None:
    assert "a=b" not in found({READY: Answer(302, "", {"location": "https://l/?a=b"})}).text


@pytest.mark.parametrize(
    "reason", ["connection_refused", "connection_lost", "dns", "timeout", "tls", "secret"]
)
def test_no_answer_at_all_is_a_failure_with_a_hint(reason: str) -> None:
    finding = found({READY: SinkUnavailable("what happened", reason=reason)})

    assert (finding.outcome, finding.text) == (Outcome.FAILED, "what happened")
    assert finding.hint


def test_a_missing_tenant_is_found_where_one_is_needed() -> None:
    finding = found({READY: Answer(200), LABELS: Answer(401, "no org id\n")})

    assert finding.outcome is Outcome.FAILED
    assert finding.hint == "set loki.tenant"


def test_a_tenant_that_is_set_is_enough() -> None:
    answers = {READY: Answer(200), LABELS: Answer(401, "no org id\n")}

    assert found(answers, tenant="ops").outcome is Outcome.PASSED


def test_a_token_that_may_only_write_is_enough() -> None:
    answers = {READY: Answer(200), LABELS: Answer(403, "insufficient scope")}

    assert found(answers).outcome is Outcome.PASSED


@pytest.mark.parametrize("ahead_seconds", [-4.4, 0, 0.9, 5.4])
def test_clocks_that_agree_are_fine(ahead_seconds: float) -> None:
    assert clock_found(DATED, ahead_seconds).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("ahead_seconds", "text"),
    [
        (10.5, "our clock is 10 s ahead of Loki's"),
        (-119.5, "our clock is 2.0 min behind Loki's"),
        (600, "our clock is 10.0 min ahead of Loki's"),
        (-5 * HOUR_SECONDS, "our clock is 5.0 h behind Loki's"),
        (-6 * 24 * HOUR_SECONDS, "our clock is 6.0 days behind Loki's"),
    ],
)
def test_clocks_that_differ_are_noted(ahead_seconds: float, text: str) -> None:
    finding = clock_found(DATED, ahead_seconds)

    assert (finding.outcome, finding.text) == (Outcome.NOTED, text)
    assert "NTP" in finding.hint


@pytest.mark.parametrize(
    ("ahead_seconds", "fate"),
    [(602, "every line would be refused as too new"), (-8 * 24 * HOUR_SECONDS, "as too old")],
)
def test_a_clock_with_which_every_line_would_be_refused_fails(
    ahead_seconds: float, fate: str
) -> None:
    finding = clock_found(DATED, ahead_seconds)

    assert finding.outcome is Outcome.FAILED
    assert fate in finding.text


def test_a_slow_answer_does_not_count_as_a_difference() -> None:
    moments = iter([LOKI_SECONDS - 4.0, LOKI_SECONDS + 4.0])
    finding = check_loki_clock(PathClient(DATED), now_seconds=lambda: next(moments))

    assert finding.outcome is Outcome.PASSED


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}])
def test_without_a_date_the_clock_is_not_judged(headers: Mapping[str, str]) -> None:
    finding = clock_found({READY: Answer(200, "ready", headers)}, 9999)

    assert finding.outcome is Outcome.PASSED
    assert "no Date" in finding.text


def test_a_refusal_tells_the_time_as_well() -> None:
    refusal = Answer(401, "", {"date": "Sun, 22 Nov 2026 05:00:00 GMT"})

    assert clock_found({READY: refusal}, 60).outcome is Outcome.NOTED


def test_the_clock_of_a_loki_that_cannot_be_reached_is_not_tried() -> None:
    finding = clock_found({READY: SinkUnavailable("down", reason="dns")}, 0)

    assert (finding.text, finding.hint) == ("not tried: Loki cannot be reached", "")
