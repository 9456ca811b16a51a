"""Names of Prometheus metrics, and what promtool thinks of them."""

from __future__ import annotations

import pytest

from shipper.config.metric_names import label_objection, name_objection


@pytest.mark.parametrize(
    ("name", "kind", "better"),
    [
        ("jobs", "counter", "jobs_total"),
        ("jobs_total", "gauge", "jobs"),
        ("jobs_count", "gauge", "jobs"),
        ("jobsWaiting", "gauge", "jobs_waiting"),
        ("app:jobs", "gauge", "app_jobs"),
        ("wait_ms", "gauge", "wait_seconds"),
        ("wait_ms_max", "gauge", "wait_seconds_max"),
        ("wait_minutes_total", "counter", "wait_seconds_total"),
        ("size_gigabytes_left", "gauge", "size_bytes_left"),
        ("cpu_percent", "gauge", "cpu_ratio"),
    ],
)
def test_a_better_name_is_proposed(name: str, kind: str, better: str) -> None:
    assert f'call it "{better}"' in name_objection(name, kind)
    assert name_objection(better, kind) == ""


@pytest.mark.parametrize("name", ["shipper_jobs", "jobs_gauge"])
def test_some_names_are_refused_without_a_proposal(name: str) -> None:
    assert f'"{name}"' in name_objection(name, "gauge")


@pytest.mark.parametrize("name", ["", "le", "quantile", "__name__", "Mode", "é", "1st"])
def test_a_label_that_prometheus_would_not_have_is_refused(name: str) -> None:
    assert label_objection(name)


@pytest.mark.parametrize("name", ["a", "lock_mode", "_x9", "job", "instance"])
def test_other_labels_are_fine(name: str) -> None:
    assert label_objection(name) == ""
