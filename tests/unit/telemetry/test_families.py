"""The names Prometheus scrapes."""

from __future__ import annotations

import re

import pytest

from shipper.telemetry.families import FAMILIES, Family, families_table

CONTRACT = {
    "shipper_polls_total": ("counter", ("metric", "result")),
    "shipper_poll_duration_seconds": ("histogram", ("metric",)),
    "shipper_poll_lateness_seconds": ("histogram", ("metric",)),
    "shipper_missed_polls_total": ("counter", ("metric",)),
    "shipper_rows_total": ("counter", ("metric",)),
    "shipper_lines_delivered_total": ("counter", ("metric", "sink")),
    "shipper_bytes_delivered_total": ("counter", ("metric", "sink")),
    "shipper_lines_rejected_total": ("counter", ("metric", "sink", "reason")),
    "shipper_lines_dropped_total": ("counter", ("metric", "reason")),
    "shipper_sequence_gaps_total": ("counter", ("metric",)),
    "shipper_push_duration_seconds": ("histogram", ("metric", "sink")),
    "shipper_push_retries_total": ("counter", ("metric", "sink", "reason")),
    "shipper_spool_lines": ("gauge", ("metric", "sink")),
    "shipper_spool_bytes": ("gauge", ("metric", "sink")),
    "shipper_oldest_unsent_seconds": ("gauge", ("metric", "sink")),
    "shipper_cursor_lag_seconds": ("gauge", ("metric",)),
    "shipper_last_success_timestamp_seconds": ("gauge", ("metric",)),
    "shipper_worker_up": ("gauge", ("metric",)),
    "shipper_worker_restarts_total": ("counter", ("metric",)),
    "shipper_build_info": ("gauge", ("version", "python")),
}
NAMES = [family.name for family in FAMILIES]


@pytest.mark.parametrize("name", CONTRACT)
def test_a_name_of_the_contract_keeps_its_type_and_labels(name: str) -> None:
    (family,) = [family for family in FAMILIES if family.name == name]

    assert (family.kind, family.labels) == CONTRACT[name]


def test_no_name_stands_twice() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("family", FAMILIES, ids=NAMES)
def test_a_family_follows_the_rules_of_prometheus(family: Family) -> None:
    assert re.fullmatch(r"shipper_[a-z_]+", family.name)
    assert family.help.endswith(".")
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert list(family.buckets) == sorted(set(family.buckets))
    assert bool(family.buckets) == (family.kind == "histogram")


def test_the_table_has_a_row_for_every_family() -> None:
    rows = families_table().splitlines()[2:]

    assert len(rows) == len(FAMILIES)
    assert rows[0] == (
        "| `shipper_polls_total` | counter | `metric`, `result` "
        "| Polls by how they ended: ok, error, timeout. |"
    )
