"""One fault of pydantic's as one line for an operator."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, StringConstraints, ValidationError

from shipper.config.complaint import complaints, nearest
from shipper.config.models import Settings


class Inner(Settings):
    """Something inside."""

    colour: str = ""


class Outer(Settings):
    """Something with every kind of rule."""

    above: Annotated[float, Field(gt=0.5, allow_inf_nan=False)] = 1
    least: Annotated[int, Field(ge=2, le=4)] = 3
    word: Literal["one", "two"] = "one"
    code: Annotated[str, StringConstraints(pattern="^[a-z]{2}$")] = "aa"
    flag: bool = False
    inner: Inner | None = None
    inners: list[Inner] = Field(default=[])


def told(**written: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(written)
    return complaints(caught.value, Outer)


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ({"above": 0.5}, "above: must be greater than 0.5, not 0.5"),
        ({"above": "1"}, 'above: must be a number, not the text "1"'),
        ({"above": float("inf")}, "above: must be a number, not inf"),
        ({"least": 1}, "least: must be at least 2, not 1"),
        ({"least": 5}, "least: must be at most 4, not 5"),
        ({"least": 3.0}, "least: must be a whole number, not 3.0"),
        ({"least": "3"}, 'least: must be a whole number, not the text "3"'),
        ({"least": True}, "least: must be a whole number, not true"),
        ({"word": "three"}, "word: must be 'one' or 'two', not the text \"three\""),
        ({"code": "{}"}, 'code: must match ^[a-z]{2}$, not the text "{}"'),
        ({"code": None}, "code: must be text, not null"),
        ({"flag": 1}, "flag: must be true or false, not 1"),
        ({"inner": {"color": ""}}, 'inner.color: this key is not known; did you mean "colour"?'),
        (
            {"inners": [{}, {"color": ""}]},
            'inners.1.color: this key is not known; did you mean "colour"?',
        ),
        ({"leest": 3}, 'leest: this key is not known; did you mean "least"?'),
        (
            {"zzz": 3},
            "zzz: this key is not known; known: above, code, flag, inner, inners, least, word",
        ),
        ({"inners": 5}, "inners: must be a list, not 5"),
    ],
)
def test_a_fault_is_told_with_its_key_and_the_rule(written: dict[str, Any], line: str) -> None:
    assert told(**written) == [line]


def test_every_fault_is_told() -> None:
    assert len(told(above=0, least=0, zzz=0)) == 3


def test_a_misspelt_word_gets_the_nearest_known_one() -> None:
    assert nearest("showlocks", ["show_locks", "show_nodes"]) == '; did you mean "show_locks"?'


def test_a_strange_word_gets_all_that_is_known_in_order() -> None:
    assert nearest("x", ["beta", "alpha"]) == "; known: alpha, beta"
