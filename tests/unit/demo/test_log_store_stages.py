"""What LogQL pipelines make of lines, and metric queries of the numbers in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from shipper.demo.log_store.catalog import Catalog, KnownStream
from shipper.demo.log_store.evaluate import Evaluator, Window
from shipper.demo.log_store.expressions import LogQuery
from shipper.demo.log_store.logql import parse_query
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.storage import Storage, StoredEntry

SECOND_NS = 1_000_000_000
ROWS: list[Mapping[str, Any]] = [
    {"user": "ann", "bytes": 10, "ok": True, "at": {"host": "n1", "list": [1]}, "none": None},
    {"user": "bob", "bytes": 2.5, "ok": False, "at": {"host": "n2"}, "9x": "odd"},
    {"user": "ann", "bytes": 7, "app": "other", "ok": True},
]


@pytest.fixture
def evaluator(tmp_path: Path) -> Iterator[Evaluator]:
    storage = Storage(tmp_path / "logs.db")
    labels = (("app", "a"),)
    stream = KnownStream(storage.add_stream("fake", labels), "fake", labels, 0, 100 * SECOND_NS)
    texts = [*(json.dumps(row) for row in ROWS), "no json"]
    storage.add_entries(
        [
            StoredEntry(stream.stream_id, (10 + number) * SECOND_NS, text, _metadata(number))
            for number, text in enumerate(texts)
        ]
    )
    storage.commit()
    catalog = Catalog([])
    catalog.add(stream)
    yield Evaluator(catalog, storage)
    storage.close()


def _metadata(number: int) -> str:
    return orjson.dumps({"run": str(number % 2)}).decode()


def staged(text: str, row: object) -> tuple[str, Mapping[str, str]] | None:
    query = parse_query('{app="a"} ' + text)
    assert isinstance(query, LogQuery)
    line = query.staged(row if isinstance(row, str) else json.dumps(row), {"app": "a"})
    return None if line is None else (line.text, line.labels)


def samples(evaluator: Evaluator, text: str, second: int = 20) -> dict[object, float]:
    query = parse_query(text)
    assert not isinstance(query, LogQuery)
    instant_ns = second * SECOND_NS
    series = evaluator.samples("fake", query, range(instant_ns, instant_ns + 1))
    return {key: values[instant_ns] for key, values in series.items() if values}


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        (ROWS[0], {"user": "ann", "bytes": "10", "ok": "true", "at_host": "n1"}),
        (
            ROWS[1],
            {"user": "bob", "bytes": "2.5", "ok": "false", "at_host": "n2", "_9x": "odd"},
        ),
        (ROWS[2], {"user": "ann", "bytes": "7", "ok": "true", "app_extracted": "other"}),
        ("no json", {"__error__": "JSONParserErr"}),
        ("[1]", {"__error__": "JSONParserErr"}),
    ],
    ids=["nested", "digit first", "taken name", "no JSON", "no object"],
)
def test_json_makes_labels_of_fields(row: object, labels: Mapping[str, str]) -> None:
    found = staged("| json", row)

    assert found is not None
    assert found[1] == {"app": "a", **labels}


def test_json_makes_labels_of_the_fields_that_are_named() -> None:
    assert staged('| json host="at.host", user, no="at.no"', ROWS[0]) == (
        json.dumps(ROWS[0]),
        {"app": "a", "host": "n1", "user": "ann"},
    )


@pytest.mark.parametrize(
    ("stages", "stays"),
    [
        ('| user = "ann"', True),
        ('| user != "ann"', False),
        ('| user =~ "a.*|z"', True),
        ('| user !~ "a.*"', False),
        ('| missing = ""', True),
        ("| bytes == 10", True),
        ("| bytes != 10", False),
        ("| bytes >= 10.5", False),
        ("| bytes < 11", True),
        ("| missing > 0", False),
        ("| user > 0", True),
        ('| user > 0 | __error__ = ""', False),
        ('| line_format "{{.user}}" |= "ann"', True),
        ('| line_format "{{.user}}" |= "bytes"', False),
    ],
)
def test_a_filter_leaves_lines_out(stages: str, *, stays: bool) -> None:
    assert (staged(f"| json {stages}", ROWS[0]) is not None) is stays


def test_a_line_is_written_anew() -> None:
    found = staged("| json | line_format `{{.user}} has {{ .bytes }}{{.missing}}`", ROWS[0])

    assert found is not None
    assert found[0] == "ann has 10"


def test_labels_are_dropped_and_kept() -> None:
    assert staged("| json | keep user, bytes | drop bytes", ROWS[0]) == (
        json.dumps(ROWS[0]),
        {"user": "ann"},
    )


def test_labels_come_back_apart(evaluator: Evaluator) -> None:
    query = parse_query('{app="a"} | json user | user = "bob"')
    assert isinstance(query, LogQuery)
    (found,) = evaluator.lines(
        "fake",
        query,
        Window(start_ns=0, end_ns=100 * SECOND_NS),
        max_entries=10,
        newest_first=False,
        fold_metadata=False,
    )

    assert found.labels == {"app": "a"}
    assert [(line.metadata, line.parsed) for line in found.lines] == [
        ({"run": "1"}, {"user": "bob"})
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum by (user) (sum_over_time(LOG [1m]))", {"ann": 17, "bob": 2.5}),
        ("max_over_time(LOG [1m]) by (user)", {"ann": 10, "bob": 2.5}),
        ("min by (user) (min_over_time(LOG [1m]))", {"ann": 7, "bob": 2.5}),
        ("avg_over_time(LOG [1m]) by (user)", {"ann": 8.5, "bob": 2.5}),
        ("sum by (user) (rate(LOG [10s]))", {"ann": 0.7, "bob": 0.25}),
        ("sum by (user) (count_over_time(LOG [1m]))", {"ann": 2, "bob": 1}),
        ("topk(1, sum by (user) (sum_over_time(LOG [1m])))", {"ann": 17}),
        ("sum by (user) (sum_over_time(LOG [9s]))", {"ann": 7}),
    ],
)
def test_numbers_of_lines_are_reckoned_with(
    query: str, expected: Mapping[str, float], evaluator: Evaluator
) -> None:
    log = '{app="a"} | json user, bytes | unwrap bytes'

    assert samples(evaluator, query.replace("LOG", log)) == {
        (("user", user),): value for user, value in expected.items()
    }


def test_series_are_counted_and_averaged(evaluator: Evaluator) -> None:
    counted = "count_over_time({app='a'}[1m])".replace("'", '"')

    assert samples(evaluator, f"count({counted})") == {(): 2}
    assert samples(evaluator, f"avg({counted})") == {(): 2}


def test_bytes_of_lines_are_counted(evaluator: Evaluator) -> None:
    query = 'sum(bytes_over_time({app="a"} |= "no json" [1m]))'

    (bytes_counted,) = samples(evaluator, query).values()

    assert (bytes_counted, bytes_counted.is_integer()) == (len("no json"), True)


def test_a_line_with_an_error_fails_a_metric_query_unless_it_is_left_out(
    evaluator: Evaluator,
) -> None:
    counted = 'sum(count_over_time({app="a"} | json %s [1m]))'
    with pytest.raises(Refused, match="pipeline error: 'JSONParserErr' for series"):
        samples(evaluator, counted % "")

    assert samples(evaluator, counted % '| __error__ = ""') == {(): 3}


def test_what_is_no_number_fails_a_metric_query(evaluator: Evaluator) -> None:
    with pytest.raises(Refused, match="SampleExtractionErr"):
        samples(evaluator, 'sum(sum_over_time({app="a"} | json user | unwrap user [1m]))')
