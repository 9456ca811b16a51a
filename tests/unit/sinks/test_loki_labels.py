from __future__ import annotations

import ast
import re
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.sinks.loki.labels import (
    MAX_LABELS,
    MAX_NAME_BYTES,
    MAX_VALUE_BYTES,
    LabelBook,
    legal_value,
    selector_text,
)

LEGAL_NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")
ANYTHING = st.text(st.characters(), max_size=40)


def legal(labels: dict[str, str]) -> dict[str, str]:
    return dict(LabelBook().look_up(labels).labels)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("host", "host"),
        ("a.b", "a_b"),
        ("a-b", "a_b"),
        ("a b", "a_b"),
        ("a:b", "a_b"),
        ("9a", "_9a"),
        ("é", "_"),
        ("", "_"),
        ("__name__", "__name__"),
        ("a\udc80", "a_"),
    ],
)
def test_a_name_becomes_legal(name: str, expected: str) -> None:
    assert legal({name: "x"}) == {expected: "x"}


def test_names_that_become_the_same_are_told_apart_whatever_their_order() -> None:
    labels = {"a.b": "dot", "a_b": "legal", "a-b": "dash"}
    forms = {tuple(legal(dict(order)).items()) for order in permutations(labels.items())}

    assert forms == {(("a_b", "legal"), ("a_b_2", "dash"), ("a_b_3", "dot"))}


def test_long_names_lose_their_end_and_stay_apart() -> None:
    names = list(legal({"n" * 2000 + "a": "1", "n" * 2000 + "b": "2"}))

    assert len(set(names)) == 2
    assert all(len(name) <= MAX_NAME_BYTES for name in names)


def test_a_long_value_is_cut_at_the_end_of_a_character() -> None:
    assert legal_value("é" * 1100) == "é" * 1024
    assert legal_value("x" + "é" * 1100) == "x" + "é" * 1023


def test_a_lone_surrogate_is_spelt_out() -> None:
    assert legal_value("a\udc80") == "a\\udc80"


def test_an_empty_value_is_no_label() -> None:
    assert legal({"job": "x", "empty": ""}) == {"job": "x"}


def test_of_too_many_labels_the_fixed_ones_stay_and_the_rest_moves() -> None:
    labels = {f"l{number:02}": "v" for number in range(15)}
    labels |= {"instance": "i", "service_name": "s", "job": "j"}
    found = LabelBook().look_up(labels)

    assert list(found.labels)[:3] == ["job", "service_name", "instance"]
    assert len(found.labels) == MAX_LABELS
    assert dict(found.moved) == {"l12": "v", "l13": "v", "l14": "v"}


def test_the_selector_is_what_loki_reads() -> None:
    assert LabelBook().look_up({"job": "x", "b": "y"}).selector == '{job="x", b="y"}'


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("two\nlines", r'"two\nlines"'),
        ("tab\tand\rreturn", r'"tab\tand\rreturn"'),
        ("\0\x07\x7f", r'"\x00\x07\x7f"'),
        ("é☃😀", '"é☃😀"'),
        ("\ufeff", r'"\ufeff"'),
    ],
)
def test_a_value_is_escaped_the_way_go_reads_it(value: str, written: str) -> None:
    assert selector_text({"a": value}) == f"{{a={written}}}"


def test_the_same_labels_are_worked_out_once() -> None:
    book = LabelBook()

    assert book.look_up({"a": "b"}) is book.look_up({"a": "b"})


@given(st.dictionaries(ANYTHING, ANYTHING, max_size=25))
def test_any_labels_become_legal_and_none_with_a_value_is_lost(labels: dict[str, str]) -> None:
    found = LabelBook().look_up(labels)
    together = {**found.labels, **found.moved}

    assert len(found.labels) <= MAX_LABELS
    assert all(LEGAL_NAME.fullmatch(name) for name in together)
    assert all(0 < len(value.encode()) <= MAX_VALUE_BYTES for value in together.values())
    assert len(together) == sum(bool(value) for value in labels.values())


@given(ANYTHING.map(legal_value))
def test_an_escaped_value_reads_back_as_itself(value: str) -> None:
    written = selector_text({"a": value})[len("{a=") : -1]

    # For the escapes that are used, Python's literals are read as Go's are.
    assert ast.literal_eval(written) == value
