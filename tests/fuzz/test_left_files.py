"""Whatever stands in files of dead letters and cursors: they are listed and replayed, and nothing of them is lost."""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipper.core.record import CursorValue
from shipper.pipeline.cursors import CursorUnreadable, cursor_text, read_cursor, types_of
from shipper.pipeline.dead_letter import parse_letter, path_of
from shipper.pipeline.spool import Spool, spool_path
from shipper.pipeline.spool.frame import checksum
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.client import Client
from shipper.sinks.loki.sink import LokiSink
from shipper.wiring import cursors, dead_letters
from shipper.wiring.replay import Replay
from tests.fuzz.examples import fuzzed
from tests.support.clock import FakeClock, FakeRandom

LOG = logging.getLogger("test.fuzz")
LETTER: dict[str, Any] = {
    "time": "2026-03-01T12:00:00.000000001Z",
    "time_ns": 1772366400000000001,
    "labels": {"job": "show_locks"},
    "metadata": {"original_time": "2026-03-01T12:00:00.000000001Z"},
    "line": "a line",
    "reason": "too_old",
    "answer": "entry too far behind",
    "sink": "loki",
    "refused_at": "2026-03-01T12:00:01.000000000Z",
}
ODD_TEXT = st.text(max_size=8) | st.sampled_from(
    ["", "\x00", "\x1b[2J", "\n", "\u2028", "\ud800", "\udcff", "x" * 300_000, "=", "AAA="]
)
ODD_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**4000, -(10**30), 2**63])
    | ODD_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def letters(draw: st.DrawFn) -> bytes:
    """Return a good letter with another value or two, or one that is torn."""
    letter = dict(LETTER)
    for key in draw(st.lists(st.sampled_from([*LETTER, "line_base64"]), max_size=2)):
        letter[key] = draw(ODD_VALUES)
        if draw(st.integers(0, 4)) == 0:
            del letter[key]
    if draw(st.booleans()):
        texts = st.dictionaries(ODD_TEXT, ODD_TEXT, max_size=3)
        letter |= {"labels": draw(texts), "metadata": draw(texts), "line": draw(ODD_TEXT)}
    if draw(st.integers(0, 3)) == 0:
        letter["line_base64"] = base64.b64encode(draw(st.binary(max_size=9))).decode()
        letter.pop("line", None)
    content = json.dumps(letter).encode()
    return (
        content[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 5)) == 0 else content
    )


FILES = st.lists(letters() | st.binary(max_size=50), max_size=8).map(b"\n".join)
"""Lines as they stand in a file; some are none of ours."""


class TakingClient(Client):
    """Answers requests as it was told, without anybody to send them to."""

    def __init__(self, statuses: Sequence[int]) -> None:
        self._statuses = list(statuses)

    def request(self, method: str, path: str, **_: Any) -> Answer:
        return Answer(self._statuses.pop() if self._statuses else 204)

    def close(self) -> None:
        """There is nothing to close."""


def read_lines(path: Path) -> list[bytes]:
    content = path.read_bytes() if path.exists() else b""
    return [line for line in content.split(b"\n") if line.strip()]


@fuzzed()
@given(content=FILES, replaying=FILES, newest_records=st.integers(0, 5))
def test_dead_letters_are_listed(content: bytes, replaying: bytes, newest_records: int) -> None:
    with TemporaryDirectory() as folder:
        path = path_of(Path(folder), "m")
        path.parent.mkdir()
        path.write_bytes(content)
        path.with_name("m.replaying.jsonl").write_bytes(replaying)
        found = dead_letters.survey(Path(folder), None, newest_records=newest_records)
        shown = list(dead_letters.as_text(found))

        lines = [
            line for each in (content, replaying) for line in each.split(b"\n") if line.strip()
        ]
        counted = sum(group.records for group in found.groups.values()) + found.unreadable.total()
        assert counted == len(lines)
        assert all(text.isprintable() for text in shown)
        assert json.loads(dead_letters.as_json(found))["unreadable"] == found.unreadable


@fuzzed()
@given(
    content=FILES,
    replaying=FILES,
    restamp=st.booleans(),
    reason=st.sampled_from([None, "too_old"]),
    statuses=st.lists(st.sampled_from([204, 400, 413, 260, 429, 500, 404]), max_size=6),
    encoding=st.sampled_from(["protobuf", "json"]),
)
def test_a_replay_sends_what_can_be_read_and_keeps_the_rest(
    content: bytes,
    replaying: bytes,
    restamp: bool,
    reason: str | None,
    statuses: list[int],
    encoding: Any,
) -> None:
    with TemporaryDirectory() as folder:
        path = path_of(Path(folder), "m")
        path.parent.mkdir()
        path.write_bytes(content)
        path.with_name("m.replaying.jsonl").write_bytes(replaying)
        lines = read_lines(path) + read_lines(path.with_name("m.replaying.jsonl"))
        clock = FakeClock()
        again = Replay(
            LokiSink(TakingClient(statuses), encoding=encoding, max_batch_bytes=10**6),
            clock,
            lambda _text: None,
            reason=reason,
            restamp=restamp,
            random=FakeRandom(),
            sleep=clock.pass_seconds,
        )
        again.replay_files([path])

        unreadable = sorted(line for line in lines if parse_letter(line) is None)
        left = read_lines(path)
        assert sorted(line for line in left if parse_letter(line) is None) == unreadable
        assert len(left) == len(lines) - again.sent
        assert again.left == 0


KINDS = ("bool", "int", "float", "Decimal", "str", "bytes", "datetime", "date", "time", "UUID")
CURSOR_TEXTS = st.one_of(
    st.text(max_size=30),
    ODD_VALUES.map(json.dumps),
    st.lists(st.tuples(st.sampled_from(KINDS) | ODD_TEXT, ODD_VALUES), max_size=3).map(json.dumps),
    st.just("[" * 100_000),
)


@fuzzed(2)
@given(text=CURSOR_TEXTS)
@example('[["int","' + "9" * 5000 + '"]]')
@example('[["Decimal","1e999999999"],["datetime","2026-11-22T04:00:00+99:00"]]')
def test_a_cursor_is_read_with_its_types_or_is_unreadable(text: str) -> None:
    try:
        cursor = read_cursor(text)
    except CursorUnreadable:
        return

    assert all(isinstance(value, get_args(CursorValue)) for value in cursor)
    assert types_of(read_cursor(cursor_text(cursor))) == types_of(cursor)


@pytest.fixture(scope="module")
def empty_spool() -> Iterator[bytes]:
    with TemporaryDirectory() as folder:
        spool = open_spool(Path(folder))
        spool.set_checkpoint("sql", (1,))
        spool.close()
        yield spool.path.read_bytes()


def open_spool(state_dir: Path) -> Spool:
    path = spool_path(state_dir, "m")
    return Spool(path, clock=FakeClock(), log=LOG, damaged=lambda _lines: None)


SQL_VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=9),
    st.text(st.characters(codec="utf-8"), max_size=9),
)


@fuzzed()
@given(
    kind=st.text(st.characters(codec="utf-8"), max_size=9) | SQL_VALUES,
    text=CURSOR_TEXTS.filter(lambda text: text.isascii()) | SQL_VALUES,
    set_ns=st.integers(-(2**63), 2**63 - 1) | SQL_VALUES,
    whole=st.booleans(),
)
def test_a_checkpoint_is_read_or_forgotten(
    empty_spool: bytes, kind: Any, text: Any, set_ns: Any, whole: bool
) -> None:
    LOG.setLevel(logging.CRITICAL)
    with TemporaryDirectory() as folder:
        path = spool_path(Path(folder), "m")
        path.parent.mkdir()
        path.write_bytes(empty_spool)
        with closing(sqlite3.connect(path)) as connection:
            row = (kind, text, set_ns, checksum(b"", kind, text, set_ns) if whole else 5)
            connection.execute("PRAGMA ignore_check_constraints=ON")
            try:
                connection.execute(
                    "UPDATE checkpoint SET kind=?, cursor=?, set_ns=?, checksum=?", row
                )
                connection.commit()
            except sqlite3.IntegrityError:
                return
        check_places(Path(folder))
        spool = open_spool(Path(folder))
        found = spool.checkpoint()

        assert found is None or (whole and found.set_ns == set_ns)
        assert spool.set_checkpoint("sql", (2,))
        assert open_spool(Path(folder)).checkpoint() is not None
        spool.close()


def check_places(state_dir: Path) -> None:
    """See that the cursors can be shown, whatever they are."""
    places = cursors.survey(state_dir)
    assert [place.metric for place in places] == ["m"]
    assert len(list(cursors.as_text(places))) == 1
    assert json.loads(cursors.as_json(places))


@fuzzed()
@given(
    content=st.binary(max_size=200),
    place=st.integers(0, 2**15),
    log=st.none() | st.binary(max_size=100),
)
def test_cursors_are_shown_whatever_the_file_is(
    empty_spool: bytes, content: bytes, place: int, log: bytes | None
) -> None:
    with TemporaryDirectory() as folder:
        path = spool_path(Path(folder), "m")
        path.parent.mkdir()
        path.write_bytes(empty_spool[:place] + content + empty_spool[place + len(content) :])
        if log is not None:
            path.with_name("m.db-wal").write_bytes(log)
        places = cursors.survey(Path(folder))

        assert list(cursors.as_text(places))
        assert json.loads(cursors.as_json(places))
