"""What the JSON of a push may look like: cases of the Loki contract."""

from __future__ import annotations

from tests.contract.loki_contract.pushes import (
    HELLO,
    MISLEADING,
    NOT_AN_OBJECT,
    Case,
    good_and,
    labelled,
    lines_at,
    text_push,
)

SHAPES = [
    Case("an empty body", text_push(""), 400, "EOF"),
    Case(
        "a body cut short",
        text_push('{"streams":[{"stream":{"app":"APP"},"val'),
        400,
        "error found",
    ),
    Case("a list", text_push("[]"), 400, NOT_AN_OBJECT + "["),
    Case("an empty object", text_push("{}"), 422, "at least one valid stream is required"),
    Case("no streams", text_push('{"streams":[]}'), 422, "at least one valid stream is required"),
    Case(
        "null streams", text_push('{"streams":null}'), 422, "at least one valid stream is required"
    ),
    Case("a stream without entries", lines_at()),
    Case("a stream without values", text_push('{"streams":[{"stream":{"app":"APP"}}]}')),
    Case(
        "garbage after the object",
        text_push(
            '{"x":1,"streams":[{"stream":{"app":"APP"},"values":[["NOW","hello"]]}]} garbage'
        ),
        stored=HELLO,
    ),
    Case("an entry of one value", good_and(lambda now_ns: [str(now_ns + 1)]), stored=("good", "")),
    Case(
        "an entry of four values",
        good_and(lambda now_ns: [str(now_ns + 1), "b", {}, 5]),
        stored=("good", "b"),
    ),
    Case("a line that is a number", good_and(lambda now_ns: [str(now_ns), 5]), 400),
    Case("a line that is null", good_and(lambda now_ns: [str(now_ns), None]), 400),
    Case("an empty line", good_and(lambda now_ns: [str(now_ns + 1), ""]), stored=("good", "")),
    Case("a time that is a number", good_and(lambda now_ns: [now_ns, "b"]), 400, MISLEADING),
    Case("a time with a point", good_and(lambda now_ns: [f"{now_ns}.5", "b"]), 400, MISLEADING),
    Case("a time in words", good_and(lambda _: ["2026-11-22T00:00:00Z", "b"]), 400, MISLEADING),
    Case("an empty time", good_and(lambda _: ["", "b"]), 400, MISLEADING),
    Case("a time with a blank", good_and(lambda now_ns: [f" {now_ns}", "b"]), 400, MISLEADING),
    Case("a time over int64", good_and(lambda now_ns: [f"{now_ns}0", "b"]), 400, MISLEADING),
    Case("metadata with a number", good_and(lambda now_ns: [str(now_ns), "b", {"n": 1}]), 400),
    Case("metadata with null", good_and(lambda now_ns: [str(now_ns), "b", {"n": None}]), 400),
    Case("metadata as a list", good_and(lambda now_ns: [str(now_ns), "b", ["n"]]), 400),
    Case(
        "a lone surrogate in a line",
        good_and(lambda now_ns: [str(now_ns), "b\udcff"]),
        400,
        MISLEADING,
    ),
    Case(
        "a lone surrogate in a label value",
        labelled(host="\ud800"),
        400,
    ),
    Case(
        "escaped pairs and control characters",
        lines_at((0, "\U0001f600 \0 \a \x7f \u2028")),
        stored=("\U0001f600 \0 \a \x7f \u2028",),
    ),
    Case(
        "a raw control character",
        text_push('{"streams":[{"stream":{"app":"APP"},"values":[["NOW","a\tb"]]}]}'),
        400,
    ),
    Case(
        "raw invalid UTF-8 in a line",
        text_push('{"streams":[{"stream":{"app":"APP"},"values":[["NOW","x \xff y"]]}]}'),
        stored=("x \ufffd y",),
    ),
]
