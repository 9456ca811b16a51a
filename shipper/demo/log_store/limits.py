"""The limits of the log store, with the defaults of Loki 3.6, and the token bucket that keeps rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

_UNREACHABLE = 1 << 50
_NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a push or a query may be; every default is Loki 3.6's.

    Sizes are bytes, rates bytes per second. `behind_seconds` is half of `max_chunk_age`, and
    `head_block_bytes` is how far back duplicates of a stream are recognised.
    """

    max_line_bytes: int = 262_144
    max_label_names: int = 15
    max_label_name_bytes: int = 1024
    max_label_value_bytes: int = 2048
    max_metadata_entries: int = 128
    max_metadata_bytes: int = 65_536
    allow_metadata: bool = True
    max_message_bytes: int = 4_194_304
    max_body_bytes: int = 104_857_600
    old_seconds: int = 604_800
    new_seconds: int = 600
    behind_seconds: int = 3600
    tenant_rate_bytes: int = 4_194_304
    tenant_burst_bytes: int = 6_291_456
    stream_rate_bytes: int = 3_145_728
    stream_burst_bytes: int = 15_728_640
    max_active_streams: int = 5000
    stream_idle_seconds: int = 1800
    head_block_bytes: int = 262_144
    max_query_entries: int = 5000
    blocked_until: datetime | None = None

    def with_lifted_rates(self) -> Limits:
        """Return these limits without the rate and stream-count limits that answer 429."""
        return replace(
            self,
            tenant_rate_bytes=_UNREACHABLE,
            tenant_burst_bytes=_UNREACHABLE,
            stream_rate_bytes=_UNREACHABLE,
            stream_burst_bytes=_UNREACHABLE,
            max_active_streams=_UNREACHABLE,
        )


@dataclass(slots=True)
class TokenBucket:
    """Lets `rate_bytes` a second pass, and at most `burst_bytes` at once; starts full."""

    rate_bytes: int
    burst_bytes: int
    clock: Callable[[], int]
    _tokens: float = field(init=False)
    _filled_at_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self._tokens = float(self.burst_bytes)
        self._filled_at_ns = self.clock()

    def take(self, size_bytes: int) -> bool:
        """Take all of `size_bytes` and return True, or take nothing and return False."""
        now_ns = self.clock()
        gained = (now_ns - self._filled_at_ns) * self.rate_bytes / _NS_PER_SECOND
        self._tokens = min(float(self.burst_bytes), self._tokens + max(gained, 0.0))
        self._filled_at_ns = now_ns
        if size_bytes > self._tokens:
            return False
        self._tokens -= size_bytes
        return True
