"""Reads back what is stored: from our log store in the order of arrival, from a real Loki in the order of time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import urllib3

from tests.prove.comparison import Arrival

METRIC_LABEL = "job"
RUN_LABEL = "proof"
PAGE_LINES = 5000
ANSWER_SECONDS = 30.0

_IN_ORDER_OF_ARRIVAL = """
SELECT streams.labels, time_ns, line, metadata
FROM entries JOIN streams ON streams.id = entries.stream_id ORDER BY entries.id
"""


def stored_in_file(path: Path) -> list[Arrival]:
    """Return what our log store took, in the order it came, copies included."""
    with closing(sqlite3.connect(path)) as reader:
        return [
            _arrival(dict(json.loads(labels)), time_ns, line, json.loads(metadata))
            for labels, time_ns, line, metadata in reader.execute(_IN_ORDER_OF_ARRIVAL)
        ]


def stored_in_loki(url: str, run: str, *, begin_ns: int, end_ns: int) -> list[Arrival]:
    """Return what a real Loki shows of a run, in the order of time; it hides copies (Loki 3.6).

    Raises:
        RuntimeError: It does not answer the query.
    """
    seen: dict[tuple[str, int, str], Arrival] = {}
    while True:
        page = list(_page(url, run, begin_ns, end_ns))
        before = len(seen)
        for arrival in page:
            key = (json.dumps(arrival.labels, sort_keys=True), arrival.time_ns, arrival.line)
            seen.setdefault(key, arrival)
        if len(page) < PAGE_LINES or len(seen) == before:
            return sorted(seen.values(), key=lambda arrival: arrival.time_ns)
        # The lines of the last nanosecond come again, as some of them may be on the next page.
        begin_ns = max(arrival.time_ns for arrival in page)


def _page(url: str, run: str, begin_ns: int, end_ns: int) -> Iterator[Arrival]:
    fields = {
        "query": f'{{{RUN_LABEL}="{run}"}}',
        "start": str(begin_ns),
        "end": str(end_ns),
        "limit": str(PAGE_LINES),
        "direction": "forward",
    }
    answer = urllib3.request(
        "GET",
        f"{url}/loki/api/v1/query_range",
        fields=fields,
        headers={"X-Loki-Response-Encoding-Flags": "categorize-labels"},
        timeout=ANSWER_SECONDS,
    )
    if answer.status != 200:
        raise RuntimeError(f"{url} answered {answer.status}: {answer.data.decode()[:200]}")
    for stream in answer.json()["data"]["result"]:
        for time_text, line, categories in stream["values"]:
            metadata = categories.get("structuredMetadata", {})
            yield _arrival(stream["stream"], int(time_text), line, metadata)


def _arrival(labels: dict[str, str], time_ns: int, line: str, metadata: Any) -> Arrival:
    return Arrival(labels.get(METRIC_LABEL, ""), labels, time_ns, line, metadata)
