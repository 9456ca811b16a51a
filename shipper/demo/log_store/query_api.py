"""The query endpoints, in the shapes that Loki answers and Grafana's Explore reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from starlette.responses import Response

from shipper.demo.log_store.asked import Asked
from shipper.demo.log_store.evaluate import Evaluator, FoundLine, FoundStream, Window
from shipper.demo.log_store.expressions import LogQuery, MetricQuery
from shipper.demo.log_store.golang import NS_PER_SECOND
from shipper.demo.log_store.limits import Limits
from shipper.demo.log_store.logql import parse_query, parse_selector
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.responses import json_response

QueryEndpoint = Callable[[str, Asked], Response]

_HOUR_NS = 3600 * NS_PER_SECOND
_LABELS_HOURS = 6
_DEFAULT_ENTRIES = 100
_EVERYTHING = LogQuery(matchers=())


class QueryApi:
    """Answers queries; each method takes the tenant and what is asked, in any thread."""

    def __init__(self, evaluator: Evaluator, *, limits: Limits) -> None:
        self._evaluator = evaluator
        self._limits = limits

    def query_range(self, tenant: str, asked: Asked) -> Response:
        """Return lines, or a metric at each step, of a stretch of time."""
        window = _window(asked)
        if window.end_ns < window.start_ns:
            raise Refused(400, "end timestamp must not be before or equal to start time")
        query = parse_query(asked.text("query"))
        if isinstance(query, LogQuery):
            return self._streams(tenant, query, window, asked)
        step_ns = asked.step_ns(window.start_ns, window.end_ns)
        instants_ns = range(window.start_ns, window.end_ns + 1, step_ns)
        series = self._evaluator.samples(tenant, query, instants_ns)
        result = [
            {
                "metric": dict(key),
                "values": [[_seconds(ns), _number(value)] for ns, value in values.items()],
            }
            for key, values in sorted(series.items())
            if values
        ]
        return _success({"resultType": "matrix", "result": result, "stats": _stats()})

    def query(self, tenant: str, asked: Asked) -> Response:
        """Return a metric at one instant."""
        instant_ns = asked.time_ns("time", asked.now_ns)
        query = parse_query(asked.text("query"))
        if isinstance(query, LogQuery):
            raise Refused(
                400,
                "log queries are not supported as an instant query type, "
                "please change your query to a range query type",
            )
        return _success(
            {
                "resultType": "vector",
                "result": self._vector(tenant, query, instant_ns),
                "stats": _stats(),
            }
        )

    def labels(self, tenant: str, asked: Asked) -> Response:
        """Return the names of labels."""
        streams = self._evaluator.streams(tenant, _selected(asked), _label_window(asked))
        return _names(name for stream in streams for name in stream.label_map)

    def label_values(self, name: str) -> QueryEndpoint:
        """Return the endpoint that answers with the values of one label."""

        def values(tenant: str, asked: Asked) -> Response:
            streams = self._evaluator.streams(tenant, _selected(asked), _label_window(asked))
            return _names(stream.label_map[name] for stream in streams if name in stream.label_map)

        return values

    def series(self, tenant: str, asked: Asked) -> Response:
        """Return the label sets of streams."""
        selectors = asked.values.get("match[]", asked.values.get("match", []))
        queries = [parse_selector(text) for text in selectors] or [_EVERYTHING]
        window = _label_window(asked)
        found = {
            stream.stream_id: stream.label_map
            for query in queries
            for stream in self._evaluator.streams(tenant, query, window)
        }
        return _success(list(found.values()))

    def index_stats(self, tenant: str, asked: Asked) -> Response:
        """Return how much a selector would read; chunks are counted as one a stream."""
        window = _window(asked)
        streams, entries, size_bytes = self._evaluator.totals(tenant, _selected(asked), window)
        return json_response(
            {"streams": streams, "chunks": streams, "bytes": size_bytes, "entries": entries}
        )

    def _vector(self, tenant: str, query: MetricQuery, instant_ns: int) -> list[dict[str, Any]]:
        series = self._evaluator.samples(tenant, query, range(instant_ns, instant_ns + 1))
        return [
            {"metric": dict(key), "value": [_seconds(instant_ns), _number(values[instant_ns])]}
            for key, values in sorted(series.items())
            if values
        ]

    def _streams(self, tenant: str, query: LogQuery, window: Window, asked: Asked) -> Response:
        found = self._evaluator.lines(
            tenant,
            query,
            window,
            max_entries=self._max_entries(asked),
            newest_first=asked.text("direction", "backward").lower() != "forward",
            fold_metadata=not asked.categorize,
        )
        answer: dict[str, Any] = {
            "resultType": "streams",
            "result": [_stream(stream, categorize=asked.categorize) for stream in found],
            "stats": _stats(sum(len(stream.lines) for stream in found)),
        }
        if asked.categorize:
            answer["encodingFlags"] = ["categorize-labels"]
        return _success(answer)

    def _max_entries(self, asked: Asked) -> int:
        entries = asked.whole("limit", _DEFAULT_ENTRIES)
        most = self._limits.max_query_entries
        if entries <= 0:
            raise Refused(400, "limit must be a positive value")
        if entries > most:
            comparison = f"limit > max_entries_limit_per_query ({entries} > {most})"
            raise Refused(400, f"max entries limit per query exceeded, {comparison}")
        return entries


def empty_vector(_tenant: str, _asked: Asked) -> Response:
    """Answer what the store does not measure: volumes."""
    return _success({"resultType": "vector", "result": [], "stats": _stats()})


def empty_matrix(_tenant: str, _asked: Asked) -> Response:
    """Answer what the store does not measure: volumes over time."""
    return _success({"resultType": "matrix", "result": [], "stats": _stats()})


def empty_list(_tenant: str, _asked: Asked) -> Response:
    """Answer what the store does not look for: patterns."""
    return _success([])


def stream_document(labels: Mapping[str, str], values: list[list[Any]]) -> dict[str, Any]:
    """Return one stream of an answer."""
    return {"stream": labels, "values": values}


def _stream(stream: FoundStream, *, categorize: bool) -> dict[str, Any]:
    values: list[list[Any]] = [[str(line.time_ns), line.text] for line in stream.lines]
    if categorize:
        for value, line in zip(values, stream.lines, strict=True):
            value.append(_categories(line))
    return stream_document(stream.labels, values)


def _categories(line: FoundLine) -> dict[str, Mapping[str, str]]:
    categories = {"structuredMetadata": line.metadata, "parsed": line.parsed}
    return {name: labels for name, labels in categories.items() if labels}


def _window(asked: Asked) -> Window:
    end_ns = asked.time_ns("end", asked.now_ns)
    return Window(start_ns=asked.time_ns("start", end_ns - _HOUR_NS), end_ns=end_ns)


def _label_window(asked: Asked) -> Window:
    end_ns = asked.time_ns("end", asked.now_ns)
    start_ns = asked.time_ns("start", end_ns - _LABELS_HOURS * _HOUR_NS)
    return Window(start_ns=start_ns, end_ns=end_ns)


def _selected(asked: Asked) -> LogQuery:
    text = asked.text("query")
    return parse_selector(text) if text else _EVERYTHING


def _names(names: Iterable[str]) -> Response:
    # Loki leaves `data` out when there is nothing.
    found = sorted(set(names))
    return json_response({"status": "success", "data": found} if found else {"status": "success"})


def _success(answer: object) -> Response:
    return json_response({"status": "success", "data": answer})


def _stats(entries: int = 0) -> dict[str, Any]:
    return {"summary": {"totalEntriesReturned": entries}}


def _seconds(time_ns: int) -> float | int:
    whole, rest_ns = divmod(time_ns, NS_PER_SECOND)
    return round(time_ns / NS_PER_SECOND, 3) if rest_ns else whole


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
