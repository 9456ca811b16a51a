"""The limits as the log store prints them."""

from __future__ import annotations

import pytest

from shipper.demo.log_store.config_page import config_text
from shipper.demo.log_store.limits import Limits


def test_the_defaults_are_printed_as_loki_prints_them() -> None:
    assert config_text(Limits(), auth_enabled=True).splitlines() == [
        "auth_enabled: true",
        "limits_config:",
        "  ingestion_rate_mb: 4",
        "  ingestion_burst_size_mb: 6",
        "  max_label_name_length: 1024",
        "  max_label_value_length: 2048",
        "  max_label_names_per_series: 15",
        "  reject_old_samples: true",
        "  reject_old_samples_max_age: 1w",
        "  creation_grace_period: 10m",
        "  max_line_size: 256KB",
        "  max_line_size_truncate: false",
        "  max_global_streams_per_user: 5000",
        "  per_stream_rate_limit: 3MB",
        "  per_stream_rate_limit_burst: 15MB",
        "  allow_structured_metadata: true",
        "  max_structured_metadata_size: 64KB",
        "  max_structured_metadata_entries_count: 128",
        "  max_entries_limit_per_query: 5000",
    ]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (5400, "1h30m"), (691_261, "1w1d1m1s")])
def test_a_duration_is_made_of_the_largest_units(seconds: int, text: str) -> None:
    page = config_text(Limits(old_seconds=seconds), auth_enabled=False)

    assert f"reject_old_samples_max_age: {text}\n" in page
