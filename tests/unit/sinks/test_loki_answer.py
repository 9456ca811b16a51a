from __future__ import annotations

import pytest

from shipper.sinks.loki.answer import GIST_CHARS, MAX_WAIT_SECONDS, Answer

DATE = "Sun, 22 Nov 2026 01:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "99999999"}, MAX_WAIT_SECONDS),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "."}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Sun, 22 Nov 2026 01:00:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 00:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 01:00:30 GMT"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 01:00:30 GMT", "date": "yesterday"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 01:00:30 -0000", "date": DATE}, None),
    ],
)
def test_the_wait_is_read_from_the_header(headers: dict[str, str], seconds: float | None) -> None:
    assert Answer(429, headers=headers).retry_after_seconds == seconds


def test_the_gist_is_one_line() -> None:
    assert Answer(400, " entry\n too\told ").gist == "entry too old"


def test_the_gist_of_a_long_text_is_short() -> None:
    assert Answer(400, "x" * 100_000).gist == "x" * GIST_CHARS + "..."
