"""What may stand in a file, and what a configuration means for labels and metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shipper.core.errors import ConfigError
from shipper.telemetry.families import FAMILIES
from shipper.wiring.vocabulary import families, fixed_labels, vocabulary
from tests.support.configuration import configuration


def with_metrics(*items: dict[str, Any]) -> dict[str, Any]:
    return {"metrics": {"show_locks": {"metrics": list(items)}}}


def test_every_kind_is_called_like_its_type() -> None:
    assert {
        name: kind.model_fields["type"].default for name, kind in vocabulary().kinds.items()
    } == {name: name for name in vocabulary().kinds}


def test_the_sections_are_those_of_sinks_http_and_those_of_the_kinds() -> None:
    kinds = vocabulary().kinds
    shared = {kind.section_name or name for name, kind in kinds.items() if kind.section is not None}

    assert set(vocabulary().sections) == {"loki", "store", "http"} | shared


def test_every_line_names_its_metric_its_kind_and_its_far_end(tmp_path: Path) -> None:
    document = {"sqream": {"host": "db", "port": 5001}, "metrics": {"show_locks": 2}}

    assert fixed_labels(configuration(tmp_path, document)) == {
        "show_locks": {"job": "show_locks", "service_name": "sqream", "instance": "db:5001"}
    }


def test_labels_of_an_entry_override_and_add(tmp_path: Path) -> None:
    document = {"metrics": {"show_locks": {"labels": {"job": "locks", "site": "lab"}}}}
    labels = fixed_labels(configuration(tmp_path, document))["show_locks"]

    assert (labels["job"], labels["site"], labels["service_name"]) == ("locks", "lab", "sqream")


def test_our_own_families_come_first(tmp_path: Path) -> None:
    found = families(configuration(tmp_path, with_metrics({"name": "locks"})))

    assert found[: len(FAMILIES)] == list(FAMILIES)
    assert [family.name for family in found[len(FAMILIES) :]] == ["locks"]


def test_two_entries_may_share_a_metric_that_they_describe_alike(tmp_path: Path) -> None:
    item = {"name": "locks", "labels": ["user_name"]}
    document = {"metrics": {"show_locks": {"metrics": [item]}, "show_conf": {"metrics": [item]}}}

    assert len(families(configuration(tmp_path, document))) == len(FAMILIES) + 1


@pytest.mark.parametrize(
    "items",
    [
        pytest.param([{"name": "a"}, {"name": "a", "type": "histogram"}], id="another type"),
        pytest.param([{"name": "a"}, {"name": "a", "labels": ["b"]}], id="other labels"),
        pytest.param([{"name": "a_total", "type": "counter"}, {"name": "a"}], id="without _total"),
    ],
)
def test_a_name_that_is_already_another_metric_is_refused(
    tmp_path: Path, items: list[dict[str, Any]]
) -> None:
    loaded = configuration(tmp_path, with_metrics(*items))

    with pytest.raises(ConfigError) as caught:
        families(loaded)
    assert str(caught.value) == (
        f"metrics.show_locks.metrics: {items[-1]['name']} is already another metric; "
        "choose another name"
    )


def test_two_items_cannot_show_the_same_series(tmp_path: Path) -> None:
    item = {"name": "locks"}
    document = {"metrics": {"show_locks": {"metrics": [item]}, "show_conf": {"metrics": [item]}}}

    with pytest.raises(ConfigError) as caught:
        families(configuration(tmp_path, document))
    assert str(caught.value) == (
        "metrics.show_conf.metrics: locks would be the same series as that of show_locks; "
        "give each fixed_labels of its own"
    )


def test_fixed_labels_tell_the_series_of_two_items_apart(tmp_path: Path) -> None:
    document = {
        "metrics": {
            name: {"metrics": [{"name": "rows", "fixed_labels": {"of": name}}]}
            for name in ("show_locks", "show_conf")
        }
    }

    assert len(families(configuration(tmp_path, document))) == len(FAMILIES) + 1


def test_items_that_count_add_up_in_one_series(tmp_path: Path) -> None:
    item = {"name": "seen_total", "type": "counter"}
    document = {"metrics": {"show_locks": {"metrics": [item]}, "show_conf": {"metrics": [item]}}}

    assert len(families(configuration(tmp_path, document))) == len(FAMILIES) + 1
