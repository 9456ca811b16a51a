"""Reads what came from outside and should be a JSON object in UTF-8, and says in a word why it is none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import orjson

MAX_DEPTH = 200
"""How many containers may lie in each other. What writes the lines (orjson 3.11) refuses more than 254."""

_MARK = 4_611_686_018_427_387_905
"""Stands between objects that are read at once. It is written in one way only, and no float equals it."""

_MARK_DIGITS = b"%d" % _MARK


class Unreadable(Exception):
    """What came can be no row.

    Attributes:
        reason: One word or two for a counter's label; here `not_utf8`, `not_json`, `not_an_object` or `too_deep`.
        fault: What exactly is wrong; empty when the reason says it all.
    """

    def __init__(self, reason: str, fault: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.fault = fault


def json_object(content: bytes | memoryview) -> dict[str, object]:
    """Return the JSON object that some bytes hold.

    Raises:
        Unreadable: They hold something else, or one that is nested deeper than `MAX_DEPTH`.
    """
    try:
        found = orjson.loads(content)
    except ValueError:
        found = _json_as_python_writes_it(content)
    if type(found) is not dict:
        raise Unreadable("not_an_object")
    # Short ones, which are most, cannot be that deep.
    if len(content) > 2 * MAX_DEPTH and _is_too_deep(bytes(content), found):
        raise Unreadable("too_deep")
    return found


def json_objects(contents: Sequence[bytes | memoryview]) -> list[dict[str, object]] | None:
    """Return the objects that contents hold, one each, read at once; `None`: only one by one can it be said.

    What it returns is what `json_object` returns of each, and every object can be had again from its own JSON.
    """
    if not contents:
        return []
    text = b"[" + (b",%b," % _MARK_DIGITS).join(contents) + b"]"
    try:
        found = orjson.loads(text)
    except ValueError:
        return None
    objects: list[dict[str, object]] = found[::2]
    marks = found[1::2]
    between = len(contents) - 1
    # Contents could close what others opened, like `{"a":[1` and `2]},{}`. All marks in the text are ours, and all of
    # them stand between objects: then none did.
    if text.count(_MARK_DIGITS) != between or marks != [_MARK] * between:
        return None
    if len(objects) != len(contents) or any(type(each) is not dict for each in objects):
        return None
    if any(len(content) > 2 * MAX_DEPTH for content in contents) and any(
        _is_too_deep(bytes(content), each) for content, each in zip(contents, objects, strict=True)
    ):
        return None
    return objects


def utf8(content: bytes | memoryview) -> str:
    """Return some bytes as text.

    Raises:
        Unreadable: They are not UTF-8.
    """
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable("not_utf8", str(error)) from None


def _json_as_python_writes_it(content: bytes | memoryview) -> object:
    """Return what only the standard library reads: NaN and infinity, which `json.dumps` writes, and lone surrogates."""
    try:
        return json.loads(utf8(content))
    except RecursionError:
        raise Unreadable("too_deep") from None
    except ValueError as error:
        raise Unreadable("not_json", str(error)) from None


def _is_too_deep(content: bytes, found: dict[str, object]) -> bool:
    # To count brackets costs a tenth of looking into every value.
    if content.count(b"[") + content.count(b"{") <= MAX_DEPTH:
        return False
    level: list[object] = [found]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level for inner in _values(each)]
    return any(isinstance(each, dict | list) for each in level)


def _values(value: object) -> Iterable[object]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()
