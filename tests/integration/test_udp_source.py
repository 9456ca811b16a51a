"""The UDP source with real sockets on loopback."""

from __future__ import annotations

import gc
import json
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from shipper.core.checks import Outcome
from shipper.core.errors import SourceUnavailable
from shipper.core.record import Batch, RefusedInput, Row
from shipper.pipeline.filing import Filing, FilingRules
from shipper.sources.udp.checks import try_port
from shipper.sources.udp.formats import MAX_DATAGRAM_BYTES, Format
from shipper.sources.udp.inbox import SLOTS
from shipper.sources.udp.port import LocalPort, dropped_datagrams, given_buffer_bytes
from shipper.sources.udp.source import MAX_BATCH_BYTES, MAX_BATCH_DATAGRAMS, UdpSource
from tests.contract.source_contract import Rig, SourceContract, until

READ_SECONDS = 5.0
BUFFER_BYTES = 128 * 1024
"""Every system gives so much: `net.core.rmem_max` is 212,992 unless somebody changed it."""

ENVELOPE = {
    "host": "h",
    "id": "STREAMER:crate1slot2",
    "script": "s",
    "time": 1.5,
    "seq_no": 1,
    "type": "metadata",
    "payload": {"path": "a.b"},
}

SMALL_BURST = 150
"""Fits into that buffer."""

UNPRIVILEGED_UID = 65534

Opened = Callable[..., UdpSource]
Send = Callable[..., None]


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def local_port(host: str = "127.0.0.1", buffer_bytes: int = BUFFER_BYTES) -> LocalPort:
    try:
        return LocalPort(host, free_port(host), buffer_bytes)
    except OSError:
        pytest.skip(f"this machine has no {host}")


def source_at(port: LocalPort, form: Format = "json", **options: Any) -> UdpSource:
    return UdpSource(port, form, **({"gather_seconds": 0.0} | options))


@pytest.fixture
def port() -> LocalPort:
    return local_port()


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Open sources, closed at the end of the test; a batch of theirs waits for nothing more."""
    sources: list[UdpSource] = []

    def opened_source(port: LocalPort, form: Format = "json", **options: Any) -> UdpSource:
        source = source_at(port, form, **options)
        sources.append(source)
        source.open()
        return source

    yield opened_source
    for source in sources:
        source.close()


@pytest.fixture
def send() -> Iterator[Send]:
    """Send datagrams to a port, always from the same place."""
    senders = {
        family: socket.socket(family, socket.SOCK_DGRAM)
        for family in (socket.AF_INET, socket.AF_INET6)
    }

    def send_to(port: LocalPort, *contents: bytes, host: str | None = None) -> None:
        address = host or port.host
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for content in contents:
            senders[family].sendto(content, (address, port.number))

    yield send_to
    for sender in senders.values():
        sender.close()


@pytest.fixture
def without_privileges() -> Iterator[None]:
    """Be somebody who may not have more than the system gives to everybody."""
    uid = os.geteuid()
    with suppress(PermissionError):
        os.seteuid(UNPRIVILEGED_UID)
    yield
    os.seteuid(uid)


def read_all(source: UdpSource, count: int) -> tuple[list[Row], list[RefusedInput]]:
    """Read until so many datagrams have come."""
    rows: list[Row] = []
    refused: list[RefusedInput] = []

    def enough() -> bool:
        batch = source.read(READ_SECONDS)
        rows.extend(batch.rows)
        refused.extend(batch.refused)
        return len(rows) + len(refused) >= count

    until(enough)
    return rows, refused


def numbered(first: int, count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(first, first + count)]


def pysmurf_messages(numbers: Sequence[int]) -> list[bytes]:
    message = {"host": "h", "id": "crate1slot2", "script": "s", "time": 1.5, "type": "log"}
    return [json.dumps(message | {"seq_no": number, "payload": {}}).encode() for number in numbers]


def dropped_in(port: LocalPort) -> int:
    """Return how many datagrams the system shows to be dropped at a port."""
    shown = [line.split() for line in Path("/proc/net/udp").read_text("ascii").splitlines()]
    (line,) = (line for line in shown if line[1].endswith(f":{port.number:04X}"))
    return int(line[-1])


def _broken(bound: socket.socket) -> int:
    raise OSError(9, "Bad file descriptor")


class UdpRig(Rig):
    def __init__(self) -> None:
        self._port = local_port()
        self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.source = UdpSource(self._port, "json")

    def say(self, text: str) -> None:
        self._sender.sendto(
            json.dumps({"text": text}).encode(), (self._port.host, self._port.number)
        )

    def heard(self, row: Row) -> str:
        return str(row["text"])

    def close(self) -> None:
        self.source.close()
        self._sender.close()


class TestUdp(SourceContract):
    far_end_can_die: ClassVar[bool] = False

    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        rig = UdpRig()
        yield rig
        rig.close()


# What comes


def test_bursts_arrive_whole_and_in_order(port: LocalPort, opened: Opened, send: Send) -> None:
    source = opened(port)
    rows: list[Row] = []
    for burst in range(4):
        send(port, *numbered(burst * SMALL_BURST, SMALL_BURST))
        rows += read_all(source, SMALL_BURST)[0]

    assert [row["n"] for row in rows] == list(range(4 * SMALL_BURST))


def test_a_hundred_thousand_datagrams_arrive(port: LocalPort, opened: Opened, send: Send) -> None:
    source = opened(port)
    came = 0
    while came < 100_000:
        send(port, *numbered(came, SMALL_BURST))
        rows, _ = read_all(source, SMALL_BURST)
        assert [row["n"] for row in rows] == list(range(came, came + SMALL_BURST))
        came += SMALL_BURST

    assert source.read(0).lost == {}


def test_datagrams_of_all_lengths_arrive_whole(port: LocalPort, opened: Opened, send: Send) -> None:
    source = opened(port, "text")
    lengths = [0, 1, 1472, 1473, 9000, 63_999, MAX_DATAGRAM_BYTES]
    rows: list[Row] = []
    for length in lengths:
        send(port, b"x" * length)
        rows += read_all(source, 1)[0]

    assert [len(str(row["message"])) for row in rows] == lengths


def test_a_short_datagram_in_the_place_of_a_long_one_is_itself(
    port: LocalPort, opened: Opened, send: Send
) -> None:
    source = opened(port, "text")
    send(port, b"a long datagram")
    read_all(source, 1)
    send(port, b"short")

    assert read_all(source, 1)[0] == [{"message": "short"}]


def test_what_was_read_stays_as_it_is_when_more_is_read(
    port: LocalPort, opened: Opened, send: Send
) -> None:
    source = opened(port)
    send(port, b"first, and no JSON")
    _, (refused,) = read_all(source, 1)
    send(port, b"other, and no JSON")
    read_all(source, 1)

    assert refused.content == b"first, and no JSON"


def test_what_is_no_row_is_refused_and_the_rest_arrives(
    port: LocalPort, opened: Opened, send: Send
) -> None:
    source = opened(port)
    too_long = b"x" * (MAX_DATAGRAM_BYTES + 1000)
    contents = [b'{"n":1}', b"no JSON", b'{"n":2}', b"\xff", b"[]", too_long, b'{"n":3}']
    send(port, *contents)
    rows, refused = read_all(source, len(contents))

    assert [row["n"] for row in rows] == [1, 2, 3]
    assert [(each.reason, each.content) for each in refused] == [
        ("not_json", b"no JSON"),
        ("not_utf8", b"\xff"),
        ("not_an_object", b"[]"),
        ("too_long", too_long),
    ]


@pytest.mark.parametrize("form", ["json", "text", "pysmurf"])
def test_rows_and_refusals_are_the_same_whether_fields_are_wanted_or_not(
    opened: Opened, send: Send, form: Format
) -> None:
    contents = [
        b'{ "n": 1.0e5, "n": 2, "a": "\\u00e9" }',
        b'{"n":[1',
        b"2]},{}",
        b'{"x":NaN,"e":"\xc3\xa9"}',
        json.dumps(ENVELOPE).encode(),
        b'{"n":3}',
    ]
    told = []
    for fields_wanted in (False, True):
        port = local_port()
        source = opened(port, form, fields_wanted=fields_wanted)
        send(port, *contents)
        batch = source.read(READ_SECONDS)
        refused = [(each.reason, each.content) for each in batch.refused]
        streams = Filing(FilingRules({}), overflowed=lambda _: None).streams(batch)
        told.append((repr(list(batch.rows)), refused, [stream.lines for stream in streams]))

    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("host", "sent_to", "seen_as"),
    [
        pytest.param("127.0.0.1", "127.0.0.1", "127.0.0.1", id="IPv4"),
        pytest.param("::1", "::1", "[::1]", id="IPv6"),
        pytest.param("::", "127.0.0.1", "127.0.0.1", id="IPv4 at a port of both"),
    ],
)
def test_a_refusal_tells_who_sent_it(opened: Opened, host: str, sent_to: str, seen_as: str) -> None:
    port = local_port(host)
    source = opened(port)
    family = socket.AF_INET6 if ":" in sent_to else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.bind((sent_to, 0))
        sender.sendto(b"no JSON", (sent_to, port.number))
        _, (refused,) = read_all(source, 1)

        assert refused.metadata["sender"] == f"{seen_as}:{sender.getsockname()[1]}"


def test_rows_come_over_ipv6(opened: Opened, send: Send) -> None:
    port = local_port("::1")
    source = opened(port)
    send(port, b'{"n":6}')

    assert read_all(source, 1)[0] == [{"n": 6}]


# When a read returns


def test_a_read_without_datagrams_returns_in_time(port: LocalPort, opened: Opened) -> None:
    source = opened(port)
    began = time.monotonic()
    batch = source.read(0.2)

    assert (list(batch.rows), list(batch.refused)) == ([], [])
    assert 0.2 <= time.monotonic() - began < 1.2


def test_a_read_waits_for_what_comes_later(port: LocalPort, opened: Opened, send: Send) -> None:
    source = opened(port)
    later = threading.Timer(0.1, send, (port, b'{"n":1}'))
    later.start()
    batch = source.read(READ_SECONDS)
    later.join()

    assert list(batch.rows) == [{"n": 1}]


def test_a_read_gathers_what_comes_soon_after_the_first(
    port: LocalPort, opened: Opened, send: Send
) -> None:
    source = opened(port, gather_seconds=0.5)
    send(port, b'{"n":1}')
    later = threading.Timer(0.1, send, (port, b'{"n":2}'))
    later.start()
    batch = source.read(READ_SECONDS)
    later.join()

    assert list(batch.rows) == [{"n": 1}, {"n": 2}]


def test_a_read_that_gathers_keeps_to_its_time(port: LocalPort, opened: Opened, send: Send) -> None:
    source = opened(port, gather_seconds=30)
    send(port, b'{"n":1}')
    began = time.monotonic()
    batch = source.read(0.2)

    assert list(batch.rows) == [{"n": 1}]
    assert time.monotonic() - began < 1.2


@pytest.mark.parametrize(
    ("content", "enough"),
    [
        pytest.param(b"", MAX_BATCH_DATAGRAMS, id="many"),
        pytest.param(b"x" * 60_000, MAX_BATCH_BYTES // 60_000 + 1, id="large"),
    ],
)
def test_a_flood_does_not_make_a_batch_without_end(
    opened: Opened, content: bytes, enough: int
) -> None:
    port = local_port(buffer_bytes=8 << 20)
    source = opened(port, "text", gather_seconds=30)
    ended = threading.Event()

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not ended.is_set():
                sender.sendto(content, (port.host, port.number))

    flooding = threading.Thread(target=flood)
    flooding.start()
    batch: Batch = source.read(4 * READ_SECONDS)
    ended.set()
    flooding.join()

    assert enough <= len(batch.rows) < enough + SLOTS


# What is lost


def test_what_the_kernel_drops_is_counted_to_the_last(opened: Opened, send: Send) -> None:
    port = local_port(buffer_bytes=4096)
    source = opened(port)
    send(port, *numbered(0, 1000))
    batch = source.read(READ_SECONDS)

    assert 0 < len(batch.rows) < 1000
    assert len(batch.rows) + batch.lost["kernel"] == 1000


def test_what_the_kernel_dropped_is_told_once(opened: Opened, send: Send) -> None:
    port = local_port(buffer_bytes=4096)
    source = opened(port)
    send(port, *numbered(0, 1000))
    source.read(READ_SECONDS)

    assert source.read(0).lost == {}


def test_drops_that_no_batch_told_of_are_told_after_a_reopening(opened: Opened, send: Send) -> None:
    port = local_port(buffer_bytes=4096)
    source = opened(port)
    send(port, *numbered(0, 1000))
    waiting = dropped_in(port)
    source.open()

    assert waiting > 0
    assert source.read(0).lost == {"kernel": waiting}


def test_losses_are_not_forgotten_when_a_read_fails(
    port: LocalPort, opened: Opened, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = opened(port, "pysmurf")
    send(port, *pysmurf_messages([0, 4]))
    with monkeypatch.context() as patch:
        patch.setattr("shipper.sources.udp.source.dropped_datagrams", _broken)
        with pytest.raises(SourceUnavailable):
            source.read(READ_SECONDS)
    source.open()

    assert source.read(0).sequence_gaps == 3


def test_drops_are_those_that_the_system_shows(opened: Opened, send: Send) -> None:
    port = local_port(buffer_bytes=4096)
    source = opened(port)
    send(port, *numbered(0, 1000))

    assert source.read(READ_SECONDS).lost == {"kernel": dropped_in(port)}


def test_numbers_that_a_pysmurf_publisher_left_out_are_counted(
    port: LocalPort, opened: Opened, send: Send
) -> None:
    source = opened(port, "pysmurf", gather_seconds=0.5)
    numbers = [0, 1, 4, 0, 1]
    send(port, *pysmurf_messages(numbers))
    batch = source.read(READ_SECONDS)

    assert [row["seq_no"] for row in batch.rows] == numbers
    assert batch.sequence_gaps == 2
    assert source.read(0).sequence_gaps == 0


# The port


def test_a_port_that_is_taken_is_unavailable_until_it_is_free(
    port: LocalPort, opened: Opened
) -> None:
    holder = opened(port)
    waiting = source_at(port)
    with pytest.raises(SourceUnavailable, match="already in use"):
        waiting.open()
    holder.close()
    waiting.open()
    waiting.close()


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("192.0.2.1", "Cannot assign"),
        ("no-such-host.invalid", "not a host that can be found"),
        ("a" * 70, "not a host that can be found"),
    ],
)
def test_an_address_that_is_not_ours_is_unavailable(host: str, text: str) -> None:
    with pytest.raises(SourceUnavailable, match=text):
        source_at(LocalPort(host, 8200, BUFFER_BYTES)).open()


def test_a_port_that_cannot_be_had_leaves_no_socket_behind(port: LocalPort, opened: Opened) -> None:
    opened(port)
    gc.collect()  # what earlier tests left behind is not ours
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with suppress(SourceUnavailable):
            port.bind()
        gc.collect()

    assert told == []


def test_opening_again_and_again_leaves_no_file_open(port: LocalPort, opened: Opened) -> None:
    source = opened(port)
    before = psutil.Process().num_fds()
    for _ in range(5):
        source.open()

    assert psutil.Process().num_fds() == before


def test_a_socket_that_broke_is_unavailable(port: LocalPort, opened: Opened) -> None:
    source = opened(port)
    assert source._listening is not None
    os.close(source._listening.bound.fileno())

    with pytest.raises(SourceUnavailable, match="Bad file descriptor"):
        source.read(READ_SECONDS)
    source._listening.bound.detach()


def test_the_buffer_has_the_size_that_was_asked_for(port: LocalPort) -> None:
    with port.bind() as bound:
        assert given_buffer_bytes(bound) == BUFFER_BYTES
        assert dropped_datagrams(bound) == 0


# The check


def test_the_check_passes_where_the_port_is_free(port: LocalPort) -> None:
    finding = try_port(port, READ_SECONDS)

    assert (finding.outcome, finding.text) == (
        Outcome.PASSED,
        f"{port} is free; its receive buffer has 128 KiB",
    )


@pytest.mark.usefixtures("without_privileges")
def test_the_check_tells_of_a_buffer_that_is_smaller_than_asked_for() -> None:
    finding = try_port(local_port(buffer_bytes=2**30 - 1), READ_SECONDS)

    assert finding.outcome is Outcome.NOTED
    assert "not 1023.9 MiB" in finding.text
    assert "sysctl -w net.core.rmem_max=1073741823" in finding.hint


def test_the_check_finds_a_port_that_is_taken(port: LocalPort, opened: Opened) -> None:
    opened(port)
    finding = try_port(port, READ_SECONDS)

    assert (finding.outcome, finding.text) == (
        Outcome.FAILED,
        f"cannot listen on {port}: Address already in use",
    )
    assert "another program" in finding.hint


def test_the_check_tells_of_a_kernel_that_counts_no_drops(
    port: LocalPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shipper.sources.udp.port.SO_MEMINFO", 9999)
    finding = try_port(port, READ_SECONDS)

    assert (finding.outcome, finding.text) == (
        Outcome.FAILED,
        "the kernel tells no drops: Protocol not available",
    )


def test_there_is_nobody_to_acknowledge_to(port: LocalPort, opened: Opened) -> None:
    source = opened(port)
    source.acknowledge((1,))

    assert list(source.read(0.0).rows) == []


def test_the_check_leaves_the_port_free(port: LocalPort, opened: Opened) -> None:
    try_port(port, READ_SECONDS)

    assert isinstance(opened(port), UdpSource)
