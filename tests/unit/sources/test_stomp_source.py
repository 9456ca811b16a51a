from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shipper.core.errors import SourceUnavailable
from shipper.sources.stomp.broker import Broker, Subscription
from shipper.sources.stomp.session import Session
from shipper.sources.stomp.source import StompSource
from tests.support.clock import FakeClock


class FakeSession:
    """A session whose messages the test lays in."""

    def __init__(self) -> None:
        self.coming: list[list[bytes]] = []
        self.acknowledged: list[list[str]] = []
        self.broken = False
        self.closed = False

    def subscribe(self, subscription: Subscription, *, timeout_seconds: float) -> None:
        """Say yes to everything."""

    def take(self, timeout_seconds: float) -> list[SimpleNamespace]:
        if self.broken:
            raise SourceUnavailable("hung up")
        bodies = self.coming.pop(0) if self.coming else []
        return [SimpleNamespace(cmd="MESSAGE", headers={}, body=body) for body in bodies]

    def tickets(self, frames: Sequence[SimpleNamespace]) -> list[str]:
        return [frame.body.decode() for frame in frames]

    def acknowledge(self, tickets: Sequence[str]) -> None:
        self.acknowledged.append(list(tickets))

    def close(self) -> None:
        self.closed = True


class Sessions:
    """Gives a new fake session for every connection."""

    def __init__(self) -> None:
        self.made: list[FakeSession] = []
        self.asked: list[dict[str, Any]] = []

    def __call__(self, broker: Broker, **asked: Any) -> Session:
        self.asked.append(asked)
        self.made.append(FakeSession())
        return cast(Session, self.made[-1])


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture
def source(sessions: Sessions) -> StompSource:
    subscription = Subscription("/topic/a", durable="me", prefetch=7)
    return StompSource(Broker("broker", 61613), subscription, clock=FakeClock(), connect=sessions)


def test_a_read_returns_rows_refused_input_and_a_cursor(
    source: StompSource, sessions: Sessions
) -> None:
    source.open()
    sessions.made[0].coming = [[b'{"n":1}', b"x"]]
    batch = source.read(1.0)

    assert batch.rows == [{"n": 1}]
    assert [each.reason for each in batch.refused] == ["not_json"]
    assert batch.cursor == (1, 1)
    assert batch.read_at_ns == FakeClock().ns


def test_a_read_without_messages_has_no_cursor(source: StompSource) -> None:
    source.open()

    assert source.read(1.0).cursor is None


def test_a_durable_name_is_the_client_s_id(source: StompSource, sessions: Sessions) -> None:
    source.open()

    assert sessions.asked == [{"client_id": "me", "prefetch": 7}]


def test_an_acknowledgement_covers_every_read_up_to_its_cursor(
    source: StompSource, sessions: Sessions
) -> None:
    source.open()
    sessions.made[0].coming = [[b"1", b"2"], [b"3"], [b"4"]]
    cursors = [source.read(1.0).cursor for _ in range(3)]
    assert cursors[1] is not None
    assert cursors[2] is not None
    source.acknowledge(cursors[1])
    source.acknowledge(cursors[2])

    assert sessions.made[0].acknowledged == [["1", "2", "3"], ["4"]]


def test_what_came_over_an_earlier_connection_is_not_acknowledged(
    source: StompSource, sessions: Sessions
) -> None:
    source.open()
    sessions.made[0].coming = [[b"1"]]
    cursor = source.read(1.0).cursor
    assert cursor is not None
    source.open()
    sessions.made[1].coming = [[b"1"]]
    source.read(1.0)
    source.acknowledge(cursor)

    assert [made.acknowledged for made in sessions.made] == [[], []]


def test_an_acknowledgement_after_closing_is_dropped(
    source: StompSource, sessions: Sessions
) -> None:
    source.open()
    sessions.made[0].coming = [[b"1"]]
    cursor = source.read(1.0).cursor
    assert cursor is not None
    source.close()
    source.acknowledge(cursor)

    assert sessions.made[0].acknowledged == []


def test_a_cursor_from_elsewhere_is_ignored(source: StompSource, sessions: Sessions) -> None:
    source.open(("of", "another", "kind"))
    source.acknowledge(("of", "another", "kind"))

    assert sessions.made[0].acknowledged == []


def test_a_lost_connection_is_let_go(source: StompSource, sessions: Sessions) -> None:
    source.open()
    sessions.made[0].broken = True
    with pytest.raises(SourceUnavailable, match="hung up"):
        source.read(1.0)

    assert sessions.made[0].closed
    with pytest.raises(SourceUnavailable, match="not connected to broker:61613"):
        source.read(1.0)


def test_a_refused_subscription_closes_the_connection(
    sessions: Sessions, source: StompSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeSession, "subscribe", _refuse)
    with pytest.raises(SourceUnavailable, match="no permission"):
        source.open()

    assert sessions.made[0].closed


def _refuse(self: FakeSession, subscription: Subscription, *, timeout_seconds: float) -> None:
    raise SourceUnavailable("no permission")
