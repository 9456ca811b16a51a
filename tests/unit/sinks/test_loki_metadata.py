from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.sinks.loki.metadata import (
    MAX_PAIRS,
    MAX_PAIRS_BYTES,
    MetadataRules,
    legal_pair_name,
    metadata_bytes,
)

ANYTHING = st.text(st.characters(), max_size=40) | st.text("ab._", max_size=4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("trace_id", "trace_id"),
        ("a.b", "a_b"),
        ("a b", "a_b"),
        ("a/b", "a_b"),
        ("été", "_t_"),
        ("__x", "_x"),
        ("1", "key_1"),
        ("é", "unnamed"),
        ("日本", "unnamed"),
        ("_", "unnamed"),
        ("___", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_a_name_becomes_what_loki_would_make_of_it_or_unnamed(name: str, expected: str) -> None:
    assert legal_pair_name(name) == expected


def test_names_that_become_the_same_keep_both_values() -> None:
    found = MetadataRules().apply({"é": "1", "": "2", "unnamed": "3"}, {})

    assert found.pairs == {"unnamed": "1", "unnamed_2": "2", "unnamed_3": "3"}
    assert found.cut == 0


def test_moved_labels_come_first() -> None:
    found = MetadataRules().apply({"trace": "t"}, {"rack": "r"})

    assert list(found.pairs.items()) == [("rack", "r"), ("trace", "t")]


def test_pairs_beyond_128_are_left_out_and_counted() -> None:
    found = MetadataRules().apply({f"n{number}": "v" for number in range(130)}, {})

    assert (len(found.pairs), found.cut) == (MAX_PAIRS, 2)


def test_a_pair_that_does_not_fit_is_left_out_and_a_smaller_one_after_it_is_not() -> None:
    found = MetadataRules().apply({"big": "v" * 70_000, "small": "v"}, {})

    assert (found.pairs, found.cut) == ({"small": "v"}, 1)


def test_bytes_up_to_the_limit_are_taken() -> None:
    found = MetadataRules().apply({"name": "v" * (MAX_PAIRS_BYTES - 4)}, {})

    assert (metadata_bytes(found.pairs), found.cut) == (MAX_PAIRS_BYTES, 0)


def test_a_lone_surrogate_is_spelt_out() -> None:
    assert MetadataRules().apply({"a": "\udc80"}, {}).pairs == {"a": "\\udc80"}


@given(st.dictionaries(ANYTHING, ANYTHING, max_size=30))
def test_any_metadata_becomes_legal_and_no_value_is_lost(metadata: dict[str, str]) -> None:
    found = MetadataRules().apply(metadata, {})

    assert found.cut == 0
    assert found.size_bytes == metadata_bytes(found.pairs)
    assert len(found.pairs) == len(metadata)
    assert all(name.isascii() and name.isidentifier() and name.strip("_") for name in found.pairs)
