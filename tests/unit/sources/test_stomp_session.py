from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count

import pytest

from shipper.config.secret import Secret
from shipper.core.errors import SourceTimeout, SourceUnavailable
from shipper.sources.stomp.broker import Broker, Subscription
from shipper.sources.stomp.session import Session
from shipper.sources.stomp.wire import Wire

LONG_SECONDS = 20.0
SUBSCRIPTION = Subscription("/queue/a:b")


class Peer:
    """The broker's end of a connection, in the test's hands; what it says waits to be read."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._end.settimeout(LONG_SECONDS)
        self._reader = end.makefile("rb")
        self._numbers = count(1)

    def say(self, command: str, body: bytes = b"", **headers: str) -> None:
        lines = "".join(f"{name.replace('_', '-')}:{value}\n" for name, value in headers.items())
        self._end.sendall(f"{command}\n{lines}\n".encode() + body + b"\0\n")

    def welcome(self, version: str = "1.2", heart_beat: str = "0,0") -> None:
        self.say("CONNECTED", version=version, heart_beat=heart_beat, server="Fake/1")

    def deliver(self, body: bytes) -> None:
        number = next(self._numbers)
        self.say("MESSAGE", body, message_id=f"ID\\c{number}", ack=f"A\\c{number}\\\\")

    def hears(self) -> str:
        """Return the next frame as it came."""
        frame = b""
        while not frame.endswith(b"\0"):
            byte = self._reader.read(1)
            if not byte:
                return "nothing more"
            frame = (frame + byte).lstrip(b"\n")
        return frame[:-1].decode()

    def hang_up(self) -> None:
        self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


@pytest.fixture
def peer(ends: tuple[socket.socket, socket.socket]) -> Peer:
    return Peer(ends[1])


@pytest.fixture
def session(ends: tuple[socket.socket, socket.socket]) -> Iterator[Session]:
    broker = Broker("broker", 61613, "me", Secret("literal", "sesame"), heartbeat_seconds=0.05)
    made = Session(broker, Wire(ends[0]), prefetch=4)
    yield made
    with suppress(OSError):
        ends[1].shutdown(socket.SHUT_RDWR)
    made.close()


def logged_in(session: Session, peer: Peer, **welcome: str) -> None:
    peer.welcome(**welcome)
    session.log_in(client_id=None, timeout_seconds=LONG_SECONDS)
    peer.hears()


def subscribed(session: Session, peer: Peer, **welcome: str) -> None:
    logged_in(session, peer, **welcome)
    peer.say("RECEIPT", receipt_id="subscribed")
    session.subscribe(SUBSCRIPTION, timeout_seconds=LONG_SECONDS)
    peer.hears()


def taken(session: Session) -> list[bytes]:
    return [frame.body for frame in session.take(LONG_SECONDS)]


def again_and_again(call: Callable[[], object]) -> None:
    """Call until it raises."""
    while True:
        call()


def test_the_login_offers_both_versions_and_heart_beats(session: Session, peer: Peer) -> None:
    peer.welcome()
    session.log_in(client_id="night-shift", timeout_seconds=LONG_SECONDS)

    assert peer.hears().splitlines() == [
        "CONNECT",
        "accept-version:1.2,1.1",
        "client-id:night-shift",
        "heart-beat:50,50",
        "host:/",
        "login:me",
        "passcode:sesame",
        "",
    ]
    assert (session.server, session.version) == ("Fake/1", "1.2")


def test_the_password_is_not_logged(
    session: Session, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        logged_in(session, peer)

    assert "sesame" not in caplog.text


@pytest.mark.parametrize(
    ("message", "body", "text"),
    [
        ("Bad CONNECT", b"Access refused for user 'me'\n", "refuses the login: Bad CONNECT: Acc"),
        ("Password is invalid.", b"Password is invalid.", "refuses the login: Password is invali"),
        ("Client me is there already", b"", "refuses the connection: Client me is there"),
    ],
)
def test_a_refusal_is_told_in_the_broker_s_words(
    session: Session, peer: Peer, message: str, body: bytes, text: str
) -> None:
    peer.say("ERROR", body, message=message)

    with pytest.raises(SourceUnavailable, match=f"broker:61613 {text}"):
        session.log_in(client_id=None, timeout_seconds=LONG_SECONDS)


def test_a_broker_that_hangs_up_during_the_login_is_told(session: Session, peer: Peer) -> None:
    peer.hang_up()

    with pytest.raises(SourceUnavailable, match="hung up instead of answering the login"):
        session.log_in(client_id=None, timeout_seconds=LONG_SECONDS)


def test_a_broker_that_does_not_answer_is_a_timeout(session: Session, peer: Peer) -> None:
    with pytest.raises(SourceTimeout, match=r"did not answer the login within 0\.01 s"):
        session.log_in(client_id=None, timeout_seconds=0.01)


def test_a_broker_that_speaks_something_else_is_told(session: Session, peer: Peer) -> None:
    peer.say("CONNECTED")

    with pytest.raises(SourceUnavailable, match=r"speaks STOMP 1\.0 only"):
        session.log_in(client_id=None, timeout_seconds=LONG_SECONDS)


def test_a_password_with_a_line_break_is_never_sent(
    ends: tuple[socket.socket, socket.socket], peer: Peer
) -> None:
    broker = Broker("broker", 61613, "me", Secret("literal", "a\nreceipt:1"))
    session = Session(broker, Wire(ends[0]))

    with pytest.raises(SourceUnavailable, match="line break"):
        session.log_in(client_id=None, timeout_seconds=LONG_SECONDS)
    session.close()
    assert peer.hears() == "nothing more"


def test_a_subscription_wants_each_message_acknowledged_and_is_confirmed(
    session: Session, peer: Peer
) -> None:
    logged_in(session, peer)
    peer.say("RECEIPT", receipt_id="subscribed")
    session.subscribe(SUBSCRIPTION, timeout_seconds=LONG_SECONDS)

    assert peer.hears().splitlines() == [
        "SUBSCRIBE",
        "ack:client-individual",
        "activemq.prefetchSize:1000",
        "destination:/queue/a\\cb",
        "id:shipper",
        "prefetch-count:1000",
        "receipt:subscribed",
        "",
    ]


def test_a_refused_subscription_is_told(session: Session, peer: Peer) -> None:
    logged_in(session, peer)

    def refuse() -> None:
        peer.hears()
        peer.say("ERROR", message="no permission")

    refusing = threading.Thread(target=refuse)
    refusing.start()
    with pytest.raises(SourceUnavailable, match="refuses the subscription to /queue/a:b: no perm"):
        session.subscribe(SUBSCRIPTION, timeout_seconds=LONG_SECONDS)
    refusing.join()


def test_messages_are_taken_half_a_prefetch_at_a_time(session: Session, peer: Peer) -> None:
    subscribed(session, peer)
    for body in (b"a", b"b", b"c"):
        peer.deliver(body)

    assert taken(session) == [b"a", b"b"]
    assert taken(session) == [b"c"]


@pytest.mark.parametrize(
    ("version", "frame"),
    [
        ("1.2", "ACK\nid:A\\c1\\\\\n\n"),
        ("1.1", "ACK\nsubscription:shipper\nmessage-id:ID\\c1\n\n"),
    ],
)
def test_an_acknowledgement_is_in_the_words_of_the_broker_s_version(
    session: Session, peer: Peer, version: str, frame: str
) -> None:
    subscribed(session, peer, version=version)
    peer.deliver(b"a")
    session.acknowledge(session.tickets(session.take(LONG_SECONDS)))

    assert peer.hears() == frame


def test_every_message_is_acknowledged_by_itself(session: Session, peer: Peer) -> None:
    subscribed(session, peer)
    peer.deliver(b"a")
    peer.deliver(b"b")
    session.acknowledge(session.tickets(session.take(LONG_SECONDS)))

    assert "A\\c1" in peer.hears()
    assert "A\\c2" in peer.hears()


def test_a_body_is_not_decoded(session: Session, peer: Peer) -> None:
    subscribed(session, peer)
    peer.say("MESSAGE", b"\xff\0\xfe", content_length="3", ack="1")

    assert taken(session) == [b"\xff\0\xfe"]


def test_what_was_not_taken_before_the_connection_ended_is_not_given(
    session: Session, peer: Peer
) -> None:
    subscribed(session, peer)
    peer.deliver(b"comes again over the next connection")
    peer.hang_up()

    with pytest.raises(SourceUnavailable, match="broker:61613 hung up"):
        again_and_again(lambda: session.take(LONG_SECONDS))


def test_an_error_in_the_midst_ends_the_session_in_the_broker_s_words(
    session: Session, peer: Peer
) -> None:
    subscribed(session, peer)
    peer.say("ERROR", b"more\nand a stack trace", message="out of memory")

    with pytest.raises(SourceUnavailable, match=r"reports an error: out of memory: more$"):
        session.take(LONG_SECONDS)


def test_an_acknowledgement_over_a_broken_connection_is_unavailable(
    session: Session, peer: Peer
) -> None:
    subscribed(session, peer)
    peer.hang_up()

    with pytest.raises(SourceUnavailable, match="hung up"):
        again_and_again(lambda: session.acknowledge(["A"]))


def test_a_silent_broker_is_taken_for_dead(session: Session, peer: Peer) -> None:
    subscribed(session, peer, heart_beat="50,0")

    with pytest.raises(SourceUnavailable, match=r"sent nothing for 0\.125 s, not even heart-beats"):
        session.take(LONG_SECONDS)


def test_a_broker_without_heart_beats_may_be_silent(session: Session, peer: Peer) -> None:
    subscribed(session, peer)

    assert session.take(0.2) == []
    assert session.silence_seconds is None


def test_a_broker_that_asks_for_heart_beats_gets_them(
    session: Session, ends: tuple[socket.socket, socket.socket], peer: Peer
) -> None:
    peer.welcome(heart_beat="0,50")
    session.log_in(client_id=None, timeout_seconds=LONG_SECONDS)
    peer.hears()

    assert ends[1].recv(1) == b"\n"


def test_a_broker_that_takes_nothing_any_more_is_taken_for_dead(
    session: Session, peer: Peer
) -> None:
    subscribed(session, peer)

    with pytest.raises(SourceUnavailable, match="does not take what is sent"):
        again_and_again(lambda: session.acknowledge(["A" * 10_000] * 100))


def test_closing_says_goodbye_and_waits_until_the_broker_has_heard_it(
    session: Session, peer: Peer
) -> None:
    subscribed(session, peer)
    session.acknowledge(["A"])
    closing = threading.Thread(target=session.close)
    closing.start()

    assert peer.hears().startswith("ACK")
    assert peer.hears().startswith("DISCONNECT\nreceipt:goodbye")
    assert closing.is_alive()
    peer.say("RECEIPT", receipt_id="goodbye")
    assert peer.hears() == "nothing more"
    closing.join(LONG_SECONDS)


def test_closing_leaves_no_thread(session: Session, peer: Peer) -> None:
    before = set(threading.enumerate())
    subscribed(session, peer, heart_beat="1000,1000")
    peer.say("RECEIPT", receipt_id="goodbye")
    session.close()

    assert set(threading.enumerate()) == before
