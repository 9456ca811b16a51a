"""What may be written of our own log, and what follows from it."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from shipper.sources.log import OwnLogSettings


def entry(**written: Any) -> OwnLogSettings:
    return OwnLogSettings.model_validate(
        OwnLogSettings.complete("own_logs", {"type": "log", **written})
    )


def test_lines_are_filed_under_service_and_level_with_their_own_time() -> None:
    own = entry()

    assert own.labels == {"service_name": "shipper"}
    assert own.label_fields == ["level"]
    assert own.metadata_fields == ["metric", "poll"]
    assert own.time_field == "time"


def test_what_is_written_beats_that() -> None:
    own = entry(labels={"service_name": "mine", "site": "x"}, label_fields=["level", "metric"])

    assert own.labels == {"service_name": "mine", "site": "x"}
    assert own.label_fields == ["level", "metric"]


def test_a_further_label_keeps_the_service() -> None:
    assert entry(labels={"site": "x"}).labels == {"service_name": "shipper", "site": "x"}


def test_the_instance_is_this_machine() -> None:
    assert entry().instance(None) == socket.gethostname()


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="level"):
        entry(level="loud")
