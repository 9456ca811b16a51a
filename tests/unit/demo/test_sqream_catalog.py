"""How a statement names a function."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shipper.demo.sqream.catalog import (
    Caller,
    Catalog,
    StatementRefused,
    function_in,
    served,
    served_to_caller,
)
from shipper.demo.sqream.columns import Column, WireType

CALLER = Caller(1, 1, "127.0.0.1", "sqream", "master", "monitor", "select t()")
COLUMNS = [Column("x", WireType.INT)]


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        pytest.param("select show_locks()", "show_locks", id="plain"),
        pytest.param("  SELECT\nShow_Locks ( ) ; ", "show_locks", id="any case and blanks"),
        pytest.param("select health('a;b', 'it''s')", "health", id="literals may hold anything"),
        pytest.param("select 1", "1", id="select 1"),
    ],
)
def test_the_function_is_found_in_the_statement(sql: str, name: str) -> None:
    assert function_in(sql) == name


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        pytest.param("select a(); select b()", "expected one statement, got 2", id="two"),
        pytest.param(" ; ", "expected one statement, got 0", id="none"),
        pytest.param("drop table t", "runs nothing but", id="not a call"),
    ],
)
def test_a_statement_that_is_not_one_call_is_refused(sql: str, text: str) -> None:
    with pytest.raises(StatementRefused, match=text):
        function_in(sql)


def test_an_unknown_function_is_refused_with_the_servers_words() -> None:
    with pytest.raises(StatementRefused, match=r"^Could not find function nope in catalog\.$"):
        Catalog([]).find("nope")


def test_rows_given_as_a_list_are_packed_once() -> None:
    function = served("t", COLUMNS, [(1,)])

    assert function.answer(CALLER) is function.answer(CALLER)


def test_a_callable_is_asked_for_rows_at_each_execution() -> None:
    answers = iter([[(1,)], [(2,)]])
    function = served("t", COLUMNS, lambda: next(answers))

    assert [function.answer(CALLER).rows for _ in range(2)] == [[(1,)], [(2,)]]


def test_rows_may_depend_on_the_session_that_asks() -> None:
    function = served_to_caller("T", COLUMNS, lambda caller: [(caller.connection_id,)])
    other = replace(CALLER, connection_id=2)

    assert [function.answer(each).rows for each in (CALLER, other)] == [[(1,)], [(2,)]]


def test_a_function_added_later_takes_the_place_of_the_earlier() -> None:
    catalog = Catalog([served("t", COLUMNS, [(1,)])])
    catalog.add(served("T", COLUMNS, [(2,)]))

    assert catalog.find("t").answer(CALLER).rows == [(2,)]
