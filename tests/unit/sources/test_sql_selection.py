"""The SQL that is sent, for every kind of database."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import URL
from sqlalchemy.sql import ClauseElement

from shipper.sources.sql.selection import Selection, parameters

EVENTS = Selection(query=None, table="events", cursor=("at", "id"))


def written(statement: ClauseElement, driver: str = "postgresql+psycopg") -> str:
    """Return SQL on one line."""
    dialect = URL.create(driver).get_dialect()()
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    return " ".join(str(compiled).split())


def test_rows_are_compared_where_that_uses_the_index() -> None:
    assert written(EVENTS.following_page(5, compares_rows=True)) == (
        'SELECT * FROM "events" WHERE "at" IS NOT NULL AND "id" IS NOT NULL '
        'AND ("at", "id") > (%(place_0)s, %(place_1)s) ORDER BY "at", "id" LIMIT %(param_1)s::INTEGER'
    )


def test_columns_are_compared_one_by_one_elsewhere() -> None:
    assert written(EVENTS.following_page(5, compares_rows=False), "mysql+pymysql") == (
        "SELECT * FROM `events` WHERE `at` IS NOT NULL AND `id` IS NOT NULL "
        "AND (`at` > %s OR `at` = %s AND `id` > %s) ORDER BY `at`, `id` LIMIT %s"
    )


@pytest.mark.parametrize("compares_rows", [True, False])
def test_one_column_is_compared_as_it_is(compares_rows: bool) -> None:
    one = Selection(query=None, table="events", cursor=("id",))
    sql = written(one.following_page(5, compares_rows=compares_rows))

    assert '"id" > %(place_0)s ORDER BY' in sql


def test_the_first_page_is_behind_nothing() -> None:
    assert ">" not in written(EVENTS.first_page(5))


def test_a_query_becomes_a_subquery_and_a_comment_at_its_end_ends_there() -> None:
    query = Selection(query=" SELECT 1 AS id -- one;\n;", table=None, cursor=("id",))
    statement = str(query.first_page(5))

    assert "(\nSELECT 1 AS id -- one;\n\n) AS q" in statement


def test_without_a_cursor_a_query_is_sent_as_it_is() -> None:
    query = Selection(query="SHOW ':a' LIKE '%x' ::text \\:b;", table=None, cursor=())

    assert written(query.whole(), "sqlite+pysqlite") == "SHOW ':a' LIKE '%x' ::text \\:b"


def test_per_cents_are_doubled_for_drivers_that_format() -> None:
    query = Selection(query="SELECT '%s'", table=None, cursor=())

    assert written(query.whole()) == "SELECT '%%s'"


def test_names_are_quoted_by_sqlalchemy() -> None:
    odd = Selection(query=None, table='my sch.ta"ble', cursor=("se lect",))

    assert written(odd.first_page(1)).startswith(
        'SELECT * FROM "my sch"."ta""ble" WHERE "se lect" IS'
    )


def test_a_place_is_named_by_its_parameters() -> None:
    assert parameters(("a", 1)) == {"place_0": "a", "place_1": 1}
