"""Which functions may be polled, and the SQL of a call."""

from __future__ import annotations

import math

import pytest

from shipper.sources.sqream import functions
from shipper.sources.sqream.functions import objection, statement


@pytest.mark.parametrize("function", sorted(functions.KNOWN_FUNCTIONS))
def test_known_functions_may_be_polled(function: str) -> None:
    assert objection(function) is None


def test_a_misspelt_function_gets_the_nearest_known_one() -> None:
    assert objection("show_lock") == (
        '"show_lock" is not a known function; did you mean "show_locks"? '
        "list it under sqream.allow_functions to run it all the same"
    )


def test_a_function_like_no_other_gets_no_suggestion() -> None:
    text = objection("zzz")

    assert text is not None
    assert "did you mean" not in text


def test_capitals_are_not_known_but_the_small_name_is_suggested() -> None:
    text = objection("SHOW_LOCKS")

    assert text is not None
    assert 'did you mean "show_locks"?' in text


def test_a_function_that_the_operator_allows_may_be_polled() -> None:
    assert objection("my_function", allowed=["my_function"]) is None


@pytest.mark.parametrize("action", [*sorted(functions.ACTIONS), "STOP_STATEMENT", "Remove_Lock"])
def test_actions_are_refused_even_when_allowed(action: str) -> None:
    text = objection(action, allowed=[action])

    assert text is not None
    assert "acts on the server" in text


def test_no_action_is_a_known_function() -> None:
    assert not functions.ACTIONS & functions.KNOWN_FUNCTIONS


def test_a_known_function_is_never_suggested_for_itself() -> None:
    assert functions.did_you_mean("show_locks") != '; did you mean "show_locks"?'


@pytest.mark.parametrize(
    ("arguments", "sql"),
    [
        pytest.param([], "select f()", id="none"),
        pytest.param(["GB"], "select f('GB')", id="text"),
        pytest.param(["it's"], "select f('it''s')", id="quote"),
        pytest.param(["'); drop table t; --"], "select f('''); drop table t; --')", id="attack"),
        pytest.param(["zażółć"], "select f('zażółć')", id="non-ASCII"),
        pytest.param([7, -3], "select f(7, -3)", id="whole numbers"),
        pytest.param([1.5, 1e-7, 1e20], "select f(1.5, 0.0000001, 100000000000000000000)", id="floats"),
        pytest.param([True, False], "select f(true, false)", id="booleans"),
    ],
)  # fmt: skip
def test_arguments_become_literals(arguments: list[functions.Literal], sql: str) -> None:
    assert statement("f", arguments) == sql


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_has_no_literal(number: float) -> None:
    with pytest.raises(ValueError, match="not a number that SQL can write"):
        statement("f", [number])
