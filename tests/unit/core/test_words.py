"""Words for people."""

from __future__ import annotations

import pytest

from shipper.core.words import counted, harmless, size, unique_names


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 lines"), (1, "1 line"), (2, "2 lines")], ids=str
)
def test_a_number_goes_with_its_noun(number: int, text: str) -> None:
    assert counted(number, "line") == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 lines are"), (1, "1 line is"), (2, "2 lines are")], ids=str
)
def test_a_number_goes_with_what_its_things_do(number: int, text: str) -> None:
    assert counted(number, "line", ("is", "are")) == text


def test_names_that_are_there_twice_get_numbers() -> None:
    assert list(unique_names(["a", "b", "a", "a_2", "a"])) == ["a", "b", "a_2", "a_2_2", "a_3"]


def test_foreign_words_are_no_orders_and_lines_stay_lines() -> None:
    assert harmless("a\x1b[2J\r\n\x9bb \u202e ü") == "a\\x1b[2J\\r\n\\x9bb \\u202e ü"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (212_992, "208 KiB"),
        (3 * 2**19, "1.5 MiB"),
        (10 * 2**20, "10 MiB"),
        (2**20 - 1, "1023.9 KiB"),
        (2**30, "1 GiB"),
    ],
)
def test_a_size_is_shown_in_the_largest_unit_it_fills(size_bytes: int, text: str) -> None:
    assert size(size_bytes) == text
