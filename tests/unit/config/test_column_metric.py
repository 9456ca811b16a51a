"""The items of `metrics`: what they may say, and what is told to whom says something else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shipper.config.column_metric import ColumnMetric


def fault(**asked: Any) -> str:
    """Return what is objected to."""
    with pytest.raises(ValidationError) as caught:
        ColumnMetric.model_validate({"name": "a", **asked})
    (error,) = caught.value.errors()
    return error["msg"].removeprefix("Value error, ")


@pytest.mark.parametrize("name", ["a", "_a", "a9_", "locks", "queue_length", "size_bytes"])
def test_a_prometheus_name_is_taken(name: str) -> None:
    assert ColumnMetric(name=name).name == name


@pytest.mark.parametrize("name", ["", "9a", "a-b", "a\n", "é"])
def test_what_prometheus_would_not_take_for_a_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        ColumnMetric(name=name)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        pytest.param({"name": "wait_ms"}, 'name: "wait_ms": the base unit is seconds', id="unit"),
        pytest.param({"buckets": [1.0]}, "buckets: this key is for a histogram", id="buckets"),
        pytest.param({"increment": True}, "increment: this key is for a counter", id="increment"),
        pytest.param(
            {"aggregate": "max"}, "aggregate: this key is for a gauge with a value", id="aggregate"
        ),
        pytest.param(
            {"type": "histogram", "value": "n", "stale_after_seconds": 5},
            "stale_after_seconds: this key is for a gauge",
            id="staleness of what only grows",
        ),
        pytest.param(
            {"value_is": "age"}, "value_is: this key is for a metric with a value", id="age"
        ),
        pytest.param(
            {"value": "n", "since": "t"},
            'since: this key is for a metric with "value_is": "duration"',
            id="since",
        ),
        pytest.param(
            {"value": "n", "value_is": "duration"}, "since: this key is missing", id="no since"
        ),
        pytest.param(
            {"name": "a_total", "type": "counter", "increment": False},
            "value: this key is missing",
            id="absolute without a value",
        ),
        pytest.param({"labels": ["a", "a"]}, "labels: two of them have the same name", id="twice"),
        pytest.param(
            {"labels": ["a b", "a_b"]}, "labels: two of them have the same name", id="alike"
        ),
        pytest.param(
            {"labels": ["Mode"]}, 'labels: "Mode": a label has small letters', id="capital"
        ),
        pytest.param({"labels": ["le"]}, 'labels: "le" is a label that Prometheus', id="le"),
        pytest.param(
            {"labels": ["a"], "fixed_labels": {"a": "x"}},
            "fixed_labels: a is one of labels already",
            id="fixed and not",
        ),
        pytest.param({"labels": "a"}, "must be a list of fields, or an object", id="no list"),
        pytest.param({"labels": {"a": 1}}, "must be a list of fields, or an object", id="no text"),
        pytest.param({"timezone": "Mars"}, '"Mars" is not a time zone', id="zone"),
        pytest.param(
            {"type": "histogram", "buckets": [5.0, 1.0]}, "buckets must ascend", id="descending"
        ),
        pytest.param(
            {"type": "histogram", "buckets": [1.0, 1.0]}, "buckets must ascend", id="the same twice"
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(asked: dict[str, Any], words: str) -> None:
    assert fault(**asked).startswith(words)


def test_a_label_may_have_another_name_than_its_field() -> None:
    renamed = ColumnMetric(name="a", labels={"mode": "Lock Mode"})

    assert renamed.label_fields == {"mode": "Lock Mode"}


def test_every_field_that_is_looked_at_is_known() -> None:
    asked = ColumnMetric(
        name="a",
        value="end",
        value_is="duration",
        since="begin",
        where={"kind": "x"},
        labels=["host"],
    )

    assert asked.fields == ["end", "begin", "kind", "host"]
