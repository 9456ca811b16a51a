"""What may be written about a UDP port."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shipper.sources.udp import UdpSettings
from shipper.sources.udp.source import UdpSource
from shipper.store.sets import table_set_names
from tests.docs.pages import ROOT


def settings(**written: Any) -> UdpSettings:
    return UdpSettings.model_validate({"port": 8200} | written)


def test_a_port_is_enough() -> None:
    entry = settings()

    assert (entry.host, entry.format, entry.receive_buffer_bytes) == ("127.0.0.1", "json", 8 << 20)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param({"port": 0}, id="no port"),
        pytest.param({"port": "8200"}, id="text for a port"),
        pytest.param({"host": ""}, id="no host"),
        pytest.param({"format": "xml"}, id="unknown format"),
        pytest.param({"receive_buffer_bytes": 0}, id="no buffer"),
        pytest.param({"receive_buffer_bytes": 2**31}, id="more than the kernel can count"),
        pytest.param({"prot": 1}, id="misspelt"),
    ],
)
def test_what_cannot_be_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**written)


def test_a_port_must_be_written() -> None:
    with pytest.raises(ValidationError, match="port"):
        UdpSettings.model_validate({})


@pytest.mark.parametrize(
    ("host", "instance"),
    [("127.0.0.1", "127.0.0.1:8200"), ("::1", "[::1]:8200"), ("daq", "daq:8200")],
)
def test_the_instance_is_host_and_port(host: str, instance: str) -> None:
    assert settings(host=host).instance(None) == instance


def test_pysmurf_messages_are_filed_under_publisher_and_stream() -> None:
    completed = UdpSettings.complete("smurf", {"format": "pysmurf"})

    assert completed["label_fields"] == ["pub_id", "stream_id"]


def test_other_labels_may_be_chosen_for_pysmurf() -> None:
    written = {"format": "pysmurf", "label_fields": ["type"]}

    assert UdpSettings.complete("smurf", written) == written


def test_the_ready_made_set_up_for_pysmurf_listens_where_publishers_send_to() -> None:
    document = json.loads((ROOT / "config_files" / "pysmurf.json").read_text(encoding="utf-8"))
    entry = UdpSettings.model_validate(document["metrics"]["pysmurf"])

    assert (entry.port, entry.format) == (8200, "pysmurf")
    assert entry.store in table_set_names()


def test_other_formats_get_no_labels_of_their_own() -> None:
    assert UdpSettings.complete("lines", {"format": "text"}) == {"format": "text"}


def test_the_source_is_built_without_binding_anything() -> None:
    assert isinstance(settings(host="no-such-host.invalid").build("lines", None, Path()), UdpSource)


def test_the_kernel_forgets_so_reading_cannot_wait() -> None:
    assert settings().waits_when_full is False


def test_every_entry_has_a_check_that_can_be_sent_to_another_process() -> None:
    entries = {"one": settings(), "two": settings(port=8201, required=False)}
    checks = pickle.loads(pickle.dumps(UdpSettings.checks(None, entries)))  # noqa: S301 - our own

    assert [(each.name, each.required) for each in checks] == [
        ("check_udp_one", True),
        ("check_udp_two", False),
    ]


@pytest.mark.parametrize(
    "written",
    [
        pytest.param({"label_fields": ["a"]}, id="labels"),
        pytest.param({"metadata_fields": ["a"]}, id="metadata"),
        pytest.param({"time_field": "a"}, id="time"),
        pytest.param({"line": "logfmt"}, id="logfmt"),
        pytest.param({"omit_fields": ["a"]}, id="omitted"),
        pytest.param({"cut_fields": {"a": 9}}, id="cut"),
        pytest.param({"store": "pysmurf_files_v1"}, id="store"),
        pytest.param(
            {"metrics": [{"name": "n", "help": "h", "type": "gauge", "value": "a"}]}, id="metrics"
        ),
    ],
)
def test_fields_are_wanted_where_a_setting_names_them(written: dict[str, Any]) -> None:
    assert not settings().wants_fields
    assert settings(**written).wants_fields
