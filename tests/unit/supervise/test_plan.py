"""What a new list of plans makes of the old one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.supervise.plan import Replan, WorkerPlan, replan


def work(*_arguments: Any) -> None:
    """Never called."""


def plan(name: str, says: str = "x", moment: float = 0.0) -> WorkerPlan:
    return WorkerPlan(name, work, (says, moment), fingerprint=says)


def web(says: str) -> WorkerPlan:
    return WorkerPlan("web", work, (says,), attendant=True, fingerprint=says, news=says)


def fates(change: Replan) -> dict[str, str]:
    kinds = ("added", "removed", "changed", "revived", "told", "unchanged")
    return {name: kind for kind in kinds for name in getattr(change, kind)}


@pytest.mark.parametrize(
    ("old", "new", "given_up", "fate"),
    [
        pytest.param([], [plan("a")], [], "added", id="only in the new"),
        pytest.param([plan("a")], [], [], "removed", id="only in the old"),
        pytest.param([plan("a")], [plan("a")], [], "unchanged", id="says the same"),
        pytest.param([plan("a")], [plan("a", "y")], [], "changed", id="says something else"),
        pytest.param([plan("a")], [plan("a", moment=7)], [], "unchanged", id="made later"),
        pytest.param([plan("a")], [plan("a")], ["a"], "revived", id="given up, says the same"),
        pytest.param([plan("a")], [plan("a", "y")], ["a"], "changed", id="given up, changed"),
        pytest.param([plan("a")], [], ["a"], "removed", id="given up, removed"),
    ],
)
def test_old_and_new_plan_say_what_to_do(
    old: list[WorkerPlan], new: list[WorkerPlan], given_up: list[str], fate: str
) -> None:
    assert fates(replan(old, new, given_up=given_up)) == {"a": fate}


@pytest.mark.parametrize(("says", "fate"), [("x", "unchanged"), ("y", "told")])
def test_one_that_can_take_news_is_told_instead_of_restarted(says: str, fate: str) -> None:
    assert fates(replan([web("x")], [web(says)])) == {"web": fate}


def test_one_that_can_take_news_but_was_given_up_is_restarted() -> None:
    assert fates(replan([web("x")], [web("y")], given_up=["web"])) == {"web": "changed"}


def test_what_did_not_change_keeps_its_old_plan_and_the_rest_gets_the_new_one() -> None:
    old = [plan("a", moment=1), plan("b", moment=1), plan("c", moment=1)]
    new = [plan("c", moment=2), plan("b", "y", moment=2), plan("a", moment=2)]
    change = replan(old, new, given_up=["c"])

    assert change.plans == (new[0], new[1], old[0])


@given(
    old=st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz")),
    new=st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz")),
    given_up=st.sets(st.sampled_from("abcdef")),
)
def test_every_name_has_one_fate_and_the_plans_say_what_was_wanted(
    old: dict[str, str], new: dict[str, str], given_up: set[str]
) -> None:
    change = replan(
        [plan(*each) for each in old.items()],
        [plan(*each) for each in new.items()],
        given_up=given_up,
    )
    kinds = (change.added, change.removed, change.changed, change.revived, change.unchanged)

    assert sorted(name for names in kinds for name in names) == sorted({*old, *new})
    assert {each.name: each.fingerprint for each in change.plans} == new


def test_the_summary_names_what_happens_and_counts_what_stays() -> None:
    old = [plan(name) for name in "bcdefg"]
    new = [plan("a"), plan("c", "y"), *(plan(name) for name in "defg"), plan("h")]
    change = replan([*old, web("x")], [*new, web("y")], given_up=["d"])

    assert change.summary() == (
        "2 added (a, h), 1 removed (b), 1 changed (c), 1 tried once more (d), 3 unchanged"
    )


def test_the_summary_of_no_change_is_short() -> None:
    assert replan([plan("a"), web("x")], [plan("a"), web("x")]).summary() == "1 unchanged"
