"""Prints the limits the way Loki 3.6 prints them in its `/config`: the part of the YAML that is about pushes."""

from __future__ import annotations

from shipper.demo.log_store.golang import byte_size
from shipper.demo.log_store.limits import Limits

_MIB = 1 << 20
_DURATION_UNITS = ((604_800, "w"), (86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def config_text(limits: Limits, *, auth_enabled: bool) -> str:
    """Return the limits as YAML, with Loki's names, sizes and durations."""
    values = {
        "ingestion_rate_mb": f"{limits.tenant_rate_bytes / _MIB:.16g}",
        "ingestion_burst_size_mb": f"{limits.tenant_burst_bytes / _MIB:.16g}",
        "max_label_name_length": limits.max_label_name_bytes,
        "max_label_value_length": limits.max_label_value_bytes,
        "max_label_names_per_series": limits.max_label_names,
        "reject_old_samples": "true",
        "reject_old_samples_max_age": _duration(limits.old_seconds),
        "creation_grace_period": _duration(limits.new_seconds),
        "max_line_size": byte_size(limits.max_line_bytes),
        "max_line_size_truncate": "false",
        "max_global_streams_per_user": limits.max_active_streams,
        "per_stream_rate_limit": byte_size(limits.stream_rate_bytes),
        "per_stream_rate_limit_burst": byte_size(limits.stream_burst_bytes),
        "allow_structured_metadata": str(limits.allow_metadata).lower(),
        "max_structured_metadata_size": byte_size(limits.max_metadata_bytes),
        "max_structured_metadata_entries_count": limits.max_metadata_entries,
        "max_entries_limit_per_query": limits.max_query_entries,
    }
    lines = [f"  {name}: {value}\n" for name, value in values.items()]
    return f"auth_enabled: {str(auth_enabled).lower()}\nlimits_config:\n{''.join(lines)}"


def _duration(seconds: int) -> str:
    """Return a duration in the largest units that make it up, such as 1w or 1h30m."""
    parts = []
    for unit_seconds, unit in _DURATION_UNITS:
        count, seconds = divmod(seconds, unit_seconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
