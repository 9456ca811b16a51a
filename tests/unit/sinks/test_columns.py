"""Prometheus metrics made from columns."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from shipper.config.models import ColumnMetric
from shipper.core.record import Batch
from shipper.sinks.columns import ColumnMetrics, column_family
from shipper.sinks.prometheus import Exposition
from shipper.telemetry.families import Family
from shipper.telemetry.tally import Tally


def observed(*polls: list[dict[str, object]], **asked: Any) -> dict[tuple[str, ...], list[float]]:
    tally = Tally()
    columns = ColumnMetrics([ColumnMetric(name="m", **asked)], tally)
    for rows in polls:
        columns.observe(Batch(rows))
    return dict(tally.snapshot().get("m", []))


def page_of(rows: list[dict[str, object]], **asked: Any) -> str:
    metric = ColumnMetric(name="m", **asked)
    tally = Tally()
    ColumnMetrics([metric], tally).observe(Batch(rows))
    exposition = Exposition([column_family(metric)])
    exposition.take("a", 1, tally.snapshot())
    return exposition.page().decode()


def test_a_gauge_shows_the_value_of_a_field_by_labels() -> None:
    rows: list[dict[str, object]] = [{"db": "a", "n": 1}, {"db": "b", "n": 2.5}]

    assert observed(rows, value="n", labels=["db"]) == {("a",): [1], ("b",): [2.5]}


def test_a_gauge_shows_exactly_the_rows_of_the_newest_poll() -> None:
    polls: list[list[dict[str, object]]] = [[{"db": "a", "n": 1}], [{"db": "b", "n": 2}]]

    assert observed(*polls, value="n", labels=["db"]) == {("b",): [2]}


def test_a_gauge_of_an_empty_poll_is_empty() -> None:
    assert observed([{"n": 1}], [], value="n") == {}


def test_a_gauge_without_a_field_counts_the_rows() -> None:
    assert observed([{"db": "a"}, {"db": "a"}, {"db": "b"}], labels=["db"]) == {
        ("a",): [2],
        ("b",): [1],
    }


def test_of_rows_with_the_same_labels_the_last_is_shown() -> None:
    assert observed([{"n": 1}, {"n": 2}], value="n") == {(): [2]}


def test_a_counter_adds_up_from_poll_to_poll() -> None:
    assert observed([{"n": 1}, {"n": 2}], [{"n": 3}], type="counter", value="n") == {(): [6]}


def test_a_counter_without_a_field_counts_rows() -> None:
    assert observed([{}, {}], [{}], type="counter") == {(): [3]}


def test_a_counter_never_goes_back() -> None:
    assert observed([{"n": 5}, {"n": -3}], type="counter", value="n") == {(): [5]}


def test_a_histogram_observes_every_row() -> None:
    polls: list[list[dict[str, object]]] = [[{"n": 1}, {"n": 7}], [{"n": 3}]]

    assert observed(*polls, type="histogram", value="n", buckets=[1, 5]) == {
        (): [1, 1, 1, 11],
    }


@pytest.mark.parametrize("kind", ["gauge", "counter", "histogram"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "x",
        "1,5",
        "nan",
        "sNaN",
        float("nan"),
        Decimal("NaN"),
        Decimal("sNaN"),
        [1],
        b"1",
        10**400,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_number_is_left_out_and_never_0(kind: str, value: object) -> None:
    assert observed([{"n": value}], type=kind, value="n") == {}


@pytest.mark.parametrize("kind", ["gauge", "counter", "histogram"])
def test_a_row_without_the_field_is_left_out(kind: str) -> None:
    assert observed([{}], type=kind, value="n") == {}


@pytest.mark.parametrize(
    ("value", "number"),
    [(True, 1), (False, 0), (7, 7), (Decimal("1.5"), 1.5), (" 2.5 ", 2.5), ("1e3", 1000)],
)
def test_numbers_come_in_many_shapes(value: object, number: float) -> None:
    assert observed([{"n": value}], value="n") == {(): [number]}


@pytest.mark.parametrize(
    ("value", "label"), [(None, ""), ("x", "x"), (7, "7"), ("\ud800", "\\ud800")]
)
def test_a_label_shows_its_field_as_text(value: object, label: str) -> None:
    assert observed([{"db": value}], labels=["db"]) == {(label,): [1]}


@pytest.mark.parametrize(
    ("asked", "family"),
    [
        (
            {"help": "Locks.", "labels": ["lock mode"]},
            Family("m", "gauge", "Locks.", ("lock_mode",)),
        ),
        ({"value": "n"}, Family("m", "gauge", "From the field n.", ())),
        ({"type": "counter"}, Family("m", "counter", "Rows.", ())),
        (
            {"type": "histogram", "buckets": [1, 2, float("inf")]},
            Family("m", "histogram", "Rows.", (), (1, 2)),
        ),
    ],
)
def test_an_item_describes_a_family(asked: dict[str, Any], family: Family) -> None:
    assert column_family(ColumnMetric(name="m", **asked)) == family


def test_a_histogram_without_buckets_has_those_of_prometheus() -> None:
    buckets = column_family(ColumnMetric(name="m", type="histogram")).buckets

    assert (buckets[0], buckets[-1]) == (0.005, 10)


@pytest.mark.parametrize("label", ["1st", "é", "lock mode", "a.b"])
def test_a_field_of_any_name_becomes_a_label_that_prometheus_reads(label: str) -> None:
    page = page_of([{label: "x", "n": 1}], value="n", labels=[label])
    (family,) = text_string_to_metric_families(page)

    (name,) = family.samples[0].labels
    assert name.isidentifier()
    assert name.isascii()


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "n": st.none()
                | st.booleans()
                | st.integers()
                | st.floats()
                | st.decimals()
                | st.text(),
                "db": st.none() | st.integers() | st.text(),
            }
        ),
        max_size=5,
    ),
    kind=st.sampled_from(["gauge", "counter", "histogram"]),
)
def test_no_row_upsets_the_page(rows: list[dict[str, object]], kind: str) -> None:
    page = page_of(rows, type=kind, value="n", labels=["db"])

    assert list(text_string_to_metric_families(page))


def gauges(*, source_waits: bool = False) -> tuple[ColumnMetrics, Tally]:
    asked = ColumnMetric(name="m", value="n", labels=["db"])
    tally = Tally()
    return ColumnMetrics([asked], tally, source_waits=source_waits), tally


def shown(tally: Tally) -> dict[tuple[str, ...], list[float]]:
    return dict(tally.snapshot().get("m", []))


def test_gauges_change_when_the_last_read_of_a_poll_is_there() -> None:
    columns, tally = gauges()
    columns.observe(Batch([{"db": "a", "n": 1}], more=True))
    meanwhile = shown(tally)
    columns.observe(Batch([{"db": "b", "n": 2}]))

    assert meanwhile == {}
    assert shown(tally) == {("a",): [1], ("b",): [2]}


def test_a_poll_that_came_to_no_end_leaves_nothing_for_the_next() -> None:
    columns, tally = gauges()
    columns.observe(Batch([{"db": "a", "n": 1}], more=True))
    columns.forget_poll()
    columns.observe(Batch([{"db": "b", "n": 2}]))

    assert shown(tally) == {("b",): [2]}


def test_a_source_that_waits_shows_the_newest_of_every_series() -> None:
    columns, tally = gauges(source_waits=True)
    for rows in ([{"db": "a", "n": 1}], [], [{"db": "b", "n": 2}], [{"db": "a", "n": 3}]):
        columns.observe(Batch(rows))

    assert shown(tally) == {("a",): [3], ("b",): [2]}
