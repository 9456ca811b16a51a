from __future__ import annotations

from collections.abc import Mapping

import pytest

from shipper.core.checks import Finding, Outcome
from shipper.core.errors import SinkUnavailable
from shipper.sinks.loki.access import Login, TlsFiles
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.check import check_loki_connection
from shipper.sinks.loki.client import Client

READY = "/ready"
BUILD = "/loki/api/v1/status/buildinfo"
METRICS = "/metrics"
LABELS = "/loki/api/v1/labels"
STARTING = Answer(503, "Ingester not ready: waiting for 15s after being ready")


class PathClient(Client):
    """Answers by path, with 404 where nothing was said; an error is raised."""

    def __init__(self, answers: Mapping[str, Answer | SinkUnavailable]) -> None:
        super().__init__(
            "http://loki:3100",
            login=Login(),
            tls=TlsFiles(),
            connect_timeout_seconds=1,
            read_timeout_seconds=1,
        )
        self.answers = answers

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        assert method == "GET"
        answer = self.answers.get(path, Answer(404, "404 page not found"))
        if isinstance(answer, SinkUnavailable):
            raise answer
        return answer


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
