"""`cursor list|set|reset` from end to end: what they print, what they refuse, and what a worker finds afterwards."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipper.core.record import Cursor
from shipper.pipeline.spool import Spool, spool_path
from shipper.startup.surroundings import claim_state_dir
from tests.support.clock import FakeClock
from tests.support.shipper_process import ROOT, Ended, command, write_config

METRIC = "show_locks"
TABLE = {"type": "sql", "url": {"file": "/missing"}, "table": "t", "cursor": ["at", "id"]}
MOMENT = datetime(2026, 11, 22, 4, tzinfo=UTC)
SET_AT = "2023-11-14T22:13:20.000000000Z"


class Place:
    """A state directory and a configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.config = write_config(
            folder, {METRIC: TABLE, "show_conf": TABLE, "show_cluster_nodes": 5}
        )

    def spool(self, metric: str = METRIC) -> Spool:
        return Spool(
            spool_path(self.state_dir, metric),
            clock=FakeClock(),
            log=logging.getLogger("test"),
            damaged=lambda _lines: None,
        )

    def remember(self, cursor: Cursor, *, metric: str = METRIC, kind: str = "sql") -> None:
        spool = self.spool(metric)
        assert spool.set_checkpoint(kind, cursor)
        spool.close()

    def remembered(self) -> tuple[str, Cursor] | None:
        spool = self.spool()
        checkpoint = spool.checkpoint()
        spool.close()
        return None if checkpoint is None else (checkpoint.kind, checkpoint.cursor)

    def cursor(self, *words: str, config: Path | None = None) -> Ended:
        flags = ["--state_dir", str(self.state_dir)]
        if words[0] != "list":
            flags += ["--config", str(config or self.config)]
        name, *rest = words
        return command(["cursor", name, *flags, *rest], self.folder / "out")

    def files(self) -> dict[str, bytes]:
        return {
            str(path): path.read_bytes() for path in self.state_dir.rglob("*") if path.is_file()
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# list


def test_a_state_directory_that_is_missing_is_told_and_not_made(place: Place) -> None:
    ended = place.cursor("list")

    assert (ended.exit_code, ended.stdout) == (3, "")
    assert f"there is no state directory {place.state_dir}" in ended.stderr
    assert not place.state_dir.exists()


def test_a_state_directory_without_cursors_is_no_failure(place: Place) -> None:
    claim_state_dir(place.state_dir).release()

    assert place.cursor("list") == Ended(0, "No cursors.\n", "")


def test_every_cursor_is_listed_with_kind_types_and_time(place: Place) -> None:
    place.remember((MOMENT, 17))
    place.remember(("é, x", b"\x00"), metric="zz", kind="archive")
    before = place.files()
    ended = place.cursor("list")

    assert ended == Ended(
        0,
        f"{METRIC}: sql, datetime 2026-11-22T04:00:00+00:00, int 17; set at {SET_AT}\n"
        f'zz: archive, str "é, x", bytes AA==; set at {SET_AT}\n',
        "",
    )
    assert place.files() == before


def test_machines_get_json(place: Place) -> None:
    place.remember((MOMENT, 17))
    ended = place.cursor("list", "--json")

    assert json.loads(ended.stdout) == {
        "cursors": [
            {
                "metric": METRIC,
                "kind": "sql",
                "types": ["datetime", "int"],
                "values": ["2026-11-22T04:00:00+00:00", "17"],
                "set_at": SET_AT,
            }
        ],
        "unreadable": [],
    }


def test_cursors_are_listed_while_shipper_runs(place: Place) -> None:
    claimed = claim_state_dir(place.state_dir)
    spool = place.spool()
    spool.set_checkpoint("sql", (17,))
    before = place.files()
    ended = place.cursor("list")
    after = place.files()
    spool.close()
    claimed.release()

    assert ended == Ended(0, f"{METRIC}: sql, int 17; set at {SET_AT}\n", "")
    assert set(after) == set(before)


def test_a_cursor_that_cannot_be_read_does_not_hide_the_others(place: Place) -> None:
    place.remember((17,))
    place.remember((18,), metric="zz")
    spool_path(place.state_dir, "aa").write_text("no database" * 1000)
    with closing(sqlite3.connect(spool_path(place.state_dir, METRIC), isolation_level=None)) as it:
        it.execute("UPDATE checkpoint SET cursor = 'x'")
    text, as_json = place.cursor("list"), json.loads(place.cursor("list", "--json").stdout)

    assert text.exit_code == 0
    assert [line.split(":")[0] for line in text.stdout.splitlines()] == ["aa", METRIC, "zz"]
    assert text.stdout.count("a cursor that cannot be read") == 2
    assert [each["metric"] for each in as_json["unreadable"]] == ["aa", METRIC]
    assert [each["metric"] for each in as_json["cursors"]] == ["zz"]


def test_a_spool_folder_that_is_none_is_one_clear_line(place: Place) -> None:
    place.state_dir.mkdir()
    (place.state_dir / "spool").write_text("a file")
    ended = place.cursor("list")

    assert ended.exit_code == 3
    assert ended.stderr == f"shipper: {place.state_dir}/spool cannot be read: Not a directory\n"


# set


def test_a_first_cursor_is_guessed_and_has_the_kind_of_the_entry(place: Place) -> None:
    ended = place.cursor("set", METRIC, "2026-11-22T04:00:00+00:00", "17")

    assert ended.exit_code == 0
    assert ended.stdout.splitlines()[0] == f"{METRIC} was: no cursor"
    assert ended.stdout.splitlines()[1].startswith(
        f"{METRIC} is now: sql, datetime 2026-11-22T04:00:00+00:00, int 17; set at 20"
    )
    assert place.remembered() == ("sql", (MOMENT, 17))


def test_a_first_cursor_has_the_types_that_are_asked_for(place: Place) -> None:
    ended = place.cursor("set", METRIC, "--types", "str, float", "--", "17", "-1")

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert place.remembered() == ("sql", ("17", -1.0))


def test_a_cursor_keeps_the_types_it_had(place: Place) -> None:
    place.remember(("5",))
    ended = place.cursor("set", METRIC, "17")

    assert f'{METRIC} was: sql, str "5"; set at {SET_AT}\n' in ended.stdout
    assert place.remembered() == ("sql", ("17",))


def test_the_cursor_of_another_kind_of_source_is_no_model(place: Place) -> None:
    place.remember(("a", "b"), kind="archive")
    ended = place.cursor("set", METRIC, "17")

    assert ended.exit_code == 0
    assert place.remembered() == ("sql", (17,))


def test_a_cursor_that_cannot_be_read_can_be_replaced(place: Place) -> None:
    place.remember((5,))
    with closing(sqlite3.connect(spool_path(place.state_dir, METRIC), isolation_level=None)) as it:
        it.execute("UPDATE checkpoint SET cursor = 'x'")
    ended = place.cursor("set", METRIC, "17")

    assert "was: a cursor that cannot be read" in ended.stdout
    assert place.remembered() == ("sql", (17,))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([METRIC, "x"], "cursor set: 'x' is no int"),
        ([METRIC, "1", "2"], "cursor set: 1 values are wanted (int), not 2"),
        (
            [METRIC, "1", "--types", "str"],
            f"--types: the cursor of {METRIC} has the types int; for others, reset it first",
        ),
        ([METRIC, "1", "--kind", "sqk"], "--kind: sqk is not a kind of source; did you mean"),
        ([METRIC, "1", "--kind", "udp"], "--kind: a source of kind udp has no cursor"),
        (
            ["show_cluster_nodes", "1"],
            "show_cluster_nodes has no cursor: its entry, of type sqream, needs none",
        ),
        (["show_lock", "1"], f'there is no metric show_lock; did you mean "{METRIC}"?'),
        (["show_conf", "1", "--types", "integer"], "cursor set: integer is no type; the types are"),
    ],
    ids=["type", "count", "other types", "kind", "kind without", "none", "metric", "no type"],
)
def test_what_cannot_be_set_is_one_clear_line(
    place: Place, words: list[str], complaint: str
) -> None:
    place.remember((5,))
    ended = place.cursor("set", *words)

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert complaint in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert place.remembered() == ("sql", (5,))


@pytest.mark.parametrize("words", [["set", METRIC, "17"], ["reset", METRIC]], ids=["set", "reset"])
def test_while_shipper_runs_nothing_is_changed(place: Place, words: list[str]) -> None:
    place.remember((5,))
    claimed = claim_state_dir(place.state_dir)
    ended = place.cursor(*words)
    claimed.release()

    assert (ended.exit_code, ended.stdout) == (3, "")
    assert ended.stderr == (
        f"shipper: another Shipper (pid {os.getpid()}) runs on {place.state_dir}\n"
    )
    assert place.remembered() == ("sql", (5,))


def test_while_a_worker_is_left_nothing_is_changed(place: Place) -> None:
    place.remember((5,))
    program = f"""
import sys
from pathlib import Path
from shipper.pipeline.spool import claim_spool
claim_spool(Path({str(spool_path(place.state_dir, METRIC))!r}), wait_seconds=0)
print(flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        ended = place.cursor("set", METRIC, "17")

    assert ended.exit_code == 3
    assert "another process works on" in ended.stderr
    assert place.remembered() == ("sql", (5,))


def test_a_damaged_spool_is_left_to_a_run(place: Place) -> None:
    path = spool_path(place.state_dir, METRIC)
    path.parent.mkdir(parents=True)
    path.write_text("no database" * 1000)
    ended = place.cursor("set", METRIC, "17")

    assert ended.exit_code == 3
    assert "is damaged" in ended.stderr
    assert ended.stderr.count("\n") == 1


# reset


def test_a_cursor_is_forgotten(place: Place) -> None:
    place.remember((MOMENT, 17))
    ended = place.cursor("reset", METRIC)

    assert ended == Ended(
        0,
        f"{METRIC} was: sql, datetime 2026-11-22T04:00:00+00:00, int 17; set at {SET_AT}\n"
        f"{METRIC} has no cursor any more; the next start begins as its entry says.\n",
        "",
    )
    assert place.remembered() is None


def test_a_metric_without_a_cursor_says_so_and_nothing_is_made(place: Place) -> None:
    assert place.cursor("reset", METRIC) == Ended(0, f"{METRIC} has no cursor.\n", "")
    assert not place.state_dir.exists()


def test_an_unknown_metric_is_told_with_the_nearest(place: Place) -> None:
    ended = place.cursor("reset", "show_lock")

    assert (ended.exit_code, ended.stdout) == (2, "")
    assert f'there is no metric show_lock; did you mean "{METRIC}"?' in ended.stderr


def test_the_cursor_of_a_metric_that_is_gone_is_forgotten_without_a_configuration(
    place: Place,
) -> None:
    place.remember((5,))
    ended = place.cursor("reset", METRIC, config=place.folder / "missing.json")

    assert ended.exit_code == 0
    assert place.remembered() is None
