"""The limits of a Loki: read from its configuration as Go prints it, and compared with what is sent."""

from __future__ import annotations

import pytest

from shipper.core.checks import Finding, Outcome
from shipper.core.errors import SinkUnavailable
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.limits import LokiLimits, check_loki_limits, read_limits
from tests.support.loki_client import PathClient

MIB = 1024 * 1024
# The shape of what Loki 3.6 prints; most of its keys are left out.
CONFIG = """\
target: all
auth_enabled: false
ingester:
  max_line_size: 1KB
limits_config:
  ingestion_rate_strategy: global
  ingestion_rate_mb: 10
  ingestion_burst_size_mb: 20.5
  max_label_name_length: 512
  max_label_value_length: 4096
  max_label_names_per_series: 30
  reject_old_samples: false
  reject_old_samples_max_age: 1w
  creation_grace_period: 10m0s
  max_line_size: 1MB
  max_line_size_truncate: true
  log_level_fields:
  - level
  - severity
  otlp_config:
    max_line_size: 2KB
    severity_text_as_label: false
  max_global_streams_per_user: 100
  per_stream_rate_limit: 5MB
  per_stream_rate_limit_burst: 1536KB
  blocked_queries: []
  allow_structured_metadata: "false"
  max_structured_metadata_size: 32KB
  max_structured_metadata_entries_count: 64
frontend_worker:
  max_line_size: 3KB
"""


def limits_in(text: str, status: int = 200) -> LokiLimits | None:
    return read_limits(PathClient({"/config": Answer(status, text)}))


def written(**keys: str) -> str:
    return "limits_config:\n" + "".join(f"    {key}: {value}\n" for key, value in keys.items())


def found(text: str, *, max_batch_bytes: int = MIB, metadata: bool = True) -> Finding:
    client = PathClient({"/config": Answer(200, text)})
    return check_loki_limits(client, max_batch_bytes=max_batch_bytes, metadata=metadata)


def test_the_limits_are_read_from_their_block_alone() -> None:
    assert limits_in(CONFIG) == LokiLimits(
        rate_bytes=10 * MIB,
        burst_bytes=20 * MIB + MIB // 2,
        stream_rate_bytes=5 * MIB,
        stream_burst_bytes=3 * MIB // 2,
        max_streams=100,
        max_label_names=30,
        max_label_name_bytes=512,
        max_label_value_bytes=4096,
        max_line_bytes=MIB,
        cuts_lines=True,
        refuses_old=False,
        old_seconds=7 * 86_400,
        new_seconds=600,
        takes_metadata=False,
        max_metadata_bytes=32 * 1024,
        max_metadata_pairs=64,
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("168h", 604_800),
        ("168h0m0s", 604_800),
        ("1w2d", 777_600),
        ("1h30m", 5400),
        ("1500ms", 1),
        ("1y", 31_536_000),
        ("0", 0),
        ("0s", 0),
        ("soon", 604_800),
        ("5 apples", 604_800),
    ],
)
def test_a_duration_is_read_and_one_that_is_not_understood_is_lokis_default(
    text: str, seconds: int
) -> None:
    limits = limits_in(written(reject_old_samples_max_age=text))

    assert limits is not None
    assert limits.old_seconds == seconds


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("256KB", 262_144),
        ("256kb", 262_144),
        ("256KiB", 262_144),
        ("262145B", 262_145),
        ("1000", 1000),
        ("1.5MB", 1_572_864),
        ("2GB", 2**31),
        ("0", 0),
        ("large", 262_144),
        ("", 262_144),
    ],
)
def test_a_size_is_read_and_one_that_is_not_understood_is_lokis_default(
    text: str, size_bytes: int
) -> None:
    limits = limits_in(written(max_line_size=text, max_streams_per_user="0"))

    assert limits is not None
    assert limits.max_line_bytes == size_bytes


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (404, "404 page not found"),
        (403, CONFIG),
        (200, "<html>"),
        (200, "limits_config: {}"),
        (200, ""),
    ],
)
def test_limits_that_are_not_shown_are_unknown(status: int, text: str) -> None:
    assert limits_in(text, status) is None


def test_limits_that_are_not_shown_are_no_fault() -> None:
    client = PathClient({})
    finding = check_loki_limits(client, max_batch_bytes=MIB, metadata=True)

    assert finding == Finding(
        Outcome.PASSED, "its limits cannot be read here; defaults are assumed"
    )


def test_limits_that_let_everything_pass_are_told() -> None:
    assert found(written(max_line_size="256KB")) == Finding(
        Outcome.PASSED,
        "lines to 256 KiB, 15 labels, 7 days old to 10 min ahead, 4 MiB/s, 6 MiB at once",
    )


@pytest.mark.parametrize(
    ("keys", "text", "hint"),
    [
        (
            {"ingestion_burst_size_mb": "0.5"},
            "a push of 1 MiB is above the burst of 512 KiB",
            "set loki.max_batch_bytes to 524288 or less",
        ),
        (
            {"per_stream_rate_limit_burst": "512KB"},
            "a push of 1 MiB is above the burst of 512 KiB",
            "set loki.max_batch_bytes to 524288 or less",
        ),
        (
            {"max_line_size": "100KB"},
            "lines over 100 KiB are refused",
            "raise Loki's max_line_size to 256KB",
        ),
        (
            {"max_label_names_per_series": "10"},
            "lines with more than 10 labels are refused",
            "see that no metric has more, or raise max_label_names_per_series",
        ),
        (
            {"allow_structured_metadata": "false"},
            "lines with structured metadata are refused (allow_structured_metadata is false)",
            "see to limits_config of Loki, or use no metadata_fields",
        ),
        (
            {"max_structured_metadata_entries_count": "5"},
            "lines with more than 5 metadata fields are refused",
            "see to limits_config of Loki, or use no metadata_fields",
        ),
        (
            {"max_structured_metadata_size": "100B"},
            "lines with more than 100 bytes of metadata are refused",
            "see to limits_config of Loki, or use no metadata_fields",
        ),
    ],
)
def test_a_limit_that_will_refuse_something_is_noted(
    keys: dict[str, str], text: str, hint: str
) -> None:
    assert found(written(**keys)) == Finding(Outcome.NOTED, text, hint)


def test_several_clashes_are_told_together() -> None:
    finding = found(written(max_line_size="1KB", max_label_names_per_series="3"))

    assert finding.text == "lines over 1 KiB are refused; lines with more than 3 labels are refused"


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"max_line_size": "1KB", "max_line_size_truncate": "true"}, id="cuts lines"),
        pytest.param({"max_line_size": "0"}, id="no limit of lines"),
        pytest.param({"max_structured_metadata_size": "0"}, id="no limit of metadata"),
    ],
)
def test_a_limit_that_refuses_nothing_is_not_noted(keys: dict[str, str]) -> None:
    assert found(written(**keys)).outcome is Outcome.PASSED


def test_metadata_that_nobody_uses_need_not_be_taken() -> None:
    refused = written(allow_structured_metadata="false")

    assert found(refused, metadata=False).outcome is Outcome.PASSED


def test_the_limits_of_a_loki_that_cannot_be_reached_are_not_tried() -> None:
    client = PathClient({"/config": SinkUnavailable("down", reason="dns")})
    finding = check_loki_limits(client, max_batch_bytes=MIB, metadata=True)

    assert (finding.text, finding.hint) == ("not tried: Loki cannot be reached", "")
