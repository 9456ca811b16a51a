"""Jobs that post, and the source that they post to, in the test's own process."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from shipper.config.secret import Secret
from shipper.sources.jobs import JobsSettings
from shipper.sources.jobs.building import build_source
from shipper.sources.jobs.source import JobsSource
from shipper.store.settings import StoreSettings

BASE = "/api/v0"
METRIC = "jobs_under_test"


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks a REST interface over one connection that is kept."""

    def __init__(self, port: int) -> None:
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=1, retries=False)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request with a body of JSON, or of these bytes, and without a content type."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        answer = self._pool.request(method, path, body=content, headers=headers, timeout=20.0)
        return Answer(answer.status, dict(answer.headers), answer.data)

    def get(self, path: str) -> Any:
        """Return what a path of the interface shows."""
        answer = self.ask("GET", BASE + path)
        assert answer.status == 200, answer
        return answer.json()

    def post(self, path: str, body: object, **headers: str) -> Answer:
        """Post to a path of the interface."""
        return self.ask("POST", BASE + path, body, **headers)

    def close(self) -> None:
        self._pool.close()


def source_at(port: int, folder: Path, url: str | None = None, **written: Any) -> JobsSource:
    """Return a source that will listen on a port, with its tables at this URL or in this folder."""
    settings = JobsSettings.model_validate(
        {"port": port, "max_requests_per_second": 100_000, **written}
    )
    store = StoreSettings.model_validate(
        {
            "url": None if url is None else Secret("literal", url),
            "connect_timeout_seconds": 1,
            "statement_timeout_seconds": 5,
        }
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return build_source(settings, METRIC, store, folder)
