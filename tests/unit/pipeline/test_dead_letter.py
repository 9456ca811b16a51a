"""Dead letters: what is written of a refused record, what a full or failing disk does, what readers make of it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.pipeline import dead_letter
from shipper.pipeline.dead_letter import (
    DeadLetter,
    DeadLetters,
    append,
    metrics_in,
    parse_letter,
    path_of,
    read_letters,
    replaying,
    rfc3339,
    take_over,
    write_letter,
)
from tests.support.clock import FakeClock

TIME_NS = 1_700_000_000_000_000_001
STREAM = Stream(
    {"job": "show_locks"}, range(TIME_NS, TIME_NS + 3), [b"zero", "één".encode(), b"two"]
)
TOO_OLD = Rejection(1, "too_old", "entry too far behind")
LETTER = DeadLetter(1, b"line", {"job": "m"}, {"trace": "7"}, "too_old", "said", "loki", "now")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return path_of(tmp_path, "show_locks")


def letters_at(path: Path, *, max_bytes: int = 10**6) -> DeadLetters:
    return DeadLetters(path, max_bytes=max_bytes, clock=FakeClock())


def read(path: Path) -> list[DeadLetter | None]:
    return [letter for _, letter in read_letters(path)]


def lines_in(path: Path) -> list[bytes]:
    return [letter.line for letter in read(path) if letter is not None]


# what is written


def test_a_refused_record_is_written_with_everything_that_is_known_of_it(path: Path) -> None:
    kept = letters_at(path).add(STREAM, [TOO_OLD], sink="loki")

    assert kept == 1
    assert path.read_bytes().endswith(b"\n")
    assert json.loads(path.read_bytes()) == {
        "time": "2023-11-14T22:13:20.000000002Z",
        "time_ns": TIME_NS + 1,
        "labels": {"job": "show_locks"},
        "metadata": {},
        "line": "één",
        "reason": "too_old",
        "answer": "entry too far behind",
        "sink": "loki",
        "refused_at": "2023-11-14T22:13:20.000000000Z",
    }


def test_text_stands_in_the_file_as_people_read_it(path: Path) -> None:
    letters_at(path).add(STREAM, [TOO_OLD], sink="loki")

    assert "één".encode() in path.read_bytes()


def test_structured_metadata_goes_along(path: Path) -> None:
    stream = Stream({}, [1, 2], [b"a", b"b"], [{"trace": "1"}, {"trace": "2"}])
    letters_at(path).add(stream, [TOO_OLD], sink="loki")
    (letter,) = read(path)

    assert letter is not None
    assert letter.metadata == {"trace": "2"}


def test_what_comes_later_is_added(path: Path) -> None:
    letters = letters_at(path)
    letters.add(STREAM, [Rejection(0, "too_old")], sink="loki")
    letters.add(STREAM, [Rejection(2, "too_new")], sink="loki")

    assert lines_in(path) == [b"zero", b"two"]


def test_nothing_refused_makes_no_file(path: Path) -> None:
    assert letters_at(path).add(STREAM, [], sink="loki") == 0
    assert not path.parent.exists()


def test_folder_and_file_are_for_us_alone(path: Path) -> None:
    letters_at(path).add(STREAM, [TOO_OLD], sink="loki")

    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_call_is_one_write_and_is_durable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def noted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            calls.append(name)
            return real(*given)

        return call

    monkeypatch.setattr(os, "write", noted("write", os.write))
    monkeypatch.setattr(os, "fsync", noted("fsync", os.fsync))
    letters = letters_at(path)
    letters.add(STREAM, [TOO_OLD], sink="loki")
    calls.clear()
    letters.add(STREAM, [Rejection(index, "too_old") for index in range(3)], sink="loki")

    assert calls == ["write", "fsync"]


# the bound


def test_what_does_not_fit_is_not_written_and_told(path: Path) -> None:
    room_bytes = len(_written(b"zero")) + len(_written(b"two"))
    letters = letters_at(path, max_bytes=room_bytes)
    rejections = [Rejection(0, "too_old"), Rejection(2, "too_old"), Rejection(1, "too_old")]
    kept = letters.add(STREAM, rejections, sink="loki")

    assert kept == 2
    assert lines_in(path) == [b"zero", b"two"]
    assert letters.add(STREAM, [TOO_OLD], sink="loki") == 0


def test_what_a_replay_has_taken_over_counts(path: Path) -> None:
    letters = letters_at(path, max_bytes=len(_written(b"zero")) + 50)
    letters.add(STREAM, [Rejection(0, "too_old")], sink="loki")
    take_over(path)

    assert letters.add(STREAM, [Rejection(0, "too_old")], sink="loki") == 0


def _written(line: bytes) -> bytes:
    refused_at = rfc3339(FakeClock().now_ns())
    letter = DeadLetter(TIME_NS, line, {"job": "show_locks"}, {}, "too_old", "", "loki", refused_at)
    return write_letter(letter)


# torn and foreign lines


def test_after_a_torn_line_the_next_begins_afresh(path: Path) -> None:
    letters = letters_at(path)
    letters.add(STREAM, [Rejection(0, "too_old")], sink="loki")
    path.write_bytes(path.read_bytes()[:-9])
    letters.add(STREAM, [Rejection(2, "too_old")], sink="loki")
    torn, whole = read(path)

    assert torn is None
    assert whole is not None
    assert whole.line == b"two"


def _changed(**changes: object) -> bytes:
    return json.dumps({**json.loads(write_letter(LETTER)), **changes}).encode()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"hello", id="no JSON"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{}", id="nothing in it"),
        pytest.param(b"[" * 100_000, id="deeper than JSON is read"),
        pytest.param(_changed(time_ns="1"), id="a time that is text"),
        pytest.param(_changed(time_ns=True), id="a time that is a truth"),
        pytest.param(_changed(labels=["job"]), id="labels that are a list"),
        pytest.param(_changed(metadata={"a": 1}), id="metadata that is a number"),
        pytest.param(_changed(line=None), id="no line"),
        pytest.param(_changed(line="\udc80"), id="half a surrogate pair"),
    ],
)
def test_a_foreign_line_is_passed_over(path: Path, line: bytes) -> None:
    append(path, [line + b"\n", write_letter(LETTER)])

    assert read(path) == [None, LETTER]


def test_a_file_that_is_missing_is_empty(path: Path) -> None:
    assert read(path) == []


TEXTS = st.text(st.characters(exclude_categories=[]))


@given(
    line=st.binary(),
    value=TEXTS,
    name=st.text(),
    time_ns=st.integers(-(2**70), 2**70),
    answer=st.text(),
)
def test_every_record_comes_back_as_it_was(
    line: bytes, value: str, name: str, time_ns: int, answer: str
) -> None:
    letter = DeadLetter(time_ns, line, {name: "x"}, {name: value}, "r", answer, "loki", "now")
    written = write_letter(letter)
    back = parse_letter(written)

    assert written.count(b"\n") == 1
    assert back is not None
    # Two halves of a surrogate pair that stand side by side come back as the character they make.
    assert _whole(back.metadata[name]) == _whole(value)
    assert back == DeadLetter(time_ns, line, {name: "x"}, back.metadata, "r", answer, "loki", "now")


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@pytest.mark.parametrize(
    ("time_ns", "written"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (TIME_NS, "2023-11-14T22:13:20.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (-62_135_596_800 * 10**9, "0001-01-01T00:00:00.000000000Z"),
        (2**70, "1180591620717411303424 ns after 1970"),
    ],
)
def test_a_time_is_written_with_all_its_digits(time_ns: int, written: str) -> None:
    assert rfc3339(time_ns) == written


# a disk that fails


def failing_after(calls: int, real: Callable[..., Any], code: int) -> Callable[..., Any]:
    left = [calls]

    def maybe(*given: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(code, os.strerror(code))
        return real(*given)

    return maybe


def test_a_disk_that_is_full_is_told_and_keeps_nothing_of_the_call(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = letters_at(path)
    letters.add(STREAM, [Rejection(0, "too_old")], sink="loki")
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, content: real(file, content[:40]))
        with pytest.raises(OSError, match="No space left"):
            letters.add(STREAM, [TOO_OLD], sink="loki")
    letters.add(STREAM, [TOO_OLD], sink="loki")

    assert read(path).count(None) == 0
    assert lines_in(path) == [b"zero", "één".encode()]


@pytest.mark.parametrize("earlier", [False, True], ids=["first call", "later call"])
def test_what_is_not_durable_is_taken_back(
    path: Path, monkeypatch: pytest.MonkeyPatch, earlier: bool
) -> None:
    letters = letters_at(path)
    if earlier:
        letters.add(STREAM, [Rejection(0, "too_old")], sink="loki")
    size_bytes = path.stat().st_size if earlier else 0
    monkeypatch.setattr(os, "fsync", failing_after(0, os.fsync, errno.EIO))

    with pytest.raises(OSError, match="Input/output error"):
        letters.add(STREAM, [TOO_OLD], sink="loki")
    assert path.stat().st_size == size_bytes


def test_a_folder_that_cannot_be_made_durable_takes_the_first_letter_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing_after(1, os.fsync, errno.EIO))

    with pytest.raises(OSError, match="Input/output error"):
        letters_at(path).add(STREAM, [TOO_OLD], sink="loki")
    assert path.stat().st_size == 0


def test_a_lock_that_is_never_let_go_of_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(time, "sleep", paused.append)
    append(path, [write_letter(LETTER)])
    frozen = os.open(path, os.O_RDWR)
    fcntl.flock(frozen, fcntl.LOCK_EX)

    with pytest.raises(BlockingIOError):
        letters_at(path).add(STREAM, [TOO_OLD], sink="loki")
    os.close(frozen)
    assert sum(paused) < 5
    assert read(path) == [LETTER]


# taking over


def test_a_replay_takes_the_file_over_and_additions_go_to_a_new_one(path: Path) -> None:
    append(path, [write_letter(LETTER)])
    taken = take_over(path)
    letters_at(path).add(STREAM, [TOO_OLD], sink="loki")

    assert taken == replaying(path)
    assert read(taken) == [LETTER]
    assert lines_in(path) == ["één".encode()]


def test_what_a_killed_replay_left_is_taken_up_again_with_what_came_since(path: Path) -> None:
    append(path, [write_letter(LETTER)])
    take_over(path)
    letters_at(path).add(STREAM, [TOO_OLD], sink="loki")
    taken = take_over(path)

    assert taken is not None
    assert lines_in(taken) == [b"line", "één".encode()]
    assert not path.exists()


def test_what_was_left_is_taken_up_when_nothing_came_since(path: Path) -> None:
    append(path, [write_letter(LETTER)])

    assert take_over(path) == take_over(path) == replaying(path)


def test_there_may_be_nothing_to_take_over(path: Path) -> None:
    assert take_over(path) is None


def test_a_file_that_is_taken_over_while_it_is_opened_gets_nothing_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(path, [write_letter(LETTER)])
    real = dead_letter._lock

    def lock_too_late(file: int) -> None:
        monkeypatch.setattr(dead_letter, "_lock", real)
        path.rename(replaying(path))
        real(file)

    monkeypatch.setattr(dead_letter, "_lock", lock_too_late)
    letters_at(path).add(STREAM, [TOO_OLD], sink="loki")

    assert read(replaying(path)) == [LETTER]
    assert lines_in(path) == ["één".encode()]


def test_metrics_are_found_by_their_files(tmp_path: Path) -> None:
    append(path_of(tmp_path, "b"), [write_letter(LETTER)])
    append(path_of(tmp_path, "a"), [write_letter(LETTER)])
    append(replaying(path_of(tmp_path, "c")), [write_letter(LETTER)])
    (tmp_path / "dead_letter" / "replay.lock").touch()

    assert metrics_in(tmp_path) == ["a", "b", "c"]
    assert metrics_in(tmp_path / "missing") == []
