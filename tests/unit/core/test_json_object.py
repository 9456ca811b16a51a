"""What is a JSON object, and why the rest is none."""

from __future__ import annotations

import json
import math

import pytest

from shipper.core.json_object import MAX_DEPTH, Unreadable, json_object


def nested(depth: int) -> bytes:
    """Return an object with so many containers in each other, itself included."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def reason(content: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        json_object(content)
    return caught.value.reason


@pytest.mark.parametrize("content", [b'{"a": 1, "b": "\xc3\xa9"}', b"{}", b' {"a":null}\n'])
def test_an_object_is_read(content: bytes) -> None:
    assert json_object(content) == json.loads(content)
    assert json_object(memoryview(content)) == json.loads(content)


def test_what_python_writes_and_json_does_not_know_is_read() -> None:
    found = json_object(b'{"a": NaN, "b": "\\ud800"}')

    assert math.isnan(float(str(found["a"])))
    assert found["b"] == "\ud800"


def test_an_object_as_deep_as_allowed_is_read() -> None:
    assert json_object(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", "not_json", id="nothing"),
        pytest.param(b"{", "not_json", id="torn"),
        pytest.param(b"<xml/>", "not_json", id="something else"),
        pytest.param(b'{"a": "\xff"}', "not_utf8", id="not UTF-8"),
        pytest.param(b"[1]", "not_an_object", id="a list"),
        pytest.param(b"null", "not_an_object", id="null"),
        pytest.param(nested(MAX_DEPTH + 1), "too_deep", id="one too deep"),
        pytest.param(b"[" * 100_000, "too_deep", id="far too deep"),
    ],
)
def test_what_is_no_object_is_refused_with_a_reason(content: bytes, expected: str) -> None:
    assert reason(content) == expected
