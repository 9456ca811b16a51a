"""A function as a source, against a session that the test owns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from shipper.core.errors import ReadRefused, SourceError, SourceTimeout, SourceUnavailable
from shipper.sources.sqream.connection import SqreamConnection
from shipper.sources.sqream.driver import Answer
from shipper.sources.sqream.source import SqreamSource, field_names


class FakeClock:
    def now_ns(self) -> int:
        return 1_700_000_000_000_000_001

    def monotonic_seconds(self) -> float:
        return 0.0


@dataclass
class FakeSession:
    """Answers what it was told to, and remembers what it was asked."""

    answers: list[Answer | SourceError] = field(default_factory=list)
    asked: list[tuple[str, float]] = field(default_factory=list)
    closed: int = 0

    def query(self, sql: str, *, timeout_seconds: float) -> Answer:
        self.asked.append((sql, timeout_seconds))
        answer = self.answers.pop(0)
        if isinstance(answer, SourceError):
            raise answer
        return answer

    def close(self) -> None:
        self.closed += 1


class FakeServer:
    """Opens sessions that share their answers."""

    def __init__(self, *answers: Answer | SourceError) -> None:
        self.answers = list(answers)
        self.sessions: list[FakeSession] = []
        self.waited_seconds: list[float] = []

    def connect(self, section: SqreamConnection, *, timeout_seconds: float) -> FakeSession:
        self.waited_seconds.append(timeout_seconds)
        self.sessions.append(FakeSession(self.answers))
        return self.sessions[-1]


def source_of(server: FakeServer) -> SqreamSource:
    section = SqreamConnection(login_timeout_seconds=3)
    return SqreamSource(
        section,
        "select f()",
        clock=FakeClock(),
        connect=server.connect,  # type: ignore[arg-type]  # a fake has no connection to close
    )


def test_rows_become_fields_by_column() -> None:
    source = source_of(FakeServer(Answer(["statement id", "user"], [(1, "a"), (2, None)])))
    source.open()

    assert source.read(5).rows == [
        {"statement_id": 1, "user": "a"},
        {"statement_id": 2, "user": None},
    ]


def test_the_batch_has_the_moment_of_the_poll_and_no_cursor() -> None:
    source = source_of(FakeServer(Answer()))
    source.open()
    batch = source.read(5)

    assert (batch.read_at_ns, batch.cursor) == (1_700_000_000_000_000_001, None)


def test_the_statement_is_asked_with_the_deadline_of_the_poll() -> None:
    server = FakeServer(Answer())
    source = source_of(server)
    source.open()
    source.read(7)

    assert server.sessions[0].asked == [("select f()", 7)]


def test_the_login_has_a_deadline_of_its_own() -> None:
    server = FakeServer()
    source_of(server).open()

    assert server.waited_seconds == [3]


def test_one_session_serves_all_reads() -> None:
    server = FakeServer(Answer(), Answer(), Answer())
    source = source_of(server)
    source.open()
    for _ in range(3):
        source.read(5)

    assert len(server.sessions) == 1


def test_after_an_error_answer_the_session_goes_on() -> None:
    server = FakeServer(ReadRefused("permission denied"), Answer(["a"], [(1,)]))
    source = source_of(server)
    source.open()
    with pytest.raises(ReadRefused):
        source.read(5)

    assert source.read(5).rows == [{"a": 1}]


@pytest.mark.parametrize("error", [SourceUnavailable("hung up"), SourceTimeout("late")])
def test_after_a_lost_connection_the_source_has_to_be_opened_again(error: SourceError) -> None:
    server = FakeServer(error, Answer(["a"], [(1,)]))
    source = source_of(server)
    source.open()
    with pytest.raises(type(error)):
        source.read(5)

    with pytest.raises(SourceUnavailable, match="not connected to localhost:5000"):
        source.read(5)


def test_opening_again_closes_the_session_before() -> None:
    server = FakeServer()
    source = source_of(server)
    source.open()
    source.open()

    assert [session.closed for session in server.sessions] == [1, 0]


def test_closing_twice_says_goodbye_once() -> None:
    server = FakeServer()
    source = source_of(server)
    source.open()
    source.close()
    source.close()

    assert server.sessions[0].closed == 1


def test_acknowledging_asks_the_server_nothing() -> None:
    server = FakeServer()
    source = source_of(server)
    source.open()
    source.acknowledge(("anything",))

    assert server.sessions[0].asked == []


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        pytest.param(["statement id"], ["statement_id"], id="blank"),
        pytest.param([" lock mode "], ["lock_mode"], id="blanks around"),
        pytest.param(["a", "a", "a"], ["a", "a_2", "a_3"], id="the same thrice"),
        pytest.param(["a b", "a_b"], ["a_b", "a_b_2"], id="the same after the change"),
        pytest.param(["a", "a", "a_2"], ["a", "a_2", "a_2_2"], id="taken by a made-up name"),
        pytest.param(["", ""], ["column", "column_2"], id="no name"),
        pytest.param([], [], id="none"),
    ],
)
def test_every_column_has_a_field_name_of_its_own(
    columns: Sequence[str], names: Sequence[str]
) -> None:
    assert field_names(columns) == names
