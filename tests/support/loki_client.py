"""A client of Loki that answers without a network."""

from __future__ import annotations

from collections.abc import Mapping

from shipper.core.errors import SinkUnavailable
from shipper.sinks.loki.access import Login, TlsFiles
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.client import Client


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
