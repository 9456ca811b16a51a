"""The ZeroMQ source with real sockets on loopback."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
import zmq

from shipper.config.secret import Secret
from shipper.core.checks import Outcome
from shipper.core.errors import SourceEnded, SourceUnavailable
from shipper.core.record import Batch, RefusedInput, Row
from shipper.sources.zeromq.checks import try_wire
from shipper.sources.zeromq.formats import MAX_MESSAGE_BYTES, Format
from shipper.sources.zeromq.inlet import MAX_FRAME_BYTES
from shipper.sources.zeromq.source import (
    MAX_BATCH_BYTES,
    MAX_BATCH_RECORDS,
    TAKEN_RECORDS,
    ZeromqSource,
)
from shipper.sources.zeromq.wire import Curve, Endpoint, Wire
from tests.contract.source_contract import Rig, SourceContract, until

READ_SECONDS = 5.0
SILENCE_SECONDS = 0.4
DEADLINE_SECONDS = 4.0
IDENTITY = "recodex-monitor"

Opened = Callable[..., ZeromqSource]
Sender = Callable[..., "zmq.Socket[bytes]"]


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def endpoint(host: str = "127.0.0.1") -> Endpoint:
    try:
        return Endpoint(host, free_port(host))
    except OSError:
        pytest.skip(f"this machine has no {host}")


def wire_at(place: Endpoint, **options: Any) -> Wire:
    given: dict[str, Any] = {"identity": IDENTITY, "most_queued_records": 100_000} | options
    return Wire(place, **given)


def source_of(wire: Wire, form: Format = "json", **options: Any) -> ZeromqSource:
    return ZeromqSource(wire, form, **({"gather_seconds": 0.0} | options))


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Open sources, closed at the end of the test; a batch of theirs waits for nothing more."""
    sources: list[ZeromqSource] = []

    def opened_source(wire: Wire, form: Format = "json", **options: Any) -> ZeromqSource:
        source = source_of(wire, form, **options)
        sources.append(source)
        source.open()
        return source

    yield opened_source
    for source in sources:
        source.close()


@pytest.fixture
def sender() -> Iterator[Sender]:
    """Make sockets that send, closed at the end of the test."""
    sockets: list[zmq.Socket[bytes]] = []
    with zmq.Context() as context:

        def sending(
            kind: int, place: Endpoint, *, binds: bool = False, **options: Any
        ) -> zmq.Socket[bytes]:
            made: zmq.Socket[bytes] = context.socket(kind)
            sockets.append(made)
            made.ipv6 = place.is_ipv6
            made.linger = 0
            made.sndhwm = 200_000
            for name, value in options.items():
                setattr(made, name, value)
            if not binds:
                made.connect(f"tcp://{place}")
                return made

            def has_port() -> bool:
                # A socket that was closed keeps its port a little longer.
                with suppress(zmq.ZMQError):
                    made.bind(f"tcp://{place}")
                return bool(made.last_endpoint)

            until(has_port)
            return made

        yield sending
        for each in sockets:
            each.close()


def read_all(source: ZeromqSource, count: int) -> tuple[list[Row], list[RefusedInput]]:
    """Read until so many messages have come."""
    rows: list[Row] = []
    refused: list[RefusedInput] = []

    def enough() -> bool:
        batch = source.read(READ_SECONDS)
        rows.extend(batch.rows)
        refused.extend(batch.refused)
        return len(rows) + len(refused) >= count

    until(enough)
    return rows, refused


def send_until_heard(sending: zmq.Socket[bytes], source: ZeromqSource, *frames: bytes) -> list[Row]:
    """Send again and again what may be dropped while nobody is connected; return what came of one time or more."""
    rows: list[Row] = []

    def heard() -> bool:
        sending.send_multipart(frames)
        rows.extend(source.read(0.05).rows)
        return bool(rows)

    until(heard)
    return rows


def numbered(first: int, count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(first, first + count)]


class BoundRig(Rig):
    def __init__(self, sender: Sender) -> None:
        place = endpoint()
        self._sender = sender(zmq.DEALER, place)
        self.source = source_of(wire_at(place))

    def say(self, text: str) -> None:
        self._sender.send_json({"text": text})

    def heard(self, row: Row) -> str:
        return str(row["text"])


class ConnectedRig(Rig):
    def __init__(self, sender: Sender) -> None:
        place = endpoint()
        self._sender = sender(zmq.PUSH, place, binds=True)
        self.source = source_of(wire_at(place, binds=False, kind="pull"))

    def say(self, text: str) -> None:
        self._sender.send_json({"text": text})

    def heard(self, row: Row) -> str:
        return str(row["text"])


class TestBoundZeromq(SourceContract):
    far_end_can_die: ClassVar[bool] = False

    @pytest.fixture
    def rig(self, sender: Sender) -> Iterator[Rig]:
        rig = BoundRig(sender)
        yield rig
        rig.source.close()


class TestConnectedZeromq(SourceContract):
    far_end_can_die: ClassVar[bool] = False

    @pytest.fixture
    def rig(self, sender: Sender) -> Iterator[Rig]:
        rig = ConnectedRig(sender)
        yield rig
        rig.source.close()


# ReCodEx


def test_what_the_broker_sends_becomes_rows(opened: Opened, sender: Sender) -> None:
    place = endpoint()
    source = opened(wire_at(place), "recodex")
    broker = sender(zmq.ROUTER, place, router_mandatory=1)
    name = IDENTITY.encode()

    def is_connected() -> bool:
        try:
            broker.send_multipart([name, b"job-42", b"DOWNLOADED"])
        except zmq.ZMQError:
            return False
        return True

    until(is_connected)
    broker.send_multipart([name, b"job-42", b"TASK", b"compile-1", b"COMPLETED"])
    broker.send_multipart([name, b"job-42", b"FINISHED"])
    rows, refused = read_all(source, 3)

    assert refused == []
    assert rows == [
        {"channel": "job-42", "command": "DOWNLOADED"},
        {
            "channel": "job-42",
            "command": "TASK",
            "task_id": "compile-1",
            "task_state": "COMPLETED",
        },
        {"channel": "job-42", "command": "FINISHED"},
    ]


def test_malformed_sets_between_good_ones_stop_nothing(opened: Opened, sender: Sender) -> None:
    place = endpoint()
    source = opened(wire_at(place), "recodex")
    sending = sender(zmq.DEALER, place, identity=b"worker-7")
    sets = [
        [b"job", b"DOWNLOADED"],
        [b""],
        [b"job"],
        [b"job", b"STARTED"],
        [b"\xff", b"STARTED"],
        [b"0", b"exit"],
        [b"job", b"TASK", b"a", b"COMPLETED", b"surplus"],
        [b"", b""],
        [b"job", b"FINISHED"],
    ]
    for frames in sets:
        sending.send_multipart(frames)
    rows, refused = read_all(source, len(sets))

    assert [row["command"] for row in rows] == ["DOWNLOADED", "STARTED", "TASK", "FINISHED"]
    assert [(each.reason, each.content) for each in refused] == [
        ("wrong_frame_count", b""),
        ("wrong_frame_count", b"job"),
        ("not_utf8", b'["\\udcff", "STARTED"]'),
        ("exit_refused", b'["0", "exit"]'),
        ("empty_frame", b'["", ""]'),
    ]
    assert {each.metadata["sender"] for each in refused} == {"worker-7"}


def test_an_exit_that_is_allowed_ends_the_source_after_what_came_before(
    opened: Opened, sender: Sender
) -> None:
    place = endpoint()
    source = opened(wire_at(place), "recodex", obeys_exit=True, gather_seconds=READ_SECONDS)
    sending = sender(zmq.DEALER, place, identity=b"worker-7")
    sending.send_multipart([b"job", b"STARTED"])
    sending.send_multipart([b"0", b"exit"])
    began = time.monotonic()
    rows, refused = read_all(source, 1)

    assert (rows, refused) == ([{"channel": "job", "command": "STARTED"}], [])
    assert time.monotonic() - began < READ_SECONDS
    with pytest.raises(SourceEnded, match="worker-7 sent the command exit"):
        source.read(READ_SECONDS)


# JSON, and kinds of sockets


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("router", zmq.DEALER),
        ("dealer", zmq.DEALER),
        ("pull", zmq.PUSH),
    ],
)
@pytest.mark.parametrize("binds", [True, False], ids=["bound", "connected"])
def test_messages_of_all_kinds_of_senders_come(
    opened: Opened, sender: Sender, ours: str, theirs: int, *, binds: bool
) -> None:
    place = endpoint()
    sending = sender(theirs, place, binds=not binds)
    source = opened(wire_at(place, kind=ours, binds=binds))
    for content in numbered(0, 100):
        sending.send(content)
    rows, refused = read_all(source, 100)

    assert refused == []
    assert [row["n"] for row in rows] == list(range(100))


@pytest.mark.parametrize("ours", ["router", "dealer"])
def test_a_router_that_binds_finds_us_by_our_name(
    opened: Opened, sender: Sender, ours: str
) -> None:
    place = endpoint()
    far_end = sender(zmq.ROUTER, place, binds=True)
    source = opened(wire_at(place, kind=ours, binds=False))

    assert {"n": 1} in send_until_heard(far_end, source, IDENTITY.encode(), b'{"n":1}')


@pytest.mark.parametrize("binds", [True, False], ids=["bound", "connected"])
def test_only_topics_that_are_wanted_come(opened: Opened, sender: Sender, *, binds: bool) -> None:
    place = endpoint()
    sending = sender(zmq.PUB, place, binds=not binds)
    source = opened(wire_at(place, kind="sub", binds=binds, topics=("run.", "shift")))
    send_until_heard(sending, source, b"run.begin", b'{"n":0}')
    for topic in (b"run.1", b"noise", b"shift", b"ru", b"run.2"):
        sending.send_multipart([topic, b'{"topic":"%s"}' % topic])
    sending.send_multipart([b"run.", b"{}"])
    topics: list[object] = []

    def ended() -> bool:
        batch = source.read(READ_SECONDS)
        topics.extend(each["topic"] for each in batch.metadata)
        return "run." in topics

    until(ended)

    assert [each for each in topics if each != "run.begin"] == ["run.1", "shift", "run.2", "run."]


def test_a_topic_is_beside_its_row_and_what_has_none_is_a_row_too(
    opened: Opened, sender: Sender
) -> None:
    place = endpoint()
    sending = sender(zmq.PUB, place)
    source = opened(wire_at(place, kind="sub"), gather_seconds=1.0)
    send_until_heard(sending, source, b'{"n":0}')
    sending.send_multipart([b"run", b'{"n":1}'])
    sending.send_multipart([b'{"n":2}'])
    sending.send_multipart([b"run", b"no JSON"])
    sending.send_multipart([b"run", b"{}", b"{}"])
    batches: list[Batch] = []

    def ended() -> bool:
        batches.append(source.read(READ_SECONDS))
        return sum(len(each.refused) for each in batches) == 2

    until(ended)
    pairs = [
        (row, dict(metadata))
        for batch in batches
        for row, metadata in zip(batch.rows, batch.metadata, strict=True)
        if row != {"n": 0}
    ]

    assert pairs == [({"n": 1}, {"topic": "run"}), ({"n": 2}, {})]
    assert [each.reason for batch in batches for each in batch.refused] == [
        "not_json",
        "wrong_frame_count",
    ]


@pytest.mark.parametrize(
    ("host", "sent_to"),
    [
        pytest.param("::1", "::1", id="IPv6"),
        pytest.param("::", "127.0.0.1", id="IPv4 at both"),
        pytest.param("::", "::1", id="IPv6 at both"),
        pytest.param("*", "127.0.0.1", id="every IPv4 address"),
        pytest.param("localhost", "localhost", id="a name"),
    ],
)
def test_messages_come_by_all_addresses(
    opened: Opened, sender: Sender, host: str, sent_to: str
) -> None:
    place = Endpoint(host, endpoint("::" if host == "::" else "127.0.0.1").port)
    source = opened(wire_at(place))
    target = Endpoint(sent_to, place.port).found_here()
    sender(zmq.DEALER, target).send(b'{"n":6}')

    assert read_all(source, 1)[0] == [{"n": 6}]


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_a_far_end_is_reached_by_address_and_by_name(
    opened: Opened, sender: Sender, host: str
) -> None:
    place = Endpoint(host, endpoint("::1" if host == "::1" else "127.0.0.1").port)
    bound = place if place.is_ipv6 else Endpoint("127.0.0.1", place.port)
    sending = sender(zmq.PUSH, bound, binds=True)
    source = opened(wire_at(place, kind="pull", binds=False))
    sending.send(b'{"n":6}')

    assert read_all(source, 1)[0] == [{"n": 6}]


# Many, large, fast


def test_a_hundred_thousand_messages_arrive_in_order(opened: Opened, sender: Sender) -> None:
    place = endpoint()
    source = opened(wire_at(place, most_queued_records=1000), "recodex")
    sending = sender(zmq.DEALER, place)
    sent = threading.Thread(
        target=lambda: [
            sending.send_multipart([b"job", b"TASK", b"%d" % number, b"COMPLETED"])
            for number in range(100_000)
        ]
    )
    sent.start()
    rows, refused = read_all(source, 100_000)
    sent.join()

    assert refused == []
    assert [row["task_id"] for row in rows] == [str(number) for number in range(100_000)]


def test_messages_of_all_lengths_arrive_whole_and_too_long_ones_are_refused(
    opened: Opened, sender: Sender
) -> None:
    place = endpoint()
    source = opened(wire_at(place))
    sending = sender(zmq.DEALER, place)
    envelope = len(b'{"x":""}')
    lengths = [envelope, 255, 256, 8192, MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES + 1, 9 << 20]
    for length in lengths:
        sending.send(b'{"x":"%s"}' % (b"x" * (length - envelope)))
    rows, refused = read_all(source, len(lengths))

    assert [len(str(row["x"])) + envelope for row in rows] == lengths[:5]
    assert [(each.reason, len(each.content)) for each in refused] == [
        ("too_long", MAX_MESSAGE_BYTES)
    ] * 2


def test_who_sends_a_frame_without_measure_is_hung_up_on_and_the_others_are_heard(
    opened: Opened, sender: Sender
) -> None:
    place = endpoint()
    source = opened(wire_at(place))
    sender(zmq.DEALER, place).send(bytes(MAX_FRAME_BYTES + 1))
    sender(zmq.DEALER, place).send(b'{"n":1}')

    assert read_all(source, 1) == ([{"n": 1}], [])
    assert list(source.read(SILENCE_SECONDS).refused) == []


def test_bytes_that_are_no_zeromq_stop_nothing(opened: Opened, sender: Sender) -> None:
    place = endpoint()
    source = opened(wire_at(place))
    for content in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b""):
        with socket.create_connection((place.host, place.port)) as stranger:
            stranger.sendall(content)
    sender(zmq.DEALER, place).send(b'{"n":1}')

    assert read_all(source, 1) == ([{"n": 1}], [])


@pytest.mark.parametrize(
    ("content", "most"),
    [
        pytest.param(b"{}", MAX_BATCH_RECORDS + TAKEN_RECORDS - 1, id="many"),
        pytest.param(b'{"x":"%s"}' % (b"x" * 60_000), MAX_BATCH_BYTES // 60_000 + 1, id="large"),
    ],
)
def test_a_flood_does_not_make_a_batch_without_end(
    opened: Opened, sender: Sender, content: bytes, most: int
) -> None:
    place = endpoint()
    source = opened(wire_at(place), gather_seconds=30)
    sending = sender(zmq.DEALER, place)
    for _ in range(2 * most):
        sending.send(content)
    batch = source.read(READ_SECONDS)

    assert len(batch.rows) <= most
    assert batch.more


# When a read returns


def test_a_read_without_messages_returns_in_time(opened: Opened) -> None:
    source = opened(wire_at(endpoint()))
    began = time.monotonic()
    batch = source.read(0.2)

    assert (list(batch.rows), list(batch.refused), batch.more) == ([], [], False)
    assert 0.2 <= time.monotonic() - began < 1.2


def test_a_read_gathers_what_comes_soon_after_the_first(opened: Opened, sender: Sender) -> None:
    place = endpoint()
    source = opened(wire_at(place), gather_seconds=0.5)
    sending = sender(zmq.DEALER, place)
    sending.send(b'{"n":1}')
    later = threading.Timer(0.1, sending.send, (b'{"n":2}',))
    later.start()
    batch = source.read(READ_SECONDS)
    later.join()

    assert list(batch.rows) == [{"n": 1}, {"n": 2}]


def test_a_read_that_gathers_keeps_to_its_time(opened: Opened, sender: Sender) -> None:
    place = endpoint()
    source = opened(wire_at(place), gather_seconds=30)
    sender(zmq.DEALER, place).send(b'{"n":1}')
    until(lambda: bool(source.read(0.2).rows))
    began = time.monotonic()
    source.read(0.2)

    assert time.monotonic() - began < 1.2


def test_waiting_costs_no_cpu(opened: Opened) -> None:
    source = opened(wire_at(endpoint()))
    began = time.process_time()
    source.read(1.0)

    assert time.process_time() - began < 0.1


# High-water marks


def test_a_sender_that_waits_loses_nothing_when_we_are_slow(opened: Opened, sender: Sender) -> None:
    place = endpoint()
    source = opened(wire_at(place, most_queued_records=10))
    sending = sender(zmq.DEALER, place, sndhwm=10, sndbuf=4096)
    content = b'{"x":"%s"}' % (b"x" * 10_000)
    taken = 0

    def queues_are_full() -> bool:
        nonlocal taken
        while sending.poll(100, zmq.POLLOUT):
            sending.send(content, zmq.NOBLOCK)
            taken += 1
        return True

    until(queues_are_full)
    rows, refused = read_all(source, taken)

    assert 10 < taken < 1000
    assert (len(rows), refused) == (taken, [])


def test_a_router_drops_what_does_not_fit_and_what_comes_later_arrives(
    opened: Opened, sender: Sender
) -> None:
    place = endpoint()
    source = opened(wire_at(place, most_queued_records=10))
    broker = sender(zmq.ROUTER, place, sndhwm=10)
    send_until_heard(broker, source, IDENTITY.encode(), b'{"n":-1}')
    content = b'{"x":"%s"}' % (b"x" * 10_000)
    for _ in range(5000):
        broker.send_multipart([IDENTITY.encode(), content])
    came = 0

    def all_came() -> bool:
        nonlocal came
        rows = source.read(SILENCE_SECONDS).rows
        came += len(rows)
        return not rows

    until(all_came)

    assert 0 < came < 5000
    assert {"n": 2} in send_until_heard(broker, source, IDENTITY.encode(), b'{"n":2}')


# Senders that go and come back

SENDER = """
import sys, zmq
context = zmq.Context()
sending = context.socket(zmq.DEALER)
sending.identity = b"worker-1"
sending.connect(sys.argv[1])
number = 0
while True:
    sending.send_multipart([sys.argv[2].encode(), b"TASK", b"%d" % number, b"COMPLETED"])
    number += 1
    if number % 100 == 0:
        sys.stdin.readline()
"""


@contextmanager
def sending_process(place: Endpoint, channel: str) -> Iterator[subprocess.Popen[str]]:
    """Run a sender that sends 100 messages for each line it is given, and 100 at once."""
    process = subprocess.Popen(
        [sys.executable, "-c", SENDER, f"tcp://{place}", channel], stdin=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_sender_that_is_killed_and_started_again_under_its_name_is_heard(opened: Opened) -> None:
    place = endpoint()
    source = opened(wire_at(place), "recodex")
    heard = []
    for life in ("first", "second", "third"):
        with sending_process(place, life) as process:
            rows, _ = read_all(source, 100)
            heard.append((life, {row["channel"] for row in rows}, len(rows)))
            process.send_signal(signal.SIGKILL)

    assert heard == [(life, {life}, 100) for life in ("first", "second", "third")]


def test_a_name_that_is_still_taken_by_one_who_vanished_is_given_to_who_comes(
    opened: Opened,
) -> None:
    place = endpoint()
    source = opened(wire_at(place), "recodex")
    with sending_process(place, "frozen") as frozen:
        read_all(source, 100)
        frozen.send_signal(signal.SIGSTOP)
        with sending_process(place, "successor"):
            rows, _ = read_all(source, 100)

    assert {row["channel"] for row in rows} == {"successor"}


def test_what_a_sender_kept_while_we_were_away_comes(opened: Opened, sender: Sender) -> None:
    place = endpoint()
    source = opened(wire_at(place))
    sending = sender(zmq.DEALER, place)
    sending.send(b'{"n":1}')
    read_all(source, 1)
    source.close()
    sending.send(b'{"n":2}')
    source.open()

    assert read_all(source, 1)[0] == [{"n": 2}]


def test_a_far_end_that_comes_back_is_connected_to_by_itself(
    opened: Opened, sender: Sender
) -> None:
    place = endpoint()
    source = opened(wire_at(place, kind="pull", binds=False))
    for number in range(3):
        far_end = sender(zmq.PUSH, place, binds=True)
        far_end.send(b'{"n":%d}' % number)
        rows, _ = read_all(source, 1)
        far_end.close()

        assert rows == [{"n": number}]


def test_a_far_end_that_does_not_suit_us_is_unavailable_until_it_does(sender: Sender) -> None:
    place = endpoint()
    source = source_of(wire_at(place, kind="pull", binds=False))
    unfit = sender(zmq.PUB, place, binds=True)
    source.open()
    with pytest.raises(SourceUnavailable, match="does not let us in"):
        until(lambda: bool(source.read(READ_SECONDS).rows))
    unfit.close()
    fit = sender(zmq.PUSH, place, binds=True)
    source.open()
    fit.send(b'{"n":1}')

    assert read_all(source, 1)[0] == [{"n": 1}]
    source.close()


# Keys


@pytest.fixture(scope="module")
def pairs() -> dict[str, tuple[str, str]]:
    """Pairs of a public and a secret key."""
    found = {}
    for name in ("ours", "theirs", "stranger"):
        public, secret = zmq.curve_keypair()
        found[name] = (public.decode(), secret.decode())
    return found


def client(pair: tuple[str, str], server_key: str) -> dict[str, bytes]:
    public, secret = (key.encode() for key in pair)
    return {
        "curve_publickey": public,
        "curve_secretkey": secret,
        "curve_serverkey": server_key.encode(),
    }


Pairs = dict[str, tuple[str, str]]


def locked(pairs: Pairs, *, admitted: frozenset[str] = frozenset()) -> Curve:
    return Curve(Secret("literal", pairs["ours"][1]), client_keys=admitted)


@pytest.mark.parametrize("only_admitted", [True, False], ids=["listed", "anybody with the key"])
def test_a_sender_with_the_right_keys_is_heard(
    opened: Opened, sender: Sender, pairs: Pairs, *, only_admitted: bool
) -> None:
    place = endpoint()
    admitted = frozenset([pairs["theirs"][0]] if only_admitted else [])
    source = opened(wire_at(place, curve=locked(pairs, admitted=admitted)))
    sending = sender(zmq.DEALER, place, **client(pairs["theirs"], pairs["ours"][0]))
    sending.send(b'{"n":1}')

    assert read_all(source, 1)[0] == [{"n": 1}]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(lambda pairs: client(pairs["stranger"], pairs["ours"][0]), id="not listed"),
        pytest.param(lambda pairs: client(pairs["theirs"], pairs["theirs"][0]), id="wrong server"),
        pytest.param(lambda _pairs: {}, id="no keys"),
    ],
)
def test_a_sender_with_wrong_keys_is_not_heard_and_disturbs_nobody(
    opened: Opened, sender: Sender, pairs: Pairs, options: Callable[[Pairs], dict[str, bytes]]
) -> None:
    place = endpoint()
    admitted = frozenset([pairs["theirs"][0]])
    source = opened(wire_at(place, curve=locked(pairs, admitted=admitted)))
    sender(zmq.DEALER, place, **options(pairs)).send(b'{"n":"wrong"}')
    rows = list(source.read(SILENCE_SECONDS).rows)
    right = sender(zmq.DEALER, place, **client(pairs["theirs"], pairs["ours"][0]))
    right.send(b'{"n":"right"}')

    assert rows + read_all(source, 1)[0] == [{"n": "right"}]


def far_end_with_keys(sender: Sender, place: Endpoint, pairs: Pairs) -> zmq.Socket[bytes]:
    return sender(
        zmq.PUSH, place, binds=True, curve_server=1, curve_secretkey=pairs["theirs"][1].encode()
    )


def test_a_far_end_with_keys_is_heard(opened: Opened, sender: Sender, pairs: Pairs) -> None:
    place = endpoint()
    far_end = far_end_with_keys(sender, place, pairs)
    curve = Curve(Secret("literal", pairs["ours"][1]), pairs["theirs"][0])
    source = opened(wire_at(place, kind="pull", binds=False, curve=curve))
    far_end.send(b'{"n":1}')

    assert read_all(source, 1)[0] == [{"n": 1}]


@pytest.mark.parametrize("with_keys", [True, False], ids=["wrong key", "no key"])
def test_a_far_end_that_does_not_know_our_keys_is_unavailable(
    opened: Opened, sender: Sender, pairs: Pairs, *, with_keys: bool
) -> None:
    place = endpoint()
    far_end_with_keys(sender, place, pairs)
    curve = Curve(Secret("literal", pairs["ours"][1]), pairs["stranger"][0]) if with_keys else None
    source = opened(wire_at(place, kind="pull", binds=False, curve=curve))

    with pytest.raises(SourceUnavailable, match="does not let us in"):
        until(lambda: bool(source.read(READ_SECONDS).rows))


# The port


def test_a_port_that_is_taken_is_unavailable_until_it_is_free(opened: Opened) -> None:
    place = endpoint()
    holder = opened(wire_at(place))
    waiting = source_of(wire_at(place))
    with pytest.raises(SourceUnavailable, match="already in use"):
        waiting.open()
    holder.close()
    waiting.open()
    waiting.close()


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (wire_at(Endpoint("192.0.2.1", 7894)), "Cannot assign"),
        (wire_at(Endpoint("no-such-host.invalid", 7894)), "not a host that can be found"),
        (wire_at(Endpoint("a" * 70, 7894)), "not a host that can be found"),
        (wire_at(Endpoint("no.invalid", 7894), binds=False), "not a host that can be found"),
        (
            wire_at(Endpoint("127.0.0.1", 1), curve=Curve(Secret("env", "NO_SUCH_VARIABLE"))),
            "NO_SUCH_VARIABLE is not set",
        ),
    ],
    ids=["address", "name", "long name", "far end", "secret key"],
)
def test_what_cannot_be_opened_is_unavailable(wire: Wire, text: str) -> None:
    with pytest.raises(SourceUnavailable, match=text):
        source_of(wire).open()


def test_opening_and_closing_leaves_nothing_behind(pairs: Pairs) -> None:
    curve = locked(pairs, admitted=frozenset([pairs["theirs"][0]]))
    wires = [wire_at(endpoint(), curve=curve), wire_at(endpoint(), binds=False, kind="pull")]
    holder = source_of(wires[0])
    myself = psutil.Process()

    def come_and_go() -> None:
        for wire in wires:
            source = source_of(wire)
            source.open()
            source.read(0.01)
            source.close()
        holder.open()
        with pytest.raises(SourceUnavailable):
            source_of(wires[0]).open()
        holder.close()

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        come_and_go()
        gc.collect()
        before = (myself.num_fds(), myself.num_threads())
        for _ in range(5):
            come_and_go()
        gc.collect()

    assert (myself.num_fds(), myself.num_threads()) == before
    assert [str(each.message) for each in told] == []


# The check


def test_a_free_port_passes() -> None:
    place = endpoint()
    finding = try_wire(wire_at(place), DEADLINE_SECONDS)

    assert (finding.outcome, finding.text) == (Outcome.PASSED, f"{place} is free")


def test_a_port_that_is_taken_fails_the_check_with_a_hint(opened: Opened) -> None:
    place = endpoint()
    opened(wire_at(place))
    finding = try_wire(wire_at(place), DEADLINE_SECONDS)

    assert finding.outcome is Outcome.FAILED
    assert "already in use" in finding.text
    assert "another Shipper" in finding.hint


def test_the_check_of_a_port_takes_no_message_from_a_waiting_sender(
    opened: Opened, sender: Sender
) -> None:
    place = endpoint()
    sender(zmq.DEALER, place).send(b'{"n":1}')
    outcomes = {try_wire(wire_at(place), DEADLINE_SECONDS).outcome for _ in range(50)}
    source = opened(wire_at(place))

    assert outcomes == {Outcome.PASSED}
    assert read_all(source, 1)[0] == [{"n": 1}]


def test_the_check_of_a_far_end_takes_no_message_from_it(opened: Opened, sender: Sender) -> None:
    place = endpoint()
    far_end = sender(zmq.PUSH, place, binds=True)
    wire = wire_at(place, kind="pull", binds=False)
    outcomes = {try_wire(wire, DEADLINE_SECONDS).outcome for _ in range(5)}
    source = opened(wire)
    for content in numbered(0, 10):
        far_end.send(content)
    rows, _ = read_all(source, 10)

    assert outcomes == {Outcome.PASSED}
    assert [row["n"] for row in rows] == list(range(10))


@pytest.mark.parametrize(
    ("theirs_has_keys", "ours_has_keys", "outcome", "hint"),
    [
        (True, True, Outcome.PASSED, ""),
        (False, False, Outcome.PASSED, ""),
        (True, False, Outcome.FAILED, "give the keys in `curve`"),
        (False, True, Outcome.FAILED, "leave `curve` out"),
    ],
)
def test_the_check_tells_whether_both_have_keys(
    sender: Sender,
    pairs: Pairs,
    outcome: Outcome,
    hint: str,
    *,
    theirs_has_keys: bool,
    ours_has_keys: bool,
) -> None:
    place = endpoint()
    if theirs_has_keys:
        far_end_with_keys(sender, place, pairs)
    else:
        sender(zmq.PUSH, place, binds=True)
    curve = Curve(Secret("literal", pairs["ours"][1]), pairs["theirs"][0])
    wire = wire_at(place, kind="pull", binds=False, curve=curve if ours_has_keys else None)
    finding = try_wire(wire, DEADLINE_SECONDS)

    assert (finding.outcome, finding.hint) == (outcome, hint)


@pytest.mark.parametrize(
    ("wire", "text", "hint"),
    [
        (wire_at(Endpoint("192.0.2.1", 7894)), "Cannot assign", "an address of this machine"),
        (wire_at(Endpoint("no.invalid", 7894)), "can be found", "spelling"),
        (wire_at(Endpoint("127.0.0.1", 1), binds=False), "refused", "running"),
        (wire_at(Endpoint("no.invalid", 1), binds=False), "cannot be reached", "spelling"),
        (
            wire_at(Endpoint("127.0.0.1", 1), curve=Curve(Secret("env", "NO_SUCH_VARIABLE"))),
            "NO_SUCH_VARIABLE is not set",
            "set the variable",
        ),
    ],
    ids=["address", "name", "nobody", "far end", "secret key"],
)
def test_what_cannot_work_fails_the_check_with_a_hint(wire: Wire, text: str, hint: str) -> None:
    finding = try_wire(wire, DEADLINE_SECONDS)

    assert finding.outcome is Outcome.FAILED
    assert text in finding.text
    assert hint in finding.hint


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(80), id="HTTP"),
        pytest.param(b"\xff" * 64, id="noise"),
        pytest.param(b"\xff" + bytes(8) + b"\x7f\x01", id="an old version that hangs up"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_far_end_that_speaks_something_else_fails_the_check(said: bytes) -> None:
    with ExitStack() as closing:
        listening = closing.enter_context(socket.create_server(("127.0.0.1", 0)))

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(100)
                connection.sendall(said)

        answering = threading.Thread(target=answer)
        answering.start()
        place = Endpoint("127.0.0.1", listening.getsockname()[1])
        finding = try_wire(wire_at(place, binds=False), DEADLINE_SECONDS)
        answering.join()

    assert finding.outcome is Outcome.FAILED
    assert "does not speak ZMTP 3" in finding.text


def test_a_far_end_that_says_nothing_fails_the_check_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = Endpoint("127.0.0.1", silent.getsockname()[1])
        began = time.monotonic()
        finding = try_wire(wire_at(place, binds=False), 1.0)

    assert (finding.outcome, finding.text) == (Outcome.FAILED, f"{place} does not answer")
    assert time.monotonic() - began < 1.0


# All of it together


def test_the_whole_program_prints_the_rows_of_the_ready_made_file(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    place = endpoint()
    written = json.loads((root / "config_files" / "recodex.json").read_text(encoding="utf-8"))
    (entry,) = written["metrics"].values()
    path = tmp_path / "recodex.json"
    changed = {"bind": f"tcp://{place}", "websocket": {"port": free_port()}}
    path.write_text(json.dumps({"metrics": {"recodex": entry | changed}}))
    with sending_process(place, "job-42"):
        outcome = subprocess.run(
            [sys.executable, "main.py", "once", "recodex", "--dry-run", "--config", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=root,
            env=os.environ | {"SHIPPER_STATE_DIR": str(tmp_path)},
        )

    assert outcome.returncode == 0, outcome.stderr
    assert 'command="TASK", task_state="COMPLETED"' in outcome.stdout
    assert '"channel":"job-42","command":"TASK","task_id":"0","task_state":"COMPLETED"' in (
        outcome.stdout
    )
