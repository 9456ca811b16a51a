"""The STOMP source against a real ActiveMQ and a real RabbitMQ that are cut off, frozen, killed and started again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme

from shipper.config.secret import Secret
from shipper.core.checks import Finding, Outcome
from shipper.core.errors import SourceUnavailable
from shipper.core.ports import Source
from shipper.core.record import Batch, Row
from shipper.sources.stomp import StompSettings
from shipper.sources.stomp.tls import client_context
from tests.contract.source_contract import Rig, SourceContract, until
from tests.support.brokers import (
    BROKERS,
    PASSWORD,
    USER,
    MessageBroker,
    RabbitMq,
    Relay,
    ServerTls,
)

READ_SECONDS = 5.0
BEAT_SECONDS = 1.0
NOTICED_WITHIN_SECONDS = 3 * BEAT_SECONDS

_numbers = count(1)

Opened = Callable[..., Source]


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pem")
    for owner, name in (("server", "127.0.0.1"), ("client", "shipper"), ("elsewhere", "elsewhere")):
        authority = trustme.CA()
        issued = authority.issue_cert(name)
        authority.cert_pem.write_to_path(folder / f"{owner}-ca.pem")
        issued.private_key_pem.write_to_path(folder / f"{owner}-key.pem")
        issued.cert_chain_pems[0].write_to_path(folder / f"{owner}-cert.pem")
    return folder


@pytest.fixture(scope="module", params=list(BROKERS))
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pem: Path
) -> Iterator[MessageBroker]:
    """Start a broker that speaks plain text on one port, and on another TLS with certificates on both sides."""
    files = ServerTls(pem / "client-ca.pem", pem / "server-cert.pem", pem / "server-key.pem")
    with started(BROKERS[request.param](tmp_path_factory.mktemp(request.param), tls=files)) as it:
        yield it


@contextmanager
def started(broker: MessageBroker) -> Iterator[MessageBroker]:
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def queue() -> str:
    """Return a queue that no other test knows."""
    return f"/queue/test-{next(_numbers)}"


@pytest.fixture
def opened(broker: MessageBroker) -> Iterator[Opened]:
    """Open sources, closed at the end of the test."""
    sources: list[Source] = []

    def opened_source(destination: str, **written: Any) -> Source:
        source = source_to(broker.port, destination, **written)
        sources.append(source)
        source.open()
        return source

    yield opened_source
    for source in sources:
        source.close()


@pytest.fixture
def relay(broker: MessageBroker) -> Iterator[Relay]:
    with closing_relay(broker.port) as running:
        yield running


@contextmanager
def closing_relay(port: int) -> Iterator[Relay]:
    relay = Relay(port)
    try:
        yield relay
    finally:
        relay.cut()


def settings_of(port: int, destination: str, **written: Any) -> StompSettings:
    given = {
        "host": "127.0.0.1",
        "port": port,
        "destination": destination,
        "user": USER,
        "password": Secret("literal", PASSWORD),
        "heartbeat_seconds": BEAT_SECONDS,
    }
    return StompSettings.model_validate(given | written)


def source_to(port: int, destination: str, **written: Any) -> Source:
    return settings_of(port, destination, **written).build("test", None, Path())


def checked(port: int, **written: Any) -> Finding:
    entry = settings_of(port, "/queue/never", **written)
    (check,) = StompSettings.checks(None, {"test": entry})
    return check.attempt(4.0)


def numbers(first: int, last: int) -> list[str]:
    """Return bodies with the numbers from `first` to `last`, both included."""
    return [json.dumps({"n": number}) for number in range(first, last + 1)]


def numbers_in(batch: Batch) -> list[Any]:
    return [row["n"] for row in batch.rows]


def drained(source: Source, *, wait_seconds: float = 0.5, acknowledge: bool = True) -> list[Any]:
    """Read until nothing comes any more, and return the numbers that came."""
    found: list[Any] = []
    while (batch := source.read(wait_seconds)).cursor is not None:
        found += numbers_in(batch)
        if acknowledge:
            source.acknowledge(batch.cursor)
    return found


def collected(source: Source, wanted: int, *, acknowledge: bool = True) -> list[Any]:
    """Read until so many rows have come."""
    found: list[Any] = []

    def enough() -> bool:
        batch = source.read(READ_SECONDS)
        found.extend(numbers_in(batch))
        if acknowledge and batch.cursor is not None:
            source.acknowledge(batch.cursor)
        return len(found) >= wanted

    until(enough)
    return found


def seconds_until_lost(source: Source) -> float:
    """Read until the connection is given up, and return how long that took."""
    start_seconds = time.monotonic()
    with pytest.raises(SourceUnavailable):
        until(lambda: source.read(0.1).cursor == ("never",))
    return time.monotonic() - start_seconds


# What every source promises


class StompRig(Rig):
    """A queue behind a relay, which dies and comes back quicker than a broker."""

    def __init__(self, broker: MessageBroker, relay: Relay, queue: str) -> None:
        self._broker = broker
        self._relay = relay
        self._queue = queue
        self.source = source_to(relay.port, queue)

    def say(self, text: str) -> None:
        self._broker.publish(self._queue, [json.dumps({"text": text})])

    def heard(self, row: Row) -> str:
        return str(row["text"])

    def die(self) -> None:
        self._relay.cut()

    def revive(self) -> None:
        self._relay.mend()


class TestStompSource(SourceContract):
    @pytest.fixture
    def rig(self, broker: MessageBroker, relay: Relay, queue: str) -> Iterator[StompRig]:
        rig = StompRig(broker, relay, queue)
        yield rig
        rig.source.close()


# Acknowledgement


def test_what_was_acknowledged_does_not_come_again(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    source = opened(queue)
    broker.publish(queue, numbers(1, 10))
    assert collected(source, 10) == list(range(1, 11))
    source.open()

    assert drained(source) == []


def test_what_was_not_acknowledged_comes_again(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    source = opened(queue)
    broker.publish(queue, numbers(1, 10))
    collected(source, 10, acknowledge=False)
    source.open()

    assert sorted(collected(source, 10)) == list(range(1, 11))


def test_an_acknowledgement_covers_the_reads_before_it(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    source = opened(queue, prefetch=4)
    broker.publish(queue, numbers(1, 4))
    batches = [source.read(READ_SECONDS), source.read(READ_SECONDS)]
    assert [numbers_in(batch) for batch in batches] == [[1, 2], [3, 4]]
    assert batches[1].cursor is not None
    source.acknowledge(batches[1].cursor)
    source.open()

    assert drained(source) == []


def test_an_acknowledgement_that_is_lost_brings_the_messages_again(
    broker: MessageBroker, relay: Relay, queue: str
) -> None:
    with closing(source_to(relay.port, queue)) as source:
        source.open()
        broker.publish(queue, numbers(1, 10))
        relay.swallow("client")
        collected(source, 10)
        relay.cut()
        seconds_until_lost(source)
        relay.mend()
        source.open()

        assert sorted(collected(source, 10)) == list(range(1, 11))


def test_an_acknowledgement_for_an_earlier_connection_is_dropped(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    source = opened(queue)
    broker.publish(queue, numbers(1, 2))
    earlier = source.read(READ_SECONDS).cursor
    assert earlier is not None
    source.open()
    again = collected(source, 2, acknowledge=False)
    source.acknowledge(earlier)
    source.open()

    assert sorted(again) == [1, 2]
    assert sorted(drained(source)) == [1, 2]


def test_the_broker_sends_no_more_ahead_than_the_prefetch(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    source = opened(queue, prefetch=10)
    broker.publish(queue, numbers(1, 100))
    ahead = drained(source, acknowledge=False)

    assert ahead == list(range(1, 11))


def test_two_at_one_queue_share_its_messages(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    sources = [opened(queue, prefetch=2) for _ in range(2)]
    broker.publish(queue, numbers(1, 40))
    found: list[Any] = []

    def all_came() -> bool:
        for source in sources:
            batch = source.read(0.1)
            found.extend(numbers_in(batch))
            if batch.cursor is not None:
                source.acknowledge(batch.cursor)
        return len(found) >= 40

    until(all_came)
    assert sorted(found) == list(range(1, 41))


# Destinations


def test_every_subscriber_of_a_topic_gets_every_message(
    broker: MessageBroker, opened: Opened
) -> None:
    sources = [opened("test.everybody"), opened("/topic/test.everybody")]
    broker.publish("/topic/test.everybody", numbers(1, 5))

    assert [collected(source, 5) for source in sources] == [[1, 2, 3, 4, 5]] * 2


def test_a_durable_subscription_keeps_what_comes_while_nobody_is_there(
    broker: MessageBroker, opened: Opened
) -> None:
    source = opened("test.durable", durable="night-shift")
    source.close()
    broker.publish("/topic/test.durable", numbers(1, 5), persistent="true")
    source.open()

    assert collected(source, 5) == [1, 2, 3, 4, 5]


def test_a_subscription_that_is_not_durable_begins_when_it_is_opened(
    broker: MessageBroker, opened: Opened
) -> None:
    source = opened("test.fleeting")
    source.close()
    broker.publish("/topic/test.fleeting", numbers(1, 5))
    source.open()
    broker.publish("/topic/test.fleeting", numbers(6, 6))

    assert collected(source, 1) == [6]


def test_a_selector_lets_through_what_fulfils_it(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    if isinstance(broker, RabbitMq):
        finding = checked(broker.port, selector="kind = 'tf'")
        assert finding.outcome is Outcome.FAILED
        assert "ignores selectors" in finding.text
        return
    source = opened(queue, selector="kind = 'tf'")
    broker.publish(queue, numbers(1, 3), kind="other")
    broker.publish(queue, numbers(4, 6), kind="tf")

    assert drained(source) == [4, 5, 6]


# Bodies


BODIES = {
    "not_utf8": b'{"a": "\xff\xfe"}',
    "not_json": b"plain \0 text",
    "not_an_object": b"[1, 2, 3]",
}


def test_what_is_no_row_is_refused_with_its_reason_and_acknowledged_with_the_rest(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    source = opened(queue)
    broker.publish(queue, [*BODIES.values(), *numbers(1, 1)])
    refused: dict[str, bytes] = {}

    def all_came() -> bool:
        batch = source.read(READ_SECONDS)
        refused.update({each.reason: each.content for each in batch.refused})
        for each in batch.refused:
            assert each.metadata["destination"] == queue
            assert each.metadata["message_id"]
        assert batch.cursor is not None
        source.acknowledge(batch.cursor)
        return numbers_in(batch) == [1]

    until(all_came)
    assert refused == BODIES
    source.open()
    assert source.read(1.0).cursor is None


def test_a_large_body_arrives_whole(broker: MessageBroker, opened: Opened, queue: str) -> None:
    source = opened(queue)
    text = "zażółć " * 500_000
    broker.publish(queue, [json.dumps({"text": text}, ensure_ascii=False), *numbers(1, 1)])
    rows: list[Row] = []

    def all_came() -> bool:
        rows.extend(source.read(READ_SECONDS).rows)
        return len(rows) == 2

    until(all_came)
    assert rows == [{"text": text}, {"n": 1}]


# Login


def test_the_check_tells_what_the_broker_is(broker: MessageBroker) -> None:
    finding = checked(broker.port)
    name = {"activemq": "ActiveMQ/5", "rabbitmq": "RabbitMQ/3"}[broker.name]

    assert finding.outcome is Outcome.PASSED
    assert f"127.0.0.1:{broker.port} is {name}" in finding.text


def test_the_check_takes_no_message_away(broker: MessageBroker, opened: Opened, queue: str) -> None:
    broker.publish(queue, numbers(1, 3))
    settings = settings_of(broker.port, queue)
    (check,) = StompSettings.checks(None, {"test": settings})
    assert check.attempt(10.0).outcome is Outcome.PASSED
    batch = opened(queue).read(READ_SECONDS)

    assert numbers_in(batch) == [1, 2, 3]


def test_a_refused_login_is_told_apart(broker: MessageBroker, queue: str) -> None:
    source = source_to(broker.port, queue, password=Secret("literal", "wrong"))

    with pytest.raises(SourceUnavailable, match="refuses the login"):
        source.open()


def test_the_check_tells_a_refused_login_with_a_hint(broker: MessageBroker) -> None:
    finding = checked(broker.port, password=Secret("literal", "wrong"))

    assert finding.outcome is Outcome.FAILED
    assert "refuses the login" in finding.text
    assert finding.hint == "check `user` and `password`"


def test_tls_with_a_port_that_does_not_speak_it_never_becomes_plain_text(
    broker: MessageBroker, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(authority)
    finding = checked(broker.port, ssl=True, ca_certs=authority)

    assert finding.outcome is Outcome.FAILED
    assert "no TLS" in finding.text


def test_a_broker_that_speaks_stomp_1_1_is_acknowledged_in_its_words(
    broker: MessageBroker, opened: Opened, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shipper.sources.stomp.taming.VERSIONS", "1.1")
    source = opened(queue)
    broker.publish(queue, numbers(1, 10))
    collected(source, 10)
    source.open()

    assert drained(source) == []


# Connections that end


def test_a_frozen_broker_is_noticed(broker: MessageBroker, opened: Opened, queue: str) -> None:
    source = opened(queue)
    broker.freeze()
    try:
        assert seconds_until_lost(source) < NOTICED_WITHIN_SECONDS
    finally:
        broker.thaw()
    broker.publish(queue, numbers(1, 3))
    source.open()
    assert sorted(collected(source, 3)) == [1, 2, 3]


def test_a_connection_that_leads_nowhere_is_noticed(
    broker: MessageBroker, relay: Relay, queue: str
) -> None:
    with closing(source_to(relay.port, queue)) as source:
        source.open()
        relay.swallow("client", "broker")

        assert seconds_until_lost(source) < NOTICED_WITHIN_SECONDS


def test_a_connection_is_kept_while_there_is_nothing_to_say(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    source = opened(queue)
    for _ in range(3):
        assert source.read(BEAT_SECONDS).cursor is None
    broker.publish(queue, numbers(1, 1))

    assert collected(source, 1) == [1]


def test_a_connection_is_kept_while_nobody_reads(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    source = opened(queue, prefetch=10)
    broker.publish(queue, numbers(1, 50))
    first = source.read(READ_SECONDS)
    # As long as a full spool or a slow sink takes: nothing is called meanwhile.
    threading.Event().wait(NOTICED_WITHIN_SECONDS)
    assert first.cursor is not None
    source.acknowledge(first.cursor)

    assert [*numbers_in(first), *drained(source)] == list(range(1, 51))


def test_opening_again_and_again_leaves_no_thread_and_no_socket(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    source = opened(queue)
    sockets, threads = psutil.Process().num_fds(), set(threading.enumerate())
    for _ in range(20):
        source.open()

    assert psutil.Process().num_fds() == sockets
    assert len(threading.enumerate()) == len(threads)
    source.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("stomp")]


def test_a_broker_that_is_killed_under_load_loses_nothing(
    broker: MessageBroker, opened: Opened, queue: str
) -> None:
    source = opened(queue)
    sent = 10_000
    taken_over: list[str] = []

    def send() -> None:
        for first in range(1, sent, 1000):
            bodies = numbers(first, first + 999)
            until_taken(broker, queue, bodies)
            taken_over.extend(bodies)

    sending = threading.Thread(target=send)
    sending.start()
    found = set(collected(source, 3000))
    broker.kill()
    with suppress(SourceUnavailable):
        found |= set(drained(source))
    broker.start()
    sending.join(60)

    def everything_came() -> bool:
        with suppress(SourceUnavailable):
            source.open()
            found.update(drained(source))
        return len(found) >= sent

    until(everything_came)
    assert len(taken_over) == sent
    assert found == set(range(1, sent + 1))


def until_taken(broker: MessageBroker, queue: str, bodies: list[str]) -> None:
    """Send until the broker says that it has them all."""

    def taken() -> bool:
        try:
            with broker.publisher() as publish:
                publish(queue, bodies, persistent="true")
        except OSError:
            threading.Event().wait(0.2)
            return False
        return True

    end_seconds = time.monotonic() + 60
    while not taken():
        assert time.monotonic() < end_seconds


# TLS


def tls_to(pem: Path, *, server: str = "server", client: str | None = "client") -> dict[str, Any]:
    written: dict[str, Any] = {"ssl": True, "ca_certs": pem / f"{server}-ca.pem"}
    if client is not None:
        written |= {"cert": pem / f"{client}-cert.pem", "key": pem / f"{client}-key.pem"}
    return written


def test_messages_and_acknowledgements_pass_through_tls_both_ways_at_once(
    broker: MessageBroker, pem: Path, queue: str
) -> None:
    given = settings_of(broker.tls_port, queue, **tls_to(pem))
    files = given.broker().tls
    assert files is not None
    with closing(given.build("test", None, Path())) as source:
        source.open()
        with broker.publisher(client_context(files)) as publish:
            publish(queue, numbers(1, 3000))

        assert collected(source, 3000) == list(range(1, 3001))
        source.open()
        assert drained(source) == []


@pytest.mark.parametrize(
    ("server", "client", "host", "text"),
    [
        ("elsewhere", "client", "127.0.0.1", "its certificate is not accepted: self.signed|unable"),
        ("server", "client", "localhost", "its certificate is not accepted: Hostname mismatch"),
        ("server", None, "127.0.0.1", "no TLS|hung up"),
        ("server", "elsewhere", "127.0.0.1", "no TLS|hung up"),
    ],
    ids=["another authority", "another host", "no certificate", "a stranger's certificate"],
)
def test_tls_that_is_not_in_order_is_unavailable(
    broker: MessageBroker, pem: Path, server: str, client: str | None, host: str, text: str
) -> None:
    written = tls_to(pem, server=server, client=client)
    source = source_to(broker.tls_port, "/queue/never", host=host, **written)

    with pytest.raises(SourceUnavailable, match=text):
        source.open()


def test_plain_text_to_a_port_that_speaks_tls_is_unavailable(broker: MessageBroker) -> None:
    finding = checked(broker.tls_port)

    assert finding.outcome is Outcome.FAILED
    assert finding.hint == "is it a STOMP port, and is it TLS (`ssl`)?"


def test_a_frozen_broker_is_noticed_through_tls(broker: MessageBroker, pem: Path) -> None:
    with closing(source_to(broker.tls_port, "/queue/never", **tls_to(pem))) as source:
        source.open()
        broker.freeze()
        try:
            assert seconds_until_lost(source) < NOTICED_WITHIN_SECONDS
        finally:
            broker.thaw()
