"""A replay of dead letters into a sink that the test owns: what is sent, what stays, and what is never lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from shipper.core.errors import BatchRefused, BatchToSplit, Blame, SinkUnavailable
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.pipeline.dead_letter import (
    DeadLetter,
    append,
    path_of,
    read_letters,
    replaying,
    write_letter,
)
from shipper.wiring import replay as replays
from shipper.wiring.replay import BOUNDED_TRIES, Replay
from tests.support.clock import FakeClock, FakeRandom
from tests.support.sink import FakeSink

DOWN = SinkUnavailable("connection refused", reason="connection")
STREAM_LIMIT = SinkUnavailable("too many streams", reason="limited", blame=Blame.LIMIT)
UNKNOWN = SinkUnavailable("something broke", reason="server_error", blame=Blame.UNKNOWN)
TOO_LARGE = BatchToSplit("the batch is too large", reason="too_large")
BLOCKED = BatchRefused("ingestion blocked", reason="ingestion_blocked")


def letter(number: int, *, job: str = "m", **more: Any) -> DeadLetter:
    given = {
        "time_ns": number,
        "line": b"line %d" % number,
        "labels": {"job": job},
        "metadata": {},
        "reason": "too_old",
        "answer": "far behind",
        "sink": "fake",
        "refused_at": "2026-03-01T12:00:00.000000000Z",
    }
    return DeadLetter(**{**given, **more})


class Rig:
    """The dead letters of one metric, and a replay of them."""

    def __init__(self, folder: Path) -> None:
        self.path = path_of(folder, "m")
        self.clock = FakeClock()
        self.said: list[str] = []

    def put(self, *letters: DeadLetter) -> None:
        append(self.path, map(write_letter, letters))

    def replay(self, sink: FakeSink, **more: Any) -> None:
        replay = Replay(
            sink,
            self.clock,
            self.said.append,
            random=FakeRandom(),
            sleep=self.clock.pass_seconds,
            **more,
        )
        replay.replay_files([self.path])

    def left(self) -> list[DeadLetter | None]:
        return [found for _, found in read_letters(self.path)]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


class KeepingSink(FakeSink):
    """Keeps whole streams."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: list[Stream] = []

    def write(self, stream: Stream) -> Any:
        self.streams.append(stream)
        return super().write(stream)


def test_what_is_taken_leaves_the_file(rig: Rig) -> None:
    rig.put(letter(1), letter(2))
    sink = FakeSink()
    rig.replay(sink)

    assert sink.taken == [b"line 1", b"line 2"]
    assert rig.said == ["2 sent, 0 refused again and kept, 0 not tried."]
    assert not rig.path.exists()
    assert not replaying(rig.path).exists()


def test_a_record_is_sent_as_it_was(rig: Rig) -> None:
    sink = KeepingSink()
    rig.put(letter(1, line=b"\xff", metadata={"trace": "7"}), letter(2))
    rig.replay(sink)

    assert sink.streams == [
        Stream({"job": "m"}, [1, 2], [b"\xff", b"line 2"], [{"trace": "7"}, {}])
    ]


def test_every_stream_is_sent_oldest_first(rig: Rig) -> None:
    rig.put(letter(3), letter(5, job="b"), letter(1), letter(4, job="b"), letter(2))
    sink = FakeSink()
    rig.replay(sink)

    assert sink.written == [[b"line 1", b"line 2", b"line 3"], [b"line 4", b"line 5"]]


def test_many_are_sent_in_parts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "BATCH_RECORDS", 2)
    rig.put(*map(letter, range(5)))
    sink = FakeSink()
    rig.replay(sink)

    assert [len(lines) for lines in sink.written] == [2, 2, 1]


def test_what_is_refused_again_stays_with_the_new_answer(rig: Rig) -> None:
    rig.put(letter(1), letter(2))
    rig.replay(FakeSink([[Rejection(0, "too_far_behind", "not again")]]))

    assert rig.left() == [
        letter(
            1,
            reason="too_far_behind",
            answer="not again",
            refused_at="2023-11-14T22:13:20.000000000Z",
        )
    ]
    assert rig.said == ["1 sent, 1 refused again and kept, 0 not tried."]


def test_what_was_not_chosen_stays(rig: Rig) -> None:
    rig.put(letter(1), letter(2, reason="too_long"), letter(3, sink="other"))
    sink = FakeSink()
    rig.replay(sink, reason="too_old")

    assert sink.taken == [b"line 1"]
    assert rig.left() == [letter(2, reason="too_long"), letter(3, sink="other")]
    assert rig.said == ["1 sent, 0 refused again and kept, 0 not tried. 2 others stay."]


def test_what_cannot_be_read_stays(rig: Rig) -> None:
    append(rig.path, [b"a note\n", write_letter(letter(1)), b'{"time":"2026'])
    rig.replay(FakeSink())

    assert rig.path.read_bytes() == b'a note\n{"time":"2026\n'


def test_new_times_are_ascending_and_the_old_ones_are_kept_as_metadata(rig: Rig) -> None:
    rig.put(letter(1), letter(2, metadata={"original_time": "long ago"}))
    sink = KeepingSink()
    rig.replay(sink, restamp=True)
    (stream,) = sink.streams

    assert list(stream.times_ns) == [rig.clock.ns, rig.clock.ns + 1]
    assert stream.metadata == [
        {"original_time": "1970-01-01T00:00:00.000000001Z"},
        {"original_time": "long ago"},
    ]


def test_what_is_refused_with_a_new_time_keeps_its_own(rig: Rig) -> None:
    rig.put(letter(1))
    rig.replay(FakeSink([[Rejection(0, "too_long")]]), restamp=True)
    (left,) = rig.left()

    assert left is not None
    assert (left.time_ns, left.metadata, left.reason) == (1, {}, "too_long")


def test_a_short_outage_is_waited_for(rig: Rig) -> None:
    rig.put(letter(1))
    rig.replay(FakeSink([DOWN] * 5))

    assert rig.said == ["1 sent, 0 refused again and kept, 0 not tried."]


def test_an_outage_in_the_middle_leaves_the_rest_as_it_was(rig: Rig) -> None:
    rig.put(letter(1), letter(2, job="b"), letter(3, job="b"))
    with pytest.raises(SinkUnavailable):
        rig.replay(FakeSink([None], always=DOWN))

    assert rig.left() == [letter(2, job="b"), letter(3, job="b")]
    assert rig.said == ["1 sent, 0 refused again and kept, 2 not tried."]
    assert rig.clock.seconds <= 1000 + replays.PATIENCE_SECONDS


def test_an_answer_renews_the_patience(rig: Rig) -> None:
    rig.put(*(letter(number, job=str(number)) for number in range(20)))
    rig.replay(FakeSink([DOWN, DOWN, DOWN, None] * 20))

    assert rig.said == ["20 sent, 0 refused again and kept, 0 not tried."]
    assert rig.clock.seconds > 1000 + replays.PATIENCE_SECONDS


def test_a_wait_that_was_asked_for_and_is_too_long_ends_it(rig: Rig) -> None:
    rig.put(letter(1))
    asked = SinkUnavailable("slow down", reason="rate_limited", retry_after_seconds=60)
    with pytest.raises(SinkUnavailable):
        rig.replay(FakeSink([asked]))

    assert rig.clock.seconds == 1000
    assert rig.left() == [letter(1)]


def test_what_is_too_large_is_sent_in_halves(rig: Rig) -> None:
    rig.put(*map(letter, range(5)))
    sink = FakeSink(max_records=2, too_large=TOO_LARGE)
    rig.replay(sink)

    assert sink.taken == [b"line %d" % number for number in range(5)]
    assert rig.said == ["5 sent, 0 refused again and kept, 0 not tried."]


def test_a_half_that_arrived_is_not_kept_when_the_other_does_not(rig: Rig) -> None:
    rig.put(letter(1), letter(2))
    with pytest.raises(SinkUnavailable):
        rig.replay(FakeSink([TOO_LARGE, None], always=DOWN))

    assert rig.left() == [letter(2)]


@pytest.mark.parametrize(
    ("error", "reason"), [(TOO_LARGE, "too_large"), (BLOCKED, "ingestion_blocked")]
)
def test_a_record_that_is_refused_alone_stays_refused(
    rig: Rig, error: Exception, reason: str
) -> None:
    rig.put(letter(1))
    rig.replay(FakeSink([error]))
    (left,) = rig.left()

    assert left is not None
    assert (left.reason, left.answer) == (reason, str(error))


def test_a_limit_that_waiting_does_not_lift_refuses_again(rig: Rig) -> None:
    rig.put(letter(1), letter(2), letter(3, job="b"))
    sink = FakeSink([STREAM_LIMIT] * BOUNDED_TRIES)
    rig.replay(sink)

    assert sink.taken == [b"line 3"]
    assert rig.said == ["1 sent, 2 refused again and kept, 0 not tried."]


def test_the_one_that_breaks_the_far_end_is_found(rig: Rig) -> None:
    class Breaking(FakeSink):
        def write(self, stream: Stream) -> Any:
            self.outcomes = [UNKNOWN] if b"line 3" in stream.lines else [None]
            return super().write(stream)

    rig.put(*map(letter, range(8)))
    sink = Breaking()
    rig.replay(sink)
    (left,) = rig.left()

    assert left is not None
    assert (left.line, left.reason) == (b"line 3", "server_error")
    assert len(sink.taken) == 7


def test_a_killed_replay_is_taken_up_again(rig: Rig) -> None:
    rig.put(letter(1))
    rig.path.rename(replaying(rig.path))
    rig.put(letter(2))
    sink = FakeSink()
    rig.replay(sink)

    assert sink.taken == [b"line 1", b"line 2"]
    assert not replaying(rig.path).exists()


def test_what_is_added_meanwhile_stays(rig: Rig) -> None:
    class Adding(FakeSink):
        def write(self, stream: Stream) -> Any:
            rig.put(letter(9))
            return [Rejection(0, "too_old", "again")]

    rig.put(letter(1))
    rig.replay(Adding())

    assert [left and left.time_ns for left in rig.left()] == [9, 1]


def test_a_disk_that_is_full_keeps_what_cannot_be_put_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.put(letter(1))
    taken = write_letter(letter(1))

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        rig.replay(FakeSink([[Rejection(0, "too_old")]]))

    assert replaying(rig.path).read_bytes() == taken


def test_nothing_to_send_is_said(rig: Rig) -> None:
    rig.replay(FakeSink())

    assert rig.said == ["0 sent, 0 refused again and kept, 0 not tried."]
