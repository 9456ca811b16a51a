"""What viewers may ask for."""

from __future__ import annotations

import pytest
from starlette.datastructures import QueryParams

from shipper.live.viewing import BadQuery, Wanted, wanted


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("", Wanted(None, "", 0)),
        ("metric=m&match=a%20b&last=5", Wanted("m", "a b", 5)),
        ("last=1000&token=x", Wanted(None, "", 1000)),
        ("metric=", Wanted("", "", 0)),
    ],
)
def test_a_query_is_understood(query: str, meant: Wanted) -> None:
    assert wanted(QueryParams(query)) == meant


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("last=1001", "last: must be a whole number from 0 to 1000"),
        ("last=", "last: must be a whole number from 0 to 1000"),
        ("last=²", "last: must be a whole number from 0 to 1000"),
        ("last=99999999999999999999", "last: must be a whole number from 0 to 1000"),
        ("mach=x", "mach: no such key; known are metric, match and last"),
        ("last=1&last=2", "last: only once"),
        (f"match={'x' * 1001}", "match: at most 1000 characters"),
    ],
)
def test_a_query_that_cannot_be_understood_is_told(query: str, why: str) -> None:
    with pytest.raises(BadQuery) as caught:
        wanted(QueryParams(query))

    assert str(caught.value) == why
