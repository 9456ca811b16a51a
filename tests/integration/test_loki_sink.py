"""The Loki sink over real sockets: against the log store, and against a server that misbehaves as it is told."""

from __future__ import annotations

import pickle
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Self

import pytest
import trustme

from shipper.config.secret import Secret
from shipper.core.checks import Finding, Outcome
from shipper.core.errors import BatchToSplit, Blame, SinkUnavailable
from shipper.core.record import Stream
from shipper.demo.log_store.limits import Limits
from shipper.demo.log_store.pushes import Answer
from shipper.demo.log_store.server import LogStore, Tls
from shipper.sinks.loki.access import Login, TlsFiles
from shipper.sinks.loki.client import Client
from shipper.sinks.loki.limits import LokiLimits
from shipper.sinks.loki.settings import LokiSettings
from shipper.sinks.loki.sink import LokiSink
from tests.contract.sink_contract import SinkContract

HOUR_NS = 3600 * 10**9
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
MORE_THAN_BUFFERS_HOLD = 16 * 1024 * 1024
NOBODY = "http://127.0.0.1:1"
WHATEVER = Stream({"job": "x"}, [1], [b"line"])


def sink_to(url: str, **written: Any) -> LokiSink:
    return LokiSettings.model_validate({"url": url, **written}).build()


def finding_of(url: str, name: str = "check_loki_connection", **written: Any) -> Finding:
    checks = LokiSettings.model_validate({"url": url, **written}).checks()
    return next(check for check in checks if check.name == name).attempt(4.0)


def unavailable(sink: LokiSink, stream: Stream = WHATEVER) -> SinkUnavailable:
    with pytest.raises(SinkUnavailable) as caught:
        sink.write(stream)
    return caught.value


class StoreRig:
    """A log store, steered for the contract."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._next_ns = time.time_ns() - HOUR_NS // 2
        self.sinks: list[LokiSink] = []

    def sink(self) -> LokiSink:
        self.sinks.append(sink_to(self._store.url))
        return self.sinks[-1]

    def stream(self, lines: Sequence[bytes]) -> Stream:
        times = [self._next_ns + at for at in range(len(lines))]
        self._next_ns += len(lines)
        return Stream({"job": "contract"}, times, lines)

    def stream_with_a_bad_one(self) -> tuple[Stream, int]:
        good = self.stream([b"good", b"good too"])
        old_ns = self._next_ns - 200 * HOUR_NS
        times = [good.times_ns[0], old_ns, good.times_ns[1]]
        return Stream(good.labels, times, [b"good", b"bad", b"good too"]), 1

    def arrived(self) -> list[bytes]:
        return [stored.line.encode() for stored in self._store.lines('{job="contract"}')]

    def go_down(self) -> None:
        self._store.stop()

    def come_back(self) -> None:
        self._store.start()


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


@pytest.fixture
def rig(store: LogStore) -> Iterator[StoreRig]:
    rig = StoreRig(store)
    yield rig
    for sink in rig.sinks:
        sink.close()


class TestLokiSink(SinkContract):
    """The Loki sink keeps the promises of every sink."""


Script = Callable[[socket.socket, int], None]


class ScriptedServer:
    """Accepts connections and lets a function talk on each; it gets the socket and the number of the connection."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.ended = threading.Event()
        self.connections = 0

    @property
    def url(self) -> str:
        scheme = "https" if self._context else "http"
        return f"{scheme}://localhost:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for connection in self._open:
            connection.close()

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._open.append(connection)
                self.connections += 1
                self._start(lambda c=connection, n=self.connections: self._talk(c, n))  # type: ignore[misc]

    def _talk(self, connection: socket.socket, number: int) -> None:
        # The client may leave at any moment; that is what most tests are about.
        with suppress(OSError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            self._script(connection, number)


def read_request(connection: socket.socket) -> bytes:
    """Read one request with its body and return its head; empty when the client has left."""
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(65536)
        if not received:
            return b""
        head += received
    head, _, body = head.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        body += connection.recv(65536)
    return head


def answer_all(connection: socket.socket, _number: int) -> None:
    while read_request(connection):
        connection.sendall(NO_CONTENT)


def hang_up(connection: socket.socket, *, reset: bool = False) -> None:
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    else:
        connection.shutdown(socket.SHUT_RDWR)


def test_three_pushes_share_one_connection() -> None:
    with ScriptedServer(answer_all) as server:
        sink = sink_to(server.url)
        for _ in range(3):
            sink.write(WHATEVER)
        sink.close()

    assert server.connections == 1


def test_an_answer_with_a_body_leaves_the_connection_usable(store: LogStore) -> None:
    sink = sink_to(store.url)
    now_ns = time.time_ns()
    for _ in range(3):
        sink.write(Stream({"job": "x"}, [1, now_ns], [b"too old", b"good"]))
    sink.close()

    assert [push.status for push in store.pushes] == [400, 400, 400]
    assert len({push.client for push in store.pushes}) == 1


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("when", ["at once", "at the next request"])
def test_a_kept_connection_that_was_closed_is_no_failure(when: str, reset: bool) -> None:
    def answer_once(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(NO_CONTENT)
        if number == 1:
            if when == "at the next request":
                read_request(connection)
            hang_up(connection, reset=reset)

    with ScriptedServer(answer_once) as server:
        sink = sink_to(server.url)
        sink.write(WHATEVER)

        assert list(sink.write(WHATEVER)) == []
        assert server.connections == 2
        sink.close()


def test_a_server_that_always_hangs_up_is_unavailable() -> None:
    def hang_up_after_reading(connection: socket.socket, _number: int) -> None:
        read_request(connection)
        hang_up(connection)

    with ScriptedServer(hang_up_after_reading) as server:
        assert unavailable(sink_to(server.url)).reason == "connection_lost"
        assert server.connections == 1


def test_a_connection_reset_inside_an_answer_is_unavailable() -> None:
    def answer_half(connection: socket.socket, _number: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\nhalf")
        hang_up(connection, reset=True)

    with ScriptedServer(answer_half) as server:
        assert unavailable(sink_to(server.url)).reason == "connection_lost"


def refuse_unread(answer: bytes) -> Script:
    """Answer as soon as the head is there and cut the connection, as proxies do with a body they find too large."""

    def script(connection: socket.socket, _number: int) -> None:
        connection.recv(1000)
        connection.sendall(answer)
        connection.close()

    return script


# Random, so that it stays as large when it is compressed.
LARGE = Stream({"job": "x"}, range(8), [Random(at).randbytes(200_000) for at in range(8)])


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_large_push_that_is_refused_before_it_was_read_is_to_be_split(encoding: str) -> None:
    answer = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with ScriptedServer(refuse_unread(answer)) as server:
        sink = sink_to(server.url, encoding=encoding, max_batch_bytes=4_000_000)

        with pytest.raises(BatchToSplit) as caught:
            sink.write(LARGE)
    assert caught.value.reason == "too_large"


def test_a_connection_lost_under_a_large_push_may_be_the_pushs_fault() -> None:
    with ScriptedServer(refuse_unread(b"")) as server:
        error = unavailable(sink_to(server.url, max_batch_bytes=4_000_000), LARGE)

    assert (error.reason, error.blame) == ("connection_lost", Blame.UNKNOWN)


def test_a_connection_lost_under_a_large_push_over_tls_may_be_the_pushs_fault(
    authority: Authority,
) -> None:
    with ScriptedServer(refuse_unread(b""), authority.context()) as server:
        sink = sink_to(server.url, ca=str(authority.ca), max_batch_bytes=4_000_000)
        error = unavailable(sink, LARGE)

    assert (error.reason, error.blame) == ("connection_lost", Blame.UNKNOWN)


def test_a_connection_lost_under_a_small_push_is_not_the_pushs_fault() -> None:
    with ScriptedServer(refuse_unread(b"")) as server:
        error = unavailable(sink_to(server.url))

    assert (error.reason, error.blame) == ("connection_lost", Blame.DESTINATION)


def drip(connection: socket.socket, text: bytes, ended: threading.Event) -> None:
    """Send a byte every 20 ms, for ever."""
    connection.sendall(text)
    while not ended.wait(0.02):
        connection.sendall(b"x")


def say_nothing(connection: socket.socket, ended: threading.Event) -> None:
    read_request(connection)
    ended.wait()


def read_nothing(_connection: socket.socket, ended: threading.Event) -> None:
    ended.wait()


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(say_nothing, id="says nothing"),
        pytest.param(read_nothing, id="reads nothing"),
        pytest.param(
            lambda c, e: drip(c, b"HTTP/1.1 204 No Content\r\nX: ", e), id="drips headers"
        ),
        pytest.param(
            lambda c, e: drip(c, b"HTTP/1.1 400 Bad\r\nContent-Length: 99999\r\n\r\n", e),
            id="drips a body",
        ),
    ],
)
def test_a_server_that_takes_for_ever_is_given_up_in_time(
    behave: Callable[[socket.socket, threading.Event], None],
) -> None:
    ended = threading.Event()
    with ScriptedServer(lambda connection, _: behave(connection, ended)) as server:
        sink = sink_to(
            server.url,
            connect_timeout_seconds=0.2,
            read_timeout_seconds=0.3,
        )
        started = time.monotonic()
        error = unavailable(sink)
        took_seconds = time.monotonic() - started
        ended.set()

    assert error.reason == "timeout"
    assert 0.1 < took_seconds < 3


def test_sending_may_take_longer_than_connecting() -> None:
    def read_late(connection: socket.socket, _number: int) -> None:
        threading.Event().wait(0.4)
        answer_all(connection, 1)

    with ScriptedServer(read_late) as server:
        client = Client(
            server.url,
            login=Login(),
            tls=TlsFiles(),
            connect_timeout_seconds=0.1,
            read_timeout_seconds=10,
        )

        assert client.request("POST", "/", body=bytes(MORE_THAN_BUFFERS_HOLD)).status == 204
        client.close()


def test_a_port_where_nobody_listens_is_refused() -> None:
    with ScriptedServer(answer_all) as server:
        url = server.url
    error = unavailable(sink_to(url))

    assert error.reason == "connection_refused"
    assert url in str(error)


def test_a_name_that_does_not_exist_is_told_from_a_host_that_is_down() -> None:
    assert unavailable(sink_to("http://no-such-host.invalid:3100")).reason == "dns"


def test_a_redirect_is_not_followed() -> None:
    def redirect(connection: socket.socket, _number: int) -> None:
        while read_request(connection):
            connection.sendall(
                b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
            )

    with ScriptedServer(redirect) as server:
        assert unavailable(sink_to(server.url)).reason == "redirected"
        assert server.connections == 1


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with ScriptedServer(answer_all) as server:
        sink = sink_to(server.url)

        assert list(sink.write(WHATEVER)) == []
        sink.close()


def test_headers_say_who_we_are_and_a_prefix_stays_in_the_path() -> None:
    heads: list[bytes] = []

    def note(connection: socket.socket, _number: int) -> None:
        while head := read_request(connection):
            heads.append(head)
            connection.sendall(NO_CONTENT)

    with ScriptedServer(note) as server:
        sink = sink_to(
            f"{server.url}/logs", tenant="ops", username="jo", password=Secret("literal", "pw")
        )
        sink.write(WHATEVER)
        sink.close()
    lines = heads[0].decode().split("\r\n")

    assert lines[0] == "POST /logs/loki/api/v1/push HTTP/1.1"
    assert {"X-Scope-OrgID: ops", "Authorization: Basic am86cHc="} < set(lines)
    assert any(line.startswith("User-Agent: shipper/") for line in lines)


def wants_token(token: bytes) -> Script:
    def script(connection: socket.socket, _number: int) -> None:
        while head := read_request(connection):
            known = b"Authorization: Bearer " + token + b"\r\n" in head + b"\r\n"
            connection.sendall(
                NO_CONTENT if known else b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"
            )

    return script


def test_a_token_that_was_replaced_in_its_file_is_used_at_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    with ScriptedServer(wants_token(b"new")) as server:
        sink = sink_to(server.url, token={"file": str(file)})
        before = unavailable(sink)
        file.write_text("new")

        assert list(sink.write(WHATEVER)) == []
        sink.close()
    assert before.reason == "unauthorized"


def test_a_secret_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    sink = sink_to("http://127.0.0.1:1", token={"file": str(tmp_path / "missing")})

    assert unavailable(sink).reason == "secret"


def in_days(days: int) -> datetime:
    """Return a moment so many days from now, and an hour."""
    return datetime.now(UTC) + timedelta(days=days, hours=1)


class Authority:
    """A certificate authority and what it signed, as files."""

    def __init__(self, folder: Path) -> None:
        self.signer = trustme.CA()
        self.ca = folder / "ca.pem"
        self.signer.cert_pem.write_to_path(self.ca)
        self.cert, self.key = folder / "client.pem", folder / "client.key"
        self.write_ours()

    def write_ours(self, *, days: int = 365) -> None:
        """Write our certificate, that ends in so many days."""
        ours = self.signer.issue_cert("shipper.example", not_after=in_days(days))
        ours.cert_chain_pems[0].write_to_path(self.cert)
        ours.private_key_pem.write_to_path(self.key)

    def context(
        self, *, mutual: bool = False, name: str = "localhost", days: int = 365
    ) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.signer.issue_cert(name, not_after=in_days(days)).configure_cert(context)
        if mutual:
            self.signer.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_server_whose_authority_is_trusted_is_written_to(authority: Authority) -> None:
    with ScriptedServer(answer_all, authority.context()) as server:
        sink = sink_to(server.url, ca=str(authority.ca))

        assert list(sink.write(WHATEVER)) == []
        sink.close()


def test_a_server_that_wants_our_certificate_gets_it(authority: Authority) -> None:
    with ScriptedServer(answer_all, authority.context(mutual=True)) as server:
        files = {"ca": str(authority.ca), "cert": str(authority.cert), "key": str(authority.key)}
        sink = sink_to(server.url, **files)

        assert list(sink.write(WHATEVER)) == []
        sink.close()


def test_a_server_that_wants_our_certificate_in_vain_is_unavailable(authority: Authority) -> None:
    with ScriptedServer(answer_all, authority.context(mutual=True)) as server:
        reason = unavailable(sink_to(server.url, ca=str(authority.ca))).reason

    # With TLS 1.3 the server refuses after its greeting, and a reset may overtake the reason.
    assert reason in ("tls", "connection_lost")


@pytest.mark.parametrize(
    ("name", "trusted", "text"),
    [("localhost", False, "self-signed|unable to get"), ("other.example", True, "mismatch|match")],
    ids=["unknown authority", "another host's certificate"],
)
def test_a_server_that_cannot_prove_itself_is_not_written_to(
    authority: Authority, name: str, trusted: bool, text: str
) -> None:
    with ScriptedServer(answer_all, authority.context(name=name)) as server:
        files = {"ca": str(authority.ca)} if trusted else {}
        error = unavailable(sink_to(server.url, **files))

    assert error.reason == "tls"
    assert any(part in str(error) for part in text.split("|"))


def test_a_tls_connection_closed_while_idle_is_no_failure(authority: Authority) -> None:
    def answer_once(connection: socket.socket, _number: int) -> None:
        read_request(connection)
        connection.sendall(NO_CONTENT)
        read_request(connection)
        connection.close()

    with ScriptedServer(answer_once, authority.context()) as server:
        sink = sink_to(server.url, ca=str(authority.ca))
        sink.write(WHATEVER)

        assert list(sink.write(WHATEVER)) == []
        sink.close()


def test_missing_tls_files_are_unavailable_until_they_are_there(
    authority: Authority, tmp_path: Path
) -> None:
    late = tmp_path / "late.pem"
    with ScriptedServer(answer_all, authority.context()) as server:
        sink = sink_to(server.url, ca=str(late))
        before = unavailable(sink)
        late.write_bytes(authority.ca.read_bytes())

        assert list(sink.write(WHATEVER)) == []
        sink.close()
    assert before.reason == "tls"


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_odd_labels_lines_and_metadata_arrive(store: LogStore, encoding: str) -> None:
    sink = sink_to(store.url, encoding=encoding)
    labels = {"a.b": 'q"\\\n\té☃😀\0', "9": "nine", "job": "odd"}
    metadata = [{"é": "named by nothing", "trace.id": "t1"}]
    line = 'a "line"\twith\nall \x00 of it ☃'
    sink.write(Stream(labels, [time.time_ns()], [line.encode()], metadata))
    sink.close()
    (stored,) = store.lines('{job="odd"}')

    assert stored.line == line
    assert {"a_b": labels["a.b"], "_9": "nine"}.items() <= stored.labels.items()
    assert {"unnamed": "named by nothing", "trace_id": "t1"}.items() <= stored.metadata.items()


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_the_ends_of_time_are_refused_one_by_one(store: LogStore, encoding: str) -> None:
    now_ns = time.time_ns()
    times = [-1, 0, now_ns - 200 * HOUR_NS, now_ns, now_ns + HOUR_NS, 2**63, 10**25]
    sink = sink_to(store.url, encoding=encoding)
    rejections = sink.write(Stream({"job": "x"}, times, [b"line"] * len(times)))
    sink.close()

    assert [(one.index, one.reason) for one in rejections] == [
        (0, "too_old"),
        (1, "too_old"),
        (2, "too_old"),
        (4, "too_new"),
        (5, "too_new"),
        (6, "too_new"),
    ]


def test_records_behind_their_stream_are_named_among_those_too_old_and_too_new(
    store: LogStore,
) -> None:
    now_ns = time.time_ns()
    sink = sink_to(store.url)
    sink.write(Stream({"job": "x"}, [now_ns], [b"newest"]))
    behind_ns = now_ns - 2 * HOUR_NS
    times = [now_ns - 200 * HOUR_NS, behind_ns, behind_ns + 5, now_ns - 9, now_ns + HOUR_NS]
    rejections = sink.write(Stream({"job": "x"}, times, [b"line"] * 5))
    sink.close()

    assert [(one.index, one.reason) for one in rejections] == [
        (0, "too_old"),
        (1, "too_far_behind"),
        (2, "too_far_behind"),
        (4, "too_new"),
    ]
    assert [stored.line for stored in store.lines('{job="x"}')] == ["line", "newest"]


def test_lines_beyond_the_servers_own_limit_are_named() -> None:
    with LogStore(limits=Limits(max_line_bytes=100)) as store:
        sink = sink_to(store.url)
        times = [time.time_ns() + at for at in range(3)]
        rejections = sink.write(Stream({"job": "x"}, times, [b"x" * 101, b"good", b"x" * 102]))
        sink.close()

    assert [(one.index, one.reason) for one in rejections] == [
        (0, "line_too_long"),
        (2, "line_too_long"),
    ]


def test_a_lost_answer_is_unavailable_and_the_same_records_can_be_sent_again(
    store: LogStore,
) -> None:
    store.answers.script([Answer(store_anyway=True, cut=True)])
    sink = sink_to(store.url)
    stream = Stream({"job": "x"}, [time.time_ns()], [b"once"])
    error = unavailable(sink, stream)

    assert error.reason == "connection_lost"
    assert list(sink.write(stream)) == []
    assert [stored.line for stored in store.lines('{job="x"}')] == ["once"]
    sink.close()


def test_a_tenant_that_is_missing_is_unavailable_until_it_is_set() -> None:
    with LogStore(auth_enabled=True) as store:
        without, within = sink_to(store.url), sink_to(store.url, tenant="ops")
        error = unavailable(without)
        within.write(Stream({"job": "x"}, [time.time_ns()], [b"line"]))
        arrived = store.lines("{}", tenant="ops")
        without.close()
        within.close()

    assert error.reason == "unauthorized"
    assert [stored.line for stored in arrived] == ["line"]


def test_the_log_store_is_spoken_to_over_mutual_tls(authority: Authority, tmp_path: Path) -> None:
    cert, key = tmp_path / "server.pem", tmp_path / "server.key"
    issued = authority.signer.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    tls = Tls(certificate_path=cert, key_path=key, client_ca_path=authority.ca)
    with LogStore(tls=tls) as store:
        files = {"ca": str(authority.ca), "cert": str(authority.cert), "key": str(authority.key)}
        finding = finding_of(store.url, **files)
        sink = sink_to(store.url, **files)
        sink.write(Stream({"job": "x"}, [time.time_ns()], [b"line"]))
        sink.close()

    assert finding.outcome is Outcome.PASSED
    assert [push.status for push in store.pushes] == [204]


def test_the_check_passes_a_log_store_that_is_ready(store: LogStore) -> None:
    assert finding_of(store.url).outcome is Outcome.PASSED
    assert store.pushes == []


def test_the_check_notes_a_log_store_that_is_starting() -> None:
    with LogStore(ready_after_seconds=60) as store:
        assert finding_of(store.url).outcome is Outcome.NOTED


def test_the_check_finds_that_a_tenant_is_missing() -> None:
    with LogStore(auth_enabled=True) as store:
        without, within = finding_of(store.url), finding_of(store.url, tenant="ops")

    assert (without.outcome, without.hint) == (Outcome.FAILED, "set loki.tenant")
    assert within.outcome is Outcome.PASSED


def test_the_check_survives_the_way_to_another_process() -> None:
    checks = LokiSettings.model_validate(
        {"url": "https://127.0.0.1:1", "token": Secret("literal", "hunter2")}
    ).checks()
    sent = pickle.loads(pickle.dumps(checks))  # noqa: S301 - our own
    findings = [check.attempt(2.0) for check in sent]

    assert {finding.outcome for finding in findings} == {Outcome.FAILED}
    assert "hunter2" not in str(findings)


def test_the_check_of_a_server_that_hangs_ends_in_time() -> None:
    ended = threading.Event()
    with ScriptedServer(lambda connection, _: say_nothing(connection, ended)) as server:
        checks = LokiSettings(url=server.url).checks()
        started = time.monotonic()
        findings = [check.attempt(0.6) for check in checks]
        took_seconds = time.monotonic() - started
        ended.set()

    assert {finding.outcome for finding in findings} == {Outcome.FAILED}
    assert took_seconds < 3


def test_the_check_of_tls_at_a_plain_port_says_what_to_change(store: LogStore) -> None:
    finding = finding_of(store.url.replace("http:", "https:"))

    assert finding.outcome is Outcome.FAILED
    assert "http or https" in finding.hint


def test_a_loki_that_cannot_be_reached_is_the_failure_of_one_check() -> None:
    texts = {check.name: check.attempt(2.0).text for check in LokiSettings(url=NOBODY).checks()}

    assert "refuses connections" in texts.pop("check_loki_connection")
    assert set(texts.values()) == {"not tried: Loki cannot be reached"}


def test_the_clock_of_the_log_store_is_ours(store: LogStore) -> None:
    assert finding_of(store.url, "check_loki_clock").outcome is Outcome.PASSED


def test_the_limits_of_the_log_store_are_read(store: LogStore) -> None:
    settings = LokiSettings(url=store.url)

    assert settings.limits() == LokiLimits()
    assert finding_of(store.url, "check_loki_limits").outcome is Outcome.PASSED


def test_limits_that_will_refuse_something_are_noted() -> None:
    with LogStore(limits=Limits(max_line_bytes=1000, allow_metadata=False)) as store:
        finding = finding_of(store.url, "check_loki_limits")

    assert finding.outcome is Outcome.NOTED
    assert "lines over 1000 bytes are refused" in finding.text
    assert "lines with structured metadata are refused" in finding.text


def test_limits_of_a_loki_that_is_not_there_are_unknown() -> None:
    assert LokiSettings(url=NOBODY).limits() is None


def test_metadata_is_refused_record_by_record_where_it_is_not_allowed() -> None:
    with LogStore(limits=Limits(allow_metadata=False)) as store:
        sink = sink_to(store.url)
        now_ns = time.time_ns()
        stream = Stream({"job": "x"}, [now_ns, now_ns + 1], [b"bare", b"with"], [{}, {"a": "b"}])
        rejections = sink.write(stream)
        sink.close()

    assert [(one.index, one.reason) for one in rejections] == [(1, "metadata_disallowed")]


def tls_finding(
    authority: Authority, *, days: int = 365, mutual: bool = False, **more: str
) -> Finding:
    files = {"ca": str(authority.ca), **more}
    if mutual:
        files |= {"cert": str(authority.cert), "key": str(authority.key)}
    with ScriptedServer(answer_all, authority.context(days=days, mutual=mutual)) as server:
        return finding_of(server.url, "check_loki_tls", **files)


def test_certificates_that_are_good_for_long_pass(authority: Authority) -> None:
    finding = tls_finding(authority, days=100, mutual=True)
    theirs, ours = in_days(100).date(), in_days(365).date()

    assert (finding.outcome, finding.hint) == (Outcome.PASSED, "")
    assert finding.text == (
        f"Loki's certificate is good until {theirs}, 100 days from now, "
        f"ours is good until {ours}, 365 days from now"
    )


def test_a_certificate_of_loki_that_ends_soon_is_noted(authority: Authority) -> None:
    finding = tls_finding(authority, days=13)

    assert (finding.outcome, finding.hint) == (Outcome.NOTED, "renew it at Loki")
    assert f"good until {in_days(13).date()}, 13 days" in finding.text


def test_a_certificate_of_loki_that_expired_is_told_with_its_date(authority: Authority) -> None:
    finding = tls_finding(authority, days=-3)

    assert finding.outcome is Outcome.FAILED
    assert finding.text == f"Loki's certificate expired on {in_days(-3).date()}"


@pytest.mark.parametrize(
    ("days", "outcome"), [(13, Outcome.NOTED), (-3, Outcome.FAILED)], ids=["soon", "expired"]
)
def test_a_certificate_of_ours_that_ends_is_told(
    authority: Authority, days: int, outcome: Outcome
) -> None:
    authority.write_ours(days=days)
    finding = tls_finding(authority, mutual=True)

    assert (finding.outcome, finding.hint) == (outcome, "renew the file of loki.cert")
    assert str(in_days(days).date()) in finding.text


def test_an_expired_certificate_keeps_the_connection_from_being_made(authority: Authority) -> None:
    with ScriptedServer(answer_all, authority.context(days=-3)) as server:
        finding = finding_of(server.url, ca=str(authority.ca))

    assert finding.outcome is Outcome.FAILED
    assert "expired" in finding.text


def test_the_certificate_of_a_loki_that_is_not_trusted_is_not_judged(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")

    assert tls_finding(authority, ca=str(other.ca)).text == "not tried: Loki cannot be reached"
