from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shipper.config.loading import load
from shipper.config.secret import Secret
from shipper.core.checks import Outcome
from shipper.core.errors import ConfigError
from shipper.sources.jobs import JobsSettings
from shipper.sources.jobs.checks import try_place
from shipper.sources.jobs.place import Place
from shipper.wiring.vocabulary import vocabulary
from tests.support.services import free_port
from tests.support.shipper_process import write_config


def entry(folder: Path, **written: Any) -> JobsSettings:
    path = write_config(folder, {"lamia": {"type": "jobs", **written}})
    found = load(path, vocabulary()).metrics["lamia"]
    assert isinstance(found, JobsSettings)
    return found


def complaint(folder: Path, metrics: Mapping[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write_config(folder, metrics), vocabulary())
    return str(caught.value)


def test_events_are_filed_under_their_class_at_the_time_they_came(tmp_path: Path) -> None:
    found = entry(tmp_path)

    assert found.label_fields == ["eventClass"]
    assert found.metadata_fields == ["task", "process", "index"]
    assert found.time_field == "receivedAt"


def test_what_is_written_beats_what_is_usual(tmp_path: Path) -> None:
    assert entry(tmp_path, label_fields=[]).label_fields == []


@pytest.mark.parametrize("written", [{}, {"store": "jobs"}], ids=["absent", "named"])
def test_the_tables_of_jobs_are_kept_and_no_sink_is_asked_for(
    tmp_path: Path, written: Mapping[str, Any]
) -> None:
    found = entry(tmp_path, **written)

    assert (found.table_set, found.store) == ("jobs", None)


def test_no_other_tables_keep_jobs(tmp_path: Path) -> None:
    said = complaint(tmp_path, {"lamia": {"type": "jobs", "store": "tf_metadata"}})

    assert "metrics.lamia.store" in said


def test_nothing_but_jobs_is_kept_in_their_tables(tmp_path: Path) -> None:
    said = complaint(tmp_path, {"other": {"type": "udp", "port": 8200, "store": "jobs"}})

    assert 'jobs keeps what an entry with "type": "jobs" receives' in said


def test_a_port_is_given_once(tmp_path: Path) -> None:
    said = complaint(tmp_path, {"one": {"type": "jobs"}, "two": {"type": "jobs"}})

    assert "TCP port 127.0.0.1:8088 is taken by metrics.one already" in said


def test_a_free_port_passes() -> None:
    place = Place("127.0.0.1", free_port())

    assert try_place(place, None, 1.0).outcome is Outcome.PASSED


def test_a_port_that_is_taken_fails_with_a_hint() -> None:
    with Place("127.0.0.1", 0).bind() as taken:
        finding = try_place(Place("127.0.0.1", taken.getsockname()[1]), None, 1.0)

    assert finding.outcome is Outcome.FAILED
    assert "another program" in finding.hint


def test_a_port_that_others_reach_without_a_token_is_noted() -> None:
    finding = try_place(Place("0.0.0.0", free_port()), None, 1.0)  # noqa: S104 - let go of at once

    assert finding.outcome is Outcome.NOTED
    assert "everybody" in finding.text


def test_a_token_that_cannot_be_read_fails() -> None:
    finding = try_place(Place("127.0.0.1", free_port()), Secret("file", "/nowhere"), 1.0)

    assert finding.outcome is Outcome.FAILED
