"""Prometheus metrics made from columns."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from shipper.config.column_metric import ColumnMetric
from shipper.core.record import Batch
from shipper.sinks.columns import ColumnMetrics, column_family
from shipper.sinks.prometheus import Exposition
from shipper.sources.sqream.ready import ReadyMetric
from shipper.telemetry.families import METRIC_SERIES_DROPPED, Family
from shipper.telemetry.tally import Tally
from tests.support.clock import FakeClock

LOG = logging.getLogger("shipper.test")
POLLED = 1_700_000_000
"""2023-11-14 22:13:20 UTC."""


def observed(*polls: list[dict[str, object]], **asked: Any) -> dict[tuple[str, ...], list[float]]:
    tally = Tally()
    metric = an_item(**asked)
    columns = ColumnMetrics("a", [metric], tally, log=LOG)
    for rows in polls:
        columns.observe(Batch(rows, read_at_ns=POLLED * 10**9))
    return dict(tally.snapshot().get(metric.name, []))


def an_item(**asked: Any) -> ColumnMetric:
    """Return an item; a counter has the name that counters have."""
    return ColumnMetric(name="m_total" if asked.get("type") == "counter" else "m", **asked)


def page_of(rows: list[dict[str, object]], **asked: Any) -> str:
    metric = an_item(**asked)
    tally = Tally()
    ColumnMetrics("a", [metric], tally, log=LOG).observe(Batch(rows))
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
        ({"type": "counter"}, Family("m_total", "counter", "Rows.", ())),
        (
            {"type": "histogram", "buckets": [1, 2, float("inf")]},
            Family("m", "histogram", "Rows.", (), (1, 2)),
        ),
    ],
)
def test_an_item_describes_a_family(asked: dict[str, Any], family: Family) -> None:
    assert column_family(an_item(**asked)) == family


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
    return ColumnMetrics("a", [asked], tally, log=LOG, source_waits=source_waits), tally


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


# What of the rows is shown, and as what


@pytest.mark.parametrize(("aggregate", "shown"), [("last", 2), ("sum", 6), ("min", 1), ("max", 3)])
def test_rows_with_the_same_labels_become_one_number(aggregate: str, shown: float) -> None:
    rows: list[dict[str, object]] = [{"n": 3}, {"n": 1}, {"n": 2}]

    assert observed(rows, value="n", aggregate=aggregate) == {(): [shown]}


def test_a_value_is_scaled() -> None:
    assert observed([{"n": 250}], value="n", scale=0.001) == {(): [0.25]}


def test_only_rows_that_hold_a_text_count() -> None:
    rows: list[dict[str, object]] = [{"id": -1}, {"id": 7}, {"id": None}, {}]

    assert observed(rows, where={"id": "-1"}) == {(): [1]}
    assert observed(rows, where={"id": ["-1", "7"]}) == {(): [2]}


def test_a_label_is_a_field_under_another_name_or_always_the_same() -> None:
    asked = {"labels": {"mode": "Lock Mode"}, "fixed_labels": {"cluster": "a"}}

    assert column_family(an_item(**asked)).labels == ("cluster", "mode")
    assert observed([{"Lock Mode": "x"}], **asked) == {("a", "x"): [1]}


@pytest.mark.parametrize(
    ("written", "unix"),
    [
        ("2023-11-14 22:13:10", POLLED - 10),
        ("14-11-2023 22:13:10", POLLED - 10),
        (POLLED - 10, POLLED - 10),
        (str((POLLED - 10) * 1000), POLLED - 10),
    ],
)
def test_a_time_is_shown_as_unix_time_or_as_its_age(written: object, unix: float) -> None:
    assert observed([{"t": written}], value="t", value_is="timestamp") == {(): [unix]}
    assert observed([{"t": written}], value="t", value_is="age") == {(): [POLLED - unix]}


def test_a_time_without_a_zone_is_of_the_one_that_is_written() -> None:
    rows: list[dict[str, object]] = [{"t": "14-11-2023 23:13:10"}]

    assert observed(rows, value="t", value_is="age", timezone="Europe/Zurich") == {(): [10]}


def test_a_duration_is_the_time_between_two_fields() -> None:
    rows: list[dict[str, object]] = [
        {"from": "14-11-2023 22:13:10", "to": "2023-11-14 22:13:12.5"},
        {"from": None, "to": "2023-11-14 22:13:12"},
        {"from": "2023-11-14 22:13:12", "to": "soon"},
    ]

    assert observed(rows, value="to", value_is="duration", since="from") == {(): [2.5]}


def test_a_time_in_the_future_has_no_negative_age() -> None:
    assert observed([{"t": POLLED + 5}], value="t", value_is="age") == {(): [0]}


def test_what_is_no_time_is_left_out() -> None:
    rows: list[dict[str, object]] = [{"t": None}, {"t": "soon"}, {}]

    assert observed(rows, value="t", value_is="age") == {}
    assert observed(rows, value="t", value_is="timestamp") == {}


# Counters of the far end


def test_an_absolute_counter_shows_what_the_far_end_has_counted() -> None:
    polls: list[list[dict[str, object]]] = [[{"n": 5}], [{"n": 7}], [{"n": 1}]]

    assert observed(*polls, type="counter", value="n", increment=False) == {(): [1]}


def test_an_absolute_counter_is_a_counter_on_the_page() -> None:
    page = page_of([{"n": 5}], type="counter", value="n", increment=False)

    assert "# TYPE m_total counter\nm_total 5.0\n" in page


# Too many series, and stale ones


def limited(caplog: pytest.LogCaptureFixture, *, waits: bool = False, **asked: Any) -> Tally:
    tally = Tally()
    item = an_item(labels=["db"], max_series=2, **asked)
    columns = ColumnMetrics("a", [item], tally, log=LOG, source_waits=waits)
    for db in ("x", "y", "z", "x", "w"):
        columns.observe(Batch([{"db": db, "n": 1}], more=not waits))
    columns.observe(Batch())
    assert [record.getMessage() for record in caplog.records] == [
        f"{item.name} has more than 2 series (max_series); numbers of further ones are left out."
    ]
    return tally


@pytest.mark.parametrize(
    "asked",
    [{}, {"value": "n"}, {"type": "counter"}, {"type": "histogram", "value": "n"}],
    ids=["rows", "gauge", "counter", "histogram"],
)
@pytest.mark.parametrize("waits", [False, True])
def test_series_beyond_the_limit_are_left_out_counted_and_warned_of_once(
    caplog: pytest.LogCaptureFixture, waits: bool, asked: dict[str, Any]
) -> None:
    snapshot = limited(caplog, waits=waits, **asked).snapshot()
    name = "m_total" if asked.get("type") == "counter" else "m"

    assert {values for values, _ in snapshot[name]} == {("x",), ("y",)}
    assert snapshot[METRIC_SERIES_DROPPED.name] == [(("a", name), [2])]


def test_a_poll_that_has_other_series_has_room_for_them() -> None:
    polls: list[list[dict[str, object]]] = [[{"db": "a"}], [{"db": "b"}], [{"db": "c"}]]

    assert observed(*polls, labels=["db"], max_series=1) == {("c",): [1]}


def test_a_series_tells_when_it_was_heard_where_it_can_become_stale() -> None:
    clock, tally = FakeClock(), Tally()
    item = an_item(value="n", labels=["db"], stale_after_seconds=30)
    columns = ColumnMetrics("a", [item], tally, log=LOG, source_waits=True, clock=clock)
    columns.observe(Batch([{"db": "old", "n": 1}]))
    clock.pass_seconds(20)
    columns.observe(Batch([{"db": "new", "n": 2}]))
    both = shown(tally)
    clock.pass_seconds(20)
    columns.observe(Batch())

    assert both == {("old",): [1, 1000], ("new",): [2, 1020]}
    assert shown(tally) == {("new",): [2, 1020]}


# Fields that are not there


def test_a_field_that_rows_do_not_have_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    assert observed([{"a": 1, "b": 2}], [{"a": 1, "b": 2}], value="n") == {}
    assert [record.getMessage() for record in caplog.records] == [
        "m: rows have no field n; their fields are a, b."
    ]


def test_a_field_that_only_some_rows_have_is_not_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert observed([{"a": 1}, {"n": 2}], value="n") == {(): [2]}
    assert caplog.records == []


@pytest.mark.parametrize("field", ["stmt_id", "statement id", "statementid", "STATEMENT_ID"])
def test_a_ready_made_metric_finds_a_field_however_it_is_spelt(field: str) -> None:
    tally = Tally()
    item = ReadyMetric(name="m", value="statement_id", labels={"id": "stmt_id"})
    ColumnMetrics("a", [item], tally, log=LOG).observe(Batch([{field: 7}]))

    assert shown(tally) == {("7",): [7]}
