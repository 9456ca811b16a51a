from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from shipper.core.json_lines import json_lines
from shipper.core.json_object import MAX_DEPTH
from shipper.sources.stomp.messages import Frame, harvest


def frame(body: bytes, **headers: str) -> Frame:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return cast(Frame, SimpleNamespace(cmd="MESSAGE", headers=named, body=body))


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def test_an_object_is_a_row_with_its_fields_in_order() -> None:
    (row,) = harvest([frame('{"z": 1, "a": "zażółć", "n": null}'.encode())]).rows

    assert list(row.items()) == [("z", 1), ("a", "zażółć"), ("n", None)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a": "\xff"}', "not_utf8"),
        ('{"a": 1}'.encode("utf-16"), "not_utf8"),
        (b"", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b'{"a": 1} {"b": 2}', "not_json"),
        (b"[1, 2]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"null", "not_an_object"),
        (nested(MAX_DEPTH + 2), "too_deep"),
        (nested(2000), "too_deep"),
        (b"[" * 100_000, "too_deep"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_row_is_refused_with_a_reason_and_kept_as_it_came(
    body: bytes, reason: str
) -> None:
    reaped = harvest([frame(body, message_id="ID:7", destination="/topic/runs")])

    assert reaped.rows == []
    assert [(each.reason, each.content) for each in reaped.refused] == [(reason, body)]
    assert reaped.refused[0].metadata == {"message_id": "ID:7", "destination": "/topic/runs"}


@pytest.mark.parametrize(
    "body",
    [b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": "\\ud800"}', b'{"a": 123456789012345678901234}'],
)
def test_what_python_writes_as_json_is_a_row_that_can_be_written_again(body: bytes) -> None:
    reaped = harvest([frame(body)])

    assert reaped.refused == []
    assert len(json_lines(reaped.rows)) == 1


def test_the_deepest_row_can_be_written_again() -> None:
    body = nested(MAX_DEPTH)

    assert json_lines(harvest([frame(body)]).rows) == [body]


def test_many_brackets_side_by_side_are_not_deep() -> None:
    body = b'{"a":[' + b",".join([b"{}"] * 1000) + b"]}"

    assert len(harvest([frame(body)]).rows) == 1


def test_a_bad_message_does_not_stop_the_others() -> None:
    reaped = harvest([frame(b'{"n":1}'), frame(b"x"), frame(b'{"n":2}')])

    assert reaped.rows == [{"n": 1}, {"n": 2}]
    assert len(reaped.refused) == 1


METADATA: list[tuple[dict[str, str], dict[str, Any]]] = [
    (
        {"message_id": "ID:7", "destination": "/topic/a", "redelivered": "false"},
        {"message_id": "ID:7", "destination": "/topic/a"},
    ),
    (
        {"message_id": "T_1@@2", "amqp_message_id": "own", "destination": "/queue/a"},
        {"message_id": "own", "destination": "/queue/a"},
    ),
    (
        {"message_id": "ID:7", "destination": "/queue/a", "redelivered": "true"},
        {"message_id": "ID:7", "destination": "/queue/a", "redelivered": "true"},
    ),
]


@pytest.mark.parametrize(
    ("headers", "known"), METADATA, ids=["plain", "the sender's own id", "again"]
)
def test_every_row_has_its_message_s_metadata(
    headers: dict[str, str], known: dict[str, str]
) -> None:
    assert harvest([frame(b"{}", **headers)]).metadata == [known]
