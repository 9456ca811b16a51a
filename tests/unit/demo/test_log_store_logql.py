from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from shipper.demo.log_store.asked import Asked
from shipper.demo.log_store.catalog import Catalog, KnownStream
from shipper.demo.log_store.evaluate import Evaluator, Window, folded_labels
from shipper.demo.log_store.expressions import (
    Aggregation,
    Grouping,
    LogQuery,
    RangeFunction,
    Vector,
)
from shipper.demo.log_store.logql import parse_query, parse_selector
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.storage import Storage, StoredEntry
from shipper.demo.log_store.tokens import parse_duration_ns

SECOND_NS = 1_000_000_000
EVERYTHING = Window(start_ns=0, end_ns=1000 * SECOND_NS)


@pytest.fixture
def evaluator(tmp_path: Path) -> Iterator[Evaluator]:
    storage = Storage(tmp_path / "logs.db")
    catalog = Catalog([])
    for app in ("a", "b"):
        labels = (("app", app),)
        known = KnownStream(storage.add_stream("fake", labels), "fake", labels, 0, 100 * SECOND_NS)
        catalog.add(known)
        storage.add_entries(
            [
                StoredEntry(
                    known.stream_id,
                    second * SECOND_NS,
                    f"{app} {second}",
                    orjson.dumps({"level": "odd" if second % 2 else "even"}).decode(),
                )
                for second in (10, 11, 12, 12)
            ]
        )
    storage.commit()
    yield Evaluator(catalog, storage)
    storage.close()


def log_query(text: str) -> LogQuery:
    query = parse_query(text)
    assert isinstance(query, LogQuery)
    return query


def lines(
    evaluator: Evaluator,
    text: str,
    *,
    max_entries: int = 100,
    newest_first: bool = False,
    fold_metadata: bool = False,
) -> list[tuple[dict[str, str], list[str]]]:
    found = evaluator.lines(
        "fake",
        log_query(text),
        EVERYTHING,
        max_entries=max_entries,
        newest_first=newest_first,
        fold_metadata=fold_metadata,
    )
    return [(dict(stream.labels), [line.text for line in stream.lines]) for stream in found]


def samples(evaluator: Evaluator, text: str, *seconds: int) -> dict[object, list[float]]:
    query = parse_query(text)
    assert not isinstance(query, LogQuery)
    step = seconds[1] - seconds[0] if len(seconds) > 1 else 1
    instants_ns = range(seconds[0] * SECOND_NS, seconds[-1] * SECOND_NS + 1, step * SECOND_NS)
    series = evaluator.samples("fake", query, instants_ns)
    return {key: list(values.values()) for key, values in series.items()}


@pytest.mark.parametrize(
    ("selector", "accepted"),
    [
        ('{app="x"}', True),
        ('{app!="x"}', False),
        ('{app=~"x|y"}', True),
        ('{app=~"."}', True),
        ('{app!~"x.*"}', False),
        ('{app="x", host=""}', True),
        ('{app="x", host!=""}', False),
        ('{app=~"(?i)X"}', True),
        ("{app=`x`,}", True),
    ],
)
def test_a_selector_accepts_labels(selector: str, *, accepted: bool) -> None:
    assert parse_selector(selector).accepts_labels({"app": "x"}) is accepted


@pytest.mark.parametrize(
    ("filters", "accepted"),
    [
        ('|= "b c"', True),
        ('|= "B"', False),
        ('!= "z"', True),
        ('|~ "b.c"', True),
        ('!~ "^a"', False),
        ('|= "a" |= "z"', False),
        (r'|= "\""', False),
        ("# a comment", True),
    ],
)
def test_line_filters_accept_lines(filters: str, *, accepted: bool) -> None:
    assert log_query('{app="x"} ' + filters).accepts_line("a b c") is accepted


def test_metric_queries_are_read() -> None:
    log = log_query('{app="x"}')

    assert parse_query('count_over_time({app="x"}[1m30s])') == RangeFunction(
        "count_over_time", log, 90 * SECOND_NS
    )
    assert parse_query('sum by (a, b) (rate({app="x"}[1h]))') == Aggregation(
        "sum", RangeFunction("rate", log, 3600 * SECOND_NS), Grouping(("a", "b"))
    )
    assert parse_query('sum(rate({app="x"}[1h])) without (a)') == Aggregation(
        "sum", RangeFunction("rate", log, 3600 * SECOND_NS), Grouping(("a",), without=True)
    )
    assert parse_query('topk(2, rate({app="x"}[1h]))') == Aggregation(
        "topk", RangeFunction("rate", log, 3600 * SECOND_NS), Grouping(), 2
    )
    assert parse_query("vector(1)+vector(1)") == Vector(2.0)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ('{app="q', "parse error at line 1, col 6: literal not terminated"),
        ('{app="q"', "col 9: syntax error: unexpected $end"),
        ('{app="q"} | logfmt', "col 19: syntax error: unexpected $end"),
        (
            'quantile_over_time(0.9, {app="x"}[1m])',
            "this small log store understands a subset of LogQL",
        ),
        ('{app="q"} | json | unwrap a', "col 20: syntax error: unexpected unwrap"),
        ('sum_over_time({app="q"}[1m])', "invalid aggregation sum_over_time without unwrap"),
        ('{app="q"} | line_format `{{upper .a}}`', "col 25: a template may hold {{.name}}"),
        ('{app="q"} | a > "5"', "col 17: syntax error"),
        ('count_over_time({app="q"})', "col 26: syntax error: unexpected )"),
        ('{app=~"("}', "error parsing regexp"),
        ("{}", "queries require at least one regexp or equality matcher"),
        ('{app=~".*"}', "queries require at least one regexp or equality matcher"),
        ("", "unexpected $end"),
        ('{app="a"} {app="b"}', "col 11: syntax error: unexpected {"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_place(query: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_query(query)

    assert (caught.value.status, words in caught.value.text) == (400, True), caught.value.text


def test_durations_are_read() -> None:
    assert parse_duration_ns("1h30m") == 5400 * SECOND_NS
    assert parse_duration_ns("250ms") == SECOND_NS // 4
    with pytest.raises(ValueError, match="not a valid duration"):
        parse_duration_ns("5 m")


def test_lines_stored_twice_are_shown_once(evaluator: Evaluator) -> None:
    assert lines(evaluator, '{app="a"}') == [({"app": "a"}, ["a 10", "a 11", "a 12"])]


def test_the_newest_lines_come_first_and_are_limited(evaluator: Evaluator) -> None:
    assert lines(evaluator, '{app=~".+"}', max_entries=3, newest_first=True) == [
        ({"app": "b"}, ["b 12", "b 11"]),
        ({"app": "a"}, ["a 12"]),
    ]


def test_metadata_is_folded_into_the_labels(evaluator: Evaluator) -> None:
    assert lines(evaluator, '{app="a"}', fold_metadata=True) == [
        ({"app": "a", "level": "even"}, ["a 10", "a 12"]),
        ({"app": "a", "level": "odd"}, ["a 11"]),
    ]


def test_metadata_named_as_a_label_is_extracted() -> None:
    assert folded_labels({"app": "x"}, {"app": "y"}) == {"app": "x", "app_extracted": "y"}


def test_counts_take_in_the_end_of_a_range_and_leave_out_its_start(evaluator: Evaluator) -> None:
    counted = samples(evaluator, 'sum(count_over_time({app="a"}[2s]))', 9, 10, 11, 12, 13, 14)

    assert counted == {(): [1.0, 2.0, 3.0, 2.0]}


def test_sums_are_grouped_by_labels_and_metadata(evaluator: Evaluator) -> None:
    query = 'sum by (level) (count_over_time({app=~".+"} | drop __error__ [1m]))'

    assert samples(evaluator, query, 20) == {
        (("level", "even"),): [6.0],
        (("level", "odd"),): [2.0],
    }


def test_a_rate_is_a_count_per_second(evaluator: Evaluator) -> None:
    assert samples(evaluator, 'sum(rate({app="a"}[8s]))', 12) == {(): [0.5]}


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1795304123187575973", 1_795_304_123_187_575_973),
        ("1795304123", 1_795_304_123 * SECOND_NS),
        ("1795304123.5", 1_795_304_123_500_000_000),
        ("2026-11-21T23:35:23Z", 1_795_304_123 * SECOND_NS),
        ("", 7),
    ],
    ids=["ns", "seconds", "fraction", "RFC 3339", "missing"],
)
def test_times_are_read_in_lokis_notations(text: str, time_ns: int) -> None:
    asked = Asked(values={"start": [text]}, now_ns=0)

    assert asked.time_ns("start", 7) == time_ns


@pytest.mark.parametrize("text", ["soon", "1.2.3", "2026-11-21T23:35:23"])
def test_a_wrong_time_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="could not parse 'start' parameter"):
        Asked(values={"start": [text]}, now_ns=0).time_ns("start", 7)


@pytest.mark.parametrize(
    ("step", "step_ns"),
    [("60", 60 * SECOND_NS), ("1m", 60 * SECOND_NS), ("", 4 * SECOND_NS)],
    ids=["seconds", "duration", "default"],
)
def test_a_step_is_read(step: str, step_ns: int) -> None:
    assert Asked(values={"step": [step]}, now_ns=0).step_ns(0, 1000 * SECOND_NS) == step_ns


@pytest.mark.parametrize("step", ["0", "-1", "0.01", "often"])
def test_a_wrong_step_is_refused(step: str) -> None:
    with pytest.raises(Refused):
        Asked(values={"step": [step]}, now_ns=0).step_ns(0, 1000 * SECOND_NS)


def test_totals_count_streams_entries_and_bytes(evaluator: Evaluator) -> None:
    assert evaluator.totals("fake", log_query('{app="a"}'), EVERYTHING) == (1, 4, 16)
