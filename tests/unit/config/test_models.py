"""The keys that no source or sink owns."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shipper.config.models import HttpSettings, SourceSettings
from shipper.sources.sqream import SqreamSettings


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ({}, 30),
        ({"every_seconds": 2}, 30),
        ({"every_seconds": 10}, 30),
        ({"every_seconds": 11}, 33),
        ({"every_seconds": 86400}, 259200),
        ({"every_seconds": 60, "timeout_seconds": 5}, 5),
    ],
)
def test_a_poll_has_thirty_seconds_or_three_periods_unless_it_is_written(
    written: dict[str, Any], seconds: float
) -> None:
    assert SqreamSettings.model_validate(written).poll_timeout_seconds == seconds


def test_the_defaults_are_those_of_the_contract() -> None:
    entry = SqreamSettings()

    assert entry.model_dump(include=set(SourceSettings.model_fields)) == {
        "type": "sqream",
        "every_seconds": 5,
        "timeout_seconds": None,
        "labels": {},
        "label_fields": [],
        "max_label_values": 100,
        "metadata_fields": [],
        "time_field": None,
        "line": "json",
        "omit_fields": [],
        "cut_fields": {},
        "ship": True,
        "store": None,
        "metrics": [],
        "spool_max_bytes": None,
        "spool_full": None,
        "too_old": None,
        "required": True,
    }


@pytest.mark.parametrize(
    ("can_wait", "written", "waits"),
    [
        (False, None, False),
        (True, None, True),
        (True, "drop_oldest", False),
        (False, "wait", True),
    ],
)
def test_a_full_spool_stops_sources_that_can_wait_unless_it_is_written(
    monkeypatch: pytest.MonkeyPatch, can_wait: bool, written: str | None, waits: bool
) -> None:
    monkeypatch.setattr(SqreamSettings, "can_wait", can_wait)

    assert SqreamSettings.model_validate({"spool_full": written}).waits_when_full is waits


def test_the_page_is_served_on_loopback_by_default() -> None:
    assert (HttpSettings().host, HttpSettings().port) == ("127.0.0.1", 9108)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        HttpSettings().port = 1  # type: ignore[misc]  # what must not work
