"""Rows that are lines already tell the same as rows that stayed dictionaries."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipper.core.json_lines import json_lines
from shipper.core.json_object import MAX_DEPTH, Unreadable, json_object, json_objects
from shipper.core.json_rows import JsonRows

MARK = b"4611686018427387905"
WORDS = st.text(st.characters(), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
# Written with and without spaces, and with what no JSON has: NaN, lone surrogates, torn pieces, our own mark.
PIECES = st.sampled_from(
    [b"{", b"}", b"[", b"]", b",", b'"', b"1", b'"a":', MARK, b"{}", b"\n", b"\\", b"\xff", b"1E5"]
)
CONTENTS = (
    st.dictionaries(WORDS, VALUES, max_size=3).map(lambda each: json.dumps(each).encode())
    | st.dictionaries(WORDS, VALUES, max_size=3).map(
        lambda each: json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )
    )
    | st.lists(PIECES, max_size=8).map(b"".join)
)


def one_by_one(contents: list[bytes]) -> list[dict[str, object]] | None:
    try:
        return [json_object(content) for content in contents]
    except Unreadable:
        return None


def same(left: object, right: object) -> bool:
    """Tell whether values are equal in type too; NaN equals itself."""
    return repr(left) == repr(right)


@given(st.lists(CONTENTS, max_size=4))
@example([b'{"a":[1', b"2]},{}"])
@example([b'{"a":[1', b"2]},{},{}"])
@example([b'{"a":[1', b"2]}," + MARK + b",{}"])
@example([b'{"a":[1', b'2]},{"b":1}', b'{"c":1},{"d":1}'])
@example([b'{"a":"' + MARK + b'"}', b"{}"])
@example([b'{"a":', b"}"])
@example([b"{},{}", b""])
@example([b'{"a":1,"b":2,"a":3}', b'{"a":1E5}'])
@example([b"\xef\xbb\xbf{}", b"{}"])
def test_what_is_read_at_once_is_what_is_read_one_by_one(contents: list[bytes]) -> None:
    at_once = json_objects(contents)

    assert at_once is None or same(at_once, one_by_one(contents))


@given(st.lists(CONTENTS, max_size=4))
def test_rows_and_lines_are_those_of_the_dictionaries(contents: list[bytes]) -> None:
    at_once, slow = json_objects(contents), one_by_one(contents)
    rows = JsonRows()
    rows.add([{"first": 1}], tells_all=True)
    rows.add(slow or [] if at_once is None else at_once, tells_all=at_once is not None)
    expected: list[Mapping[str, object]] = [{"first": 1}, *(slow or [])]

    assert rows.lines == json_lines(expected)
    assert same(list(rows), expected)
    assert same([rows[at] for at in range(len(rows))], expected)


@given(st.lists(st.dictionaries(WORDS, VALUES, max_size=3), min_size=1, max_size=4))
def test_a_line_is_the_same_whatever_stands_beside_it(rows: list[dict[str, Any]]) -> None:
    assert json_lines(rows) == [line for row in rows for line in json_lines([row])]


def test_usual_objects_are_read_at_once() -> None:
    contents = [b'{"a":1}', b' {"b": "\xc3\xa9"}\n', b"{}"]

    assert json_objects(contents) == [{"a": 1}, {"b": "é"}, {}]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{},{}", id="two"),
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"a":' + MARK + b"}", id="our mark"),
        pytest.param(
            b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}" + b" " * MAX_DEPTH, id="too deep"
        ),
    ],
)
def test_others_have_to_be_read_one_by_one(content: bytes) -> None:
    assert json_objects([b"{}", content, b"{}"]) is None


def test_a_part_of_the_rows_is_rows() -> None:
    rows = JsonRows()
    rows.add([{"n": 0}], tells_all=True)
    rows.add([{"n": math.inf}], tells_all=False)

    assert rows[0:2] == [{"n": 0}, {"n": math.inf}]
    assert rows[-1] == {"n": math.inf}
    assert rows.lines == [b'{"n":0}', b'{"n":null}']
