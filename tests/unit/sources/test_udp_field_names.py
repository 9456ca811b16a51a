"""What fields of feeds are called."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.sources.udp.field_names import field_name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param("root.Foo[3].Bar", "rootFoo3Bar", id="dots and brackets"),
        pytest.param("_9x", "_x", id="digit behind an underscore"),
        pytest.param("...", "", id="nothing that may stay"),
        pytest.param("", "invalid_field", id="empty"),
        pytest.param("a b  c", "a_b__c", id="spaces"),
        pytest.param(" a", "_a", id="space in front"),
        pytest.param("9Volt", "Volt", id="digit in front"),
        pytest.param("__12_3x_4", "__x_4", id="underscores, then what is no letter"),
        pytest.param("__", "__", id="underscores alone"),
        pytest.param("Temp°C-größe", "TempCgre", id="letters beyond ASCII"),
        pytest.param("\udc80x", "x", id="lone surrogate"),
        pytest.param("x" * 300, "x" * 255, id="too long"),
        pytest.param("." * 300 + "x", "x", id="cut last"),
    ],
)
def test_a_path_becomes_a_name(path: str, name: str) -> None:
    assert field_name(path) == name


def test_two_registers_can_have_the_same_name() -> None:
    assert field_name("Foo[1].Bar") == field_name("Foo.1Bar")


@given(st.text(max_size=300))
def test_a_name_has_only_what_is_allowed(path: str) -> None:
    assert re.fullmatch(r"_*([A-Za-z][A-Za-z0-9_]*)?", field_name(path))


@given(st.text(min_size=1))
def test_a_name_that_is_not_empty_is_its_own_name(path: str) -> None:
    name = field_name(path)

    assert name in ("", field_name(name))
