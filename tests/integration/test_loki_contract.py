"""Holds the log store against the Loki contract, and a real Loki too when LOKI_URL names one."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator

import pytest
import urllib3

from shipper.demo.log_store import LogStore
from tests.contract.loki_contract import CASES, Case, Push

_SERVERS = ["log_store", *(["loki"] if os.environ.get("LOKI_URL") else [])]
_PATIENCE_SECONDS = 10.0
_WEEK_NS = 8 * 86_400 * 1_000_000_000


@pytest.fixture(scope="module", params=_SERVERS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "loki":
        yield os.environ["LOKI_URL"].rstrip("/")
        return
    with LogStore() as store:
        yield store.url


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=30) as pool:
        yield pool


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_push_is_answered_and_stored_as_loki_does(
    case: Case, url: str, http: urllib3.PoolManager
) -> None:
    app = f"t{uuid.uuid4().hex[:12]}"
    now_ns = time.time_ns()
    status, text = _send_within_the_rate(http, url, case.make(app, now_ns), case.status)

    assert (status, case.words.replace("{app}", app) in text) == (case.status, True), text
    assert _stored(http, url, app, len(case.stored)) == list(case.stored)


def _send_within_the_rate(
    http: urllib3.PoolManager, url: str, push: Push, expected: int
) -> tuple[int, str]:
    """Send again while the tenant's rate, which all cases share, is used up."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        status, text = _send(http, url, push)
        if status != 429 or expected == 429 or time.monotonic() > deadline:
            return status, text
        time.sleep(0.2)


def _send(http: urllib3.PoolManager, url: str, push: Push) -> tuple[int, str]:
    headers = {}
    if push.content_type is not None:
        headers["Content-Type"] = push.content_type
    if push.content_encoding is not None:
        headers["Content-Encoding"] = push.content_encoding
    body = iter([push.body[:7], push.body[7:]]) if push.chunked else push.body
    response = http.request(
        "POST", f"{url}/loki/api/v1/push", body=body, headers=headers, chunked=push.chunked
    )
    return response.status, response.data.decode()


def _stored(http: urllib3.PoolManager, url: str, app: str, expected: int) -> list[str]:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        lines = _lines(http, url, app)
        if len(lines) >= expected or time.monotonic() > deadline:
            return lines
        time.sleep(0.1)


def _lines(http: urllib3.PoolManager, url: str, app: str) -> list[str]:
    now_ns = time.time_ns()
    fields = {
        "query": f'{{app="{app}"}}',
        "start": str(now_ns - _WEEK_NS),
        "end": str(now_ns + _WEEK_NS // 8),
        "direction": "forward",
        "limit": "5000",
    }
    response = http.request("GET", f"{url}/loki/api/v1/query_range", fields=fields)
    assert response.status == 200, response.data
    found = [
        (int(time_ns), line)
        for stream in response.json()["data"]["result"]
        for time_ns, line in stream["values"]
    ]
    return [line for _, line in sorted(found, key=lambda entry: entry[0])]
