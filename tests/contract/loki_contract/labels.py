"""Which labels and which structured metadata are taken: cases of the Loki contract."""

from __future__ import annotations

from tests.contract.loki_contract.pushes import (
    HELLO,
    PARSE_LABELS,
    Case,
    good_and,
    labelled,
)

LABELS = [
    Case("an empty label value", labelled(host=""), stored=HELLO),
    Case("a label value that is a number", labelled(host=5), stored=HELLO),
    Case("a label value that is null", labelled(host=None), stored=HELLO),
    *(
        Case(f"the label name {name!r}", labelled(**{name: "x"}), 400, PARSE_LABELS)
        for name in ("a.b", "a-b", "9a", "é", "a b", "a:b", "")
    ),
    Case(
        "the place of a bad character",
        labelled(**{"aa.b": "x"}),
        400,
        "1:4: parse error: unexpected character inside braces: '.'",
    ),
    *(
        Case(f"the label name {name}", labelled(**{name: "x"}), stored=HELLO)
        for name in ("_", "__a__", "A9")
    ),
    Case("a value with quotes and newlines", labelled(host='a"b\\c\nd\té☃😀'), stored=HELLO),
    Case("15 labels", labelled(**{f"l{n:02}": "v" for n in range(14)}), stored=HELLO),
    Case(
        "16 labels",
        labelled(**{f"l{n:02}": "v" for n in range(15)}),
        400,
        "has 16 label names; limit 15",
    ),
    Case("a name of 1024 bytes", labelled(**{"n" * 1024: "v"}), stored=HELLO),
    Case("a name of 1025 bytes", labelled(**{"n" * 1025: "v"}), 400, "has label name too long: '"),
    Case("a value of 2048 bytes", labelled(host="v" * 2048), stored=HELLO),
    Case("a value of 2049 bytes", labelled(host="v" * 2049), 400, "has label value too long: '"),
    Case("a value of 1100 wide characters", labelled(host="é" * 1100), 400, "value too long: '"),
]

METADATA = [
    Case(
        "128 metadata pairs",
        good_and(lambda now_ns: [str(now_ns + 1), "b", {f"m{n}": "v" for n in range(128)}]),
        stored=("good", "b"),
    ),
    Case(
        "129 metadata pairs",
        good_and(lambda now_ns: [str(now_ns + 1), "b", {f"m{n}": "v" for n in range(129)}]),
        400,
        "has too many structured metadata labels: '129', limit: '128'. Please see ",
        stored=("good",),
    ),
    Case(
        "metadata of 70001 bytes",
        good_and(lambda now_ns: [str(now_ns + 1), "b", {"m": "v" * 70_000}]),
        400,
        "has structured metadata too large: '70001' bytes, limit: '65536' bytes. Please see ",
        stored=("good",),
    ),
    *(
        Case(
            f"the metadata name {name!r}",
            good_and(lambda now_ns, name=name: [str(now_ns + 1), "b", {name: "v"}]),  # type: ignore[misc] # mypy cannot type a lambda's default
            500,
            words,
        )
        for name, words in {
            "é": 'normalization for label name "é" resulted in invalid name "_"',
            "日本": 'normalization for label name "日本" resulted in invalid name "_"',
            "_": 'normalization for label name "_" resulted in invalid name "_"',
            "": "label name is empty",
        }.items()
    ),
    Case(
        "an empty metadata value",
        good_and(lambda now_ns: [str(now_ns + 1), "b", {"m": ""}]),
        stored=("good", "b"),
    ),
]
