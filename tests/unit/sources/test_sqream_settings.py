"""What an operator may write about SQreamDB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shipper.config.secret import Secret
from shipper.core.errors import SourceUnavailable
from shipper.sources import discover
from shipper.sources.sqream import SqreamSettings
from shipper.sources.sqream.connection import SqreamConnection


def entry(metric: str, **written: Any) -> SqreamSettings:
    return SqreamSettings.model_validate(SqreamSettings.complete(metric, written))


def test_the_kind_is_discovered() -> None:
    assert discover()["sqream"] is SqreamSettings


def test_configuration_does_not_import_the_driver() -> None:
    script = (
        "import sys, shipper.sources.sqream as s; s.SqreamSettings.model_json_schema(); "
        "s.SqreamConnection.model_json_schema(); sys.exit('pysqream' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-W", "error", "-c", script]).returncode == 0


def test_the_function_is_the_metrics_name() -> None:
    assert entry("show_locks").call("show_locks").sql == "select show_locks()"


def test_a_function_of_another_name_is_polled_with_arguments() -> None:
    storage = entry("storage", function="get_total_chunks_size", arguments=["GB", 1, 2.5, True])

    assert storage.call("storage").sql == "select get_total_chunks_size('GB', 1, 2.5, true)"


def test_a_reset_is_not_shipped() -> None:
    assert entry("reset_leveldb_stats").ship is False


def test_a_reset_of_another_name_is_not_shipped() -> None:
    assert entry("daily", function="reset_leveldb_stats").ship is False


def test_a_reset_is_shipped_when_the_operator_says_so() -> None:
    assert entry("reset_leveldb_stats", ship=True).ship is True


def test_everything_else_is_shipped() -> None:
    assert entry("show_locks").ship is True


def test_completing_does_not_touch_what_was_written() -> None:
    written: dict[str, Any] = {}
    SqreamSettings.complete("show_locks", written)

    assert written == {}


@pytest.mark.parametrize("function", ["f()", "f; g", "", "1f", "a.b", "f\n"])
def test_a_function_that_is_no_name_is_refused(function: str) -> None:
    with pytest.raises(ValidationError):
        entry("m", function=function)


@pytest.mark.parametrize("argument", [None, ["x"], {"a": 1}, float("nan"), float("inf")])
def test_an_argument_that_is_no_literal_is_refused(argument: object) -> None:
    with pytest.raises(ValidationError):
        entry("show_locks", arguments=[argument])


def test_a_known_function_meets_no_objection() -> None:
    assert entry("show_locks").objections(SqreamConnection()) == ()


def test_an_unknown_function_meets_an_objection_that_names_the_key() -> None:
    (objection,) = entry("show_lock").objections(SqreamConnection())

    assert objection.startswith('function: "show_lock" is not a known function')


def test_an_entry_whose_function_is_its_name_meets_no_objection_before_it_is_completed() -> None:
    assert SqreamSettings().objections(None) == ()


def test_an_entry_builds_a_source_that_is_not_connected() -> None:
    source = entry("show_locks").build("show_locks", SqreamConnection(host="db"), Path())

    with pytest.raises(SourceUnavailable, match="not connected to db:5000"):
        source.read(1)


def test_a_section_can_allow_a_function() -> None:
    section = SqreamConnection(allow_functions=["list_saved_queries"])

    assert entry("list_saved_queries").objections(section) == ()


def test_a_section_cannot_allow_an_action() -> None:
    with pytest.raises(ValidationError, match="cannot be allowed"):
        SqreamConnection(allow_functions=["Stop_Statement"])


def test_the_instance_is_the_far_end() -> None:
    assert entry("show_locks").instance(SqreamConnection(host="db", port=5001)) == "db:5001"


def test_the_password_is_a_secret_that_defaults_to_sqreams_own() -> None:
    section = SqreamConnection()

    assert section.password == Secret("literal", "sqream")
    assert "password=***" in repr(section)


@pytest.mark.parametrize("key", ["host", "database", "username", "service"])
def test_an_empty_text_is_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        SqreamConnection.model_validate({key: ""})


def test_the_page_is_told_the_function_of_a_metric_with_another_name() -> None:
    settings = SqreamSettings.model_validate(
        SqreamSettings.complete("sessions", {"function": "show_server_status"})
    )

    assert settings.shown == {"function": "show_server_status"}
