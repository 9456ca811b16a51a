"""The file as JSON: what is read, and what is said about everything that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipper.config.document import describe, read_document
from shipper.core.errors import ConfigError


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_document(path)
    return str(caught.value)


def test_an_object_is_returned_in_the_order_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"b": 1, "a": {"c": [null, true, "ü"]}}', encoding="utf-8")

    document = read_document(path)

    assert list(document.items()) == [("b", 1), ("a", {"c": [None, True, "ü"]})]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b" \r\n\t", "the file is empty", id="blank"),
        pytest.param(b"x", "this is not JSON: Expecting value at line 1, column 1", id="no JSON"),
        pytest.param(
            b'{"a": 1,\n "b" 2}',
            "this is not JSON: Expecting ':' delimiter at line 2, column 6",
            id="no JSON on the second line",
        ),
        pytest.param(b"{} x", "this is not JSON: Extra data at line 1, column 4", id="two values"),
        pytest.param(b"[]", "the file must hold a JSON object, not a list", id="list"),
        pytest.param(b"null", "the file must hold a JSON object, not null", id="null"),
        pytest.param(b"true", "the file must hold a JSON object, not true", id="boolean"),
        pytest.param(b"5", "the file must hold a JSON object, not 5", id="number"),
        pytest.param(b'"x"', 'the file must hold a JSON object, not the text "x"', id="text"),
        pytest.param(
            b'{"a": 1, "a": 1}',
            "a: this key stands twice in the same object",
            id="key twice",
        ),
        pytest.param(
            b'{"a": {"b": 1, "b": 2}}',
            "b: this key stands twice in the same object",
            id="key twice, inside",
        ),
        pytest.param(b'{"a": NaN}', "NaN is not a number that can be used here", id="NaN"),
        pytest.param(
            b'{"a": Infinity}', "Infinity is not a number that can be used here", id="Infinity"
        ),
        pytest.param(
            b'{"a": -Infinity}', "-Infinity is not a number that can be used here", id="-Infinity"
        ),
        pytest.param(b"[" * 100_000, "the file is nested too deeply", id="100,000 lists"),
        pytest.param(b'{"a":' * 100_000, "the file is nested too deeply", id="100,000 objects"),
        pytest.param(
            b"\xef\xbb\xbf{}",
            "the file starts with a byte order mark; save it as plain UTF-8",
            id="UTF-8 with a mark",
        ),
        pytest.param(
            '{"a": 1}'.encode("utf-16"),
            "the file starts with a byte order mark; save it as plain UTF-8",
            id="UTF-16",
        ),
        pytest.param(
            b"\xfe\xff\x00{\x00}",
            "the file starts with a byte order mark; save it as plain UTF-8",
            id="UTF-16, big end first",
        ),
        pytest.param(
            b'{"a": "\xff"}',
            "the file is not UTF-8: invalid start byte at byte 7",
            id="Latin 1",
        ),
    ],
)
def test_what_is_no_object_is_refused_with_its_place_and_rule(
    tmp_path: Path, content: bytes, rule: str
) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(content)

    assert refusal(path) == f"{path}: {rule}"


def test_a_number_of_thousands_of_digits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(f'{{"a": 1{"0" * 5000}}}')

    message = refusal(path)

    assert message.startswith(f"{path}: Exceeds the limit (4300 digits)")
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("key", [r"a\nb", r"a\rb", r"a\u2028b"])
def test_a_key_with_a_line_break_is_told_in_one_line(tmp_path: Path, key: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(f'{{"{key}": 1, "{key}": 1}}')

    assert len(refusal(path).splitlines()) == 1


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none.json"

    assert refusal(path) == f"{path}: there is no such file"


def test_a_directory_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: this is a directory, not a file"


def test_a_file_behind_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{}")
    path = tmp_path / "c.json" / "d.json"

    assert refusal(path) == f"{path}: the file cannot be read: Not a directory"


def test_an_unreadable_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)

    assert refusal(Path("c.json")) == "c.json: the file cannot be read: Permission denied"


def test_a_path_that_no_file_can_have_is_told() -> None:
    assert refusal(Path("a\0b")).endswith("the file cannot be read: embedded null byte")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        ("a", 'the text "a"'),
        ("a" * 99, f'the text "{"a" * 40}"'),
        ([1], "a list"),
        ({"a": 1}, "an object"),
        (1.5, "1.5"),
        (10**400, "1" + "0" * 39),
    ],
)
def test_values_are_described_in_few_words(value: object, words: str) -> None:
    assert describe(value) == words
