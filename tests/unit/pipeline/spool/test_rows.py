"""The rows of a spool: totals that always agree with the table, checkpoints, runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from shipper.core.record import Stream
from shipper.pipeline.cursors import CursorUnreadable
from shipper.pipeline.spool import Checkpoint, Parcel
from shipper.pipeline.spool.database import SpoolDamaged
from shipper.pipeline.spool.rows import Rows, Totals
from tests.unit.pipeline.spool.parcels import parcel, parcels, put_ns_of

CHECKPOINT = Checkpoint("sql", ("a", 1), 123)


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return Rows(tmp_path / "m.db")


def update(rows: Rows, table: str, what: str) -> None:
    change(rows, f"UPDATE {table} SET {what}")  # noqa: S608 - our own words


def change(rows: Rows, sql: str) -> None:
    """Change the file behind its back, as damage would."""
    rows.database.close()
    with closing(sqlite3.connect(rows.database.path, isolation_level=None)) as connection:
        connection.execute(sql)


def recount(rows: Rows) -> dict[str, Totals]:
    again = Rows(rows.database.path)
    again.read_totals()
    again.database.close()
    return again.totals


def test_parcels_come_back_with_their_numbers(rows: Rows) -> None:
    kept = rows.insert("loki", parcels(0, 3), run="r")
    opened, damaged = rows.open_parcels([each.number for each in kept])

    assert (opened, damaged) == (list(kept), [])
    assert [each.number for each in kept] == [1, 2, 3]


def test_totals_agree_with_the_table_after_every_step(rows: Rows) -> None:
    kept = rows.insert("loki", parcels(0, 10), run="r")
    rows.insert("other", parcels(20, 25), run="r")
    after_insert = dict(rows.totals)
    assert after_insert == recount(rows)
    rows.delete("loki", [kept[0].number, kept[1].number, 999])
    assert rows.totals == recount(rows)
    rows.replace("loki", [kept[2].number, kept[3].number], parcel(2, lines=1))

    assert rows.totals == recount(rows)
    assert rows.totals_of("loki").lines == 13
    assert rows.lines == 23


def test_labels_count_with_the_bytes_they_take(rows: Rows) -> None:
    rows.insert("loki", [Parcel(Stream({"job": "é" * 100}, [1], [b""]), 1, 1)], run="r")

    assert rows.totals_of("loki").bytes > 250
    assert rows.totals == recount(rows)


def test_what_is_left_takes_the_place_of_the_first(rows: Rows) -> None:
    kept = rows.insert("loki", parcels(0, 4), run="r")
    rows.replace("loki", [kept[1].number, kept[2].number], parcel(77))
    heads = rows.heads("loki", at_most=10)
    opened, _ = rows.open_parcels([head.number for head in heads])

    assert put_ns_of(opened) == [0, 77, 3]


def test_totals_that_promise_too_much_are_set_right_and_told(rows: Rows) -> None:
    rows.insert("loki", parcels(0, 5), run="r")
    change(rows, "DELETE FROM parcels WHERE number < 3")

    assert rows.read_totals() == 4
    assert rows.totals_of("loki").lines == 6
    assert rows.read_totals() == 0


def test_totals_that_promise_too_little_are_set_right(rows: Rows) -> None:
    rows.insert("loki", parcels(0, 5), run="r")
    change(rows, "DELETE FROM totals")

    assert rows.read_totals() == 0
    assert rows.totals_of("loki").lines == 10


@pytest.mark.parametrize(
    "change_of",
    [
        "sink = 'loko'",
        "lines = 7",
        "put_ns = 7",
        "weight_bytes = 7",
        """labels = '{"job":"n"}'""",
        "body = 'text'",
        "body = zeroblob(20)",
        "put_ns = 'late'",
    ],
)
def test_a_parcel_of_which_anything_changed_is_damaged(rows: Rows, change_of: str) -> None:
    (kept,) = rows.insert("loki", [parcel(0)], run="r")
    update(rows, "parcels", change_of)

    assert rows.open_parcels([kept.number]) == ([], [kept.number])


def test_a_parcel_that_cannot_be_found_is_damage(rows: Rows) -> None:
    rows.insert("loki", [parcel(0)], run="r")

    with pytest.raises(SpoolDamaged, match="1 parcels cannot be found"):
        rows.open_parcels([1, 2])


@pytest.mark.parametrize("change_of", ["labels = x'00'", "weight_bytes = 'much'"])
def test_a_head_of_another_type_is_damage(rows: Rows, change_of: str) -> None:
    rows.insert("loki", [parcel(0)], run="r")
    update(rows, "parcels", change_of)

    with pytest.raises(SpoolDamaged, match="another type"):
        rows.heads("loki", at_most=10)


def test_text_that_is_no_utf8_is_damage(rows: Rows) -> None:
    rows.insert("loki", [parcel(0)], run="r")
    change(rows, "UPDATE parcels SET labels = CAST(x'ff' AS TEXT)")

    with pytest.raises(SpoolDamaged):
        rows.heads("loki", at_most=10)


def test_a_checkpoint_comes_back(rows: Rows) -> None:
    rows.set_checkpoint(CHECKPOINT)
    rows.set_checkpoint(Checkpoint("sql", ("a", 2), 124))

    assert rows.checkpoint() == Checkpoint("sql", ("a", 2), 124)


def test_a_checkpoint_can_be_forgotten(rows: Rows) -> None:
    rows.set_checkpoint(CHECKPOINT)
    rows.set_checkpoint(None)

    assert rows.checkpoint() is None


@pytest.mark.parametrize(
    "change_of",
    [
        """cursor = '[["str","a"],["int","3"]]'""",
        "kind = 'sqm'",
        "set_ns = 'now'",
        "cursor = x'00'",
    ],
)
def test_a_checkpoint_of_which_anything_changed_is_unreadable(rows: Rows, change_of: str) -> None:
    rows.set_checkpoint(CHECKPOINT)
    update(rows, "checkpoint", change_of)

    with pytest.raises(CursorUnreadable):
        rows.checkpoint()


def test_a_run_is_told_from_another(rows: Rows) -> None:
    begun = [rows.begin_run(run) for run in ("one", "one", "two")]

    assert begun == [True, False, True]


def test_keeping_notes_the_run(rows: Rows) -> None:
    rows.insert("loki", [parcel(0)], run="one")

    assert rows.begin_run("one") is False


def test_numbers_are_never_given_twice(rows: Rows) -> None:
    first = rows.insert("loki", parcels(0, 3), run="r")
    rows.delete("loki", [each.number for each in first])
    second = rows.insert("loki", parcels(3, 4), run="r")

    assert (second[0].number, rows.highest) == (4, 4)
