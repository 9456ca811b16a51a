"""The SQream source with the real pysqream, over TCP, against the emulator."""

from __future__ import annotations

import gc
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme

from shipper.config.secret import Secret
from shipper.core.checks import Outcome
from shipper.core.errors import ReadRefused, SourceTimeout, SourceUnavailable
from shipper.core.record import Row
from shipper.demo.sqream import (
    Column,
    Cut,
    Delay,
    ErrorAnswer,
    Fault,
    Hang,
    SqreamEmulator,
    Step,
    TlsFiles,
    WireType,
)
from shipper.sources.sqream import SqreamSettings
from shipper.sources.sqream.checks import MetricCall, try_functions, try_login, try_worker
from shipper.sources.sqream.connection import SqreamConnection
from shipper.sources.sqream.source import SqreamSource
from tests.contract.source_contract import Rig, SourceContract, until

READ_SECONDS = 5.0
MARGIN_SECONDS = 1.0
"""How much later than its deadline a call may end on a busy machine."""

Opened = Callable[..., SqreamSource]


@pytest.fixture
def emulator() -> Iterator[SqreamEmulator]:
    with SqreamEmulator() as running:
        yield running


@pytest.fixture
def opened(emulator: SqreamEmulator) -> Iterator[Opened]:
    """Open sources of a function, closed at the end of the test."""
    sources: list[SqreamSource] = []

    def opened_source(function: str = "show_version", **section: Any) -> SqreamSource:
        source = source_to(emulator, function, **section)
        sources.append(source)
        source.open()
        return source

    yield opened_source
    for source in sources:
        source.close()


def section_to(emulator: SqreamEmulator, **written: Any) -> SqreamConnection:
    reach = {"host": emulator.host, "port": emulator.port, "login_timeout_seconds": 8}
    return SqreamConnection.model_validate(reach | written)


def source_to(emulator: SqreamEmulator, function: str, **section: Any) -> SqreamSource:
    return SqreamSource(section_to(emulator, **section), f"select {function}()")


def new_threads(before: set[threading.Thread]) -> set[threading.Thread]:
    return set(threading.enumerate()) - before


def serve_numbers(emulator: SqreamEmulator, count: int, *, chunk_rows: int | None = None) -> None:
    columns = [Column("n", WireType.BIGINT), Column("t", WireType.TEXT)]
    rows = [(number, None if number % 3 else f"text {number}") for number in range(count)]
    emulator.serve("numbers", columns, rows, chunk_rows=chunk_rows)


@contextmanager
def measured(*, at_most_seconds: float) -> Iterator[None]:
    """Hold the block to its deadline."""
    start_seconds = time.monotonic()
    yield
    assert time.monotonic() - start_seconds < at_most_seconds + MARGIN_SECONDS


def tls_files(folder: Path) -> TlsFiles:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    files = TlsFiles(certificate=folder / "cert.pem", key=folder / "key.pem")
    files.certificate.write_bytes(certificate.cert_chain_pems[0].bytes())
    files.key.write_bytes(certificate.private_key_pem.bytes())
    return files


class Relay:
    """Passes bytes on to a port, until it is told to swallow them."""

    def __init__(self, port: int) -> None:
        self._target_port = port
        self._silent = threading.Event()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self) -> None:
        self._silent.set()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection(("127.0.0.1", self._target_port))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), source, target:
            while received := source.recv(1 << 16):
                if not self._silent.is_set():
                    target.sendall(received)


class SqreamRig(Rig):
    """The rows of one function, which the test adds to."""

    def __init__(self, emulator: SqreamEmulator) -> None:
        self._emulator = emulator
        self._rows: list[tuple[str]] = []
        emulator.serve("said", [Column("text", WireType.TEXT)], lambda: list(self._rows))
        self.source = source_to(emulator, "said")

    def say(self, text: str) -> None:
        self._rows.append((text,))

    def heard(self, row: Row) -> str:
        return str(row["text"])

    def die(self) -> None:
        self._emulator.stop()

    def revive(self) -> None:
        self._emulator.start()


class TestSqreamSource(SourceContract):
    """What every source promises."""

    @pytest.fixture
    def rig(self, emulator: SqreamEmulator) -> Iterator[SqreamRig]:
        rig = SqreamRig(emulator)
        yield rig
        rig.source.close()


# Rule 1: one kept cursor


def test_many_reads_use_one_connection_and_no_more_threads(
    emulator: SqreamEmulator, opened: Opened
) -> None:
    source = opened()
    fds_before, threads_before = psutil.Process().num_fds(), set(threading.enumerate())
    for _ in range(200):
        source.read(READ_SECONDS)

    assert emulator.counts.connections_opened == 2
    assert psutil.Process().num_fds() == fds_before
    until(lambda: not new_threads(threads_before))


def test_opening_again_and_again_leaves_no_session_behind(
    emulator: SqreamEmulator, opened: Opened
) -> None:
    source = opened()
    for _ in range(5):
        source.open()

    until(lambda: emulator.counts.sessions_open == 2)


def test_closing_ends_all_sessions_and_ping_threads(
    emulator: SqreamEmulator, opened: Opened
) -> None:
    threads_before = set(threading.enumerate())
    opened().close()

    until(lambda: emulator.counts.sessions_open == 0)
    until(lambda: not new_threads(threads_before))


# Rule 2: all rows of all chunks


@pytest.mark.parametrize("chunk_rows", [None, 30_000, 7_777])
def test_all_rows_of_a_big_result_arrive_in_order(
    emulator: SqreamEmulator, opened: Opened, chunk_rows: int | None
) -> None:
    serve_numbers(emulator, 100_000, chunk_rows=chunk_rows)
    rows = opened("numbers").read(60).rows

    assert [row["n"] for row in rows] == list(range(100_000))
    assert [row["t"] for row in rows[:4]] == ["text 0", None, None, "text 3"]


def test_an_empty_result_is_an_empty_batch(emulator: SqreamEmulator, opened: Opened) -> None:
    serve_numbers(emulator, 0)

    assert list(opened("numbers").read(READ_SECONDS).rows) == []


EVERY_TYPE: list[tuple[Column, object]] = [
    (Column("bool", WireType.BOOL), True),
    (Column("tinyint", WireType.TINYINT), 255),
    (Column("smallint", WireType.SMALLINT), -32768),
    (Column("int", WireType.INT), -(2**31)),
    (Column("bigint", WireType.BIGINT), 2**63 - 1),
    (Column("real", WireType.REAL), 0.5),
    (Column("double", WireType.DOUBLE), 0.1),
    (Column("date", WireType.DATE), date(2024, 2, 29)),
    (Column("datetime", WireType.DATETIME), datetime(2024, 2, 29, 1, 2, 3, 4000)),  # noqa: DTZ001
    (Column("numeric", WireType.NUMERIC, scale=2), Decimal("-1.50")),
    (Column("varchar", WireType.VARCHAR, length_bytes=8), "ascii"),
    (Column("text", WireType.TEXT), "zażółć ☃\n'\""),
    (Column("int array", WireType.INT, array=True), [1, None, 3]),
    (Column("text array", WireType.TEXT, array=True), ["ABC", None, ""]),
]


@pytest.mark.parametrize(
    ("column", "value"), [pytest.param(*each, id=each[0].name) for each in EVERY_TYPE]
)
def test_every_type_arrives_and_so_does_null(
    emulator: SqreamEmulator, opened: Opened, column: Column, value: object
) -> None:
    emulator.serve("typed", [column], [(value,), (None,), (value,)])
    rows = opened("typed").read(READ_SECONDS).rows
    name = column.name.replace(" ", "_")

    assert [row[name] for row in rows] == [value, None, value]


@pytest.mark.skipif(version("pysqream") < "6", reason="pysqream 5 does not know datetime2")
def test_a_time_with_a_zone_arrives(emulator: SqreamEmulator, opened: Opened) -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=timezone(timedelta(hours=2)))
    emulator.serve("typed", [Column("at", WireType.DATETIME2)], [(moment,)])
    (row,) = opened("typed").read(READ_SECONDS).rows

    assert row["at"] == moment


def test_a_wide_numeric_keeps_its_digits(emulator: SqreamEmulator, opened: Opened) -> None:
    number = Decimal("123456789012345678901234567890.12345678")
    emulator.serve("wide", [Column("n", WireType.NUMERIC, scale=8)], [(number,)])
    (row,) = opened("wide").read(READ_SECONDS).rows

    assert row["n"] == number


def test_a_column_with_blanks_in_its_name_has_none_in_the_field(
    emulator: SqreamEmulator, opened: Opened
) -> None:
    emulator.serve("blanks", [Column("statement id", WireType.INT)], [(7,)])

    assert opened("blanks").read(READ_SECONDS).rows == [{"statement_id": 7}]


# Rule 3: the connection is kept


def test_a_collection_of_garbage_does_not_end_the_session(opened: Opened) -> None:
    source = opened()
    gc.collect()

    assert source.read(READ_SECONDS).rows


# Rule 4: deadlines of our own


@pytest.mark.parametrize("step", [Step.PREPARE, Step.EXECUTE, Step.FETCH, Step.BLOCK])
def test_a_hung_query_is_a_timeout_and_opening_again_works(
    emulator: SqreamEmulator, opened: Opened, step: Step
) -> None:
    source = opened()
    hang = emulator.faults.add(Fault(at=step, action=Hang()))
    with measured(at_most_seconds=0.5), pytest.raises(SourceTimeout, match=r"within 0\.5 s"):
        source.read(0.5)
    hang.clear()
    source.open()

    assert source.read(READ_SECONDS).rows


def test_a_server_that_trickles_is_a_timeout(emulator: SqreamEmulator, opened: Opened) -> None:
    serve_numbers(emulator, 100, chunk_rows=10)
    source = opened("numbers")
    emulator.faults.add(Fault(at=Step.FETCH, action=Delay(0.3)))

    with measured(at_most_seconds=1), pytest.raises(SourceTimeout):
        source.read(1)


@pytest.mark.parametrize("step", [Step.CONNECT, Step.LOGIN])
def test_a_hung_login_is_a_timeout(emulator: SqreamEmulator, step: Step) -> None:
    hang = emulator.faults.add(Fault(at=step, action=Hang()))
    with measured(at_most_seconds=0.5), pytest.raises(SourceTimeout, match=r"within 0\.5 s"):
        source_to(emulator, "show_version", login_timeout_seconds=0.5).open()
    hang.clear()


def test_a_port_that_takes_no_connection_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        host, port = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex((host, port))
        section = SqreamConnection(host=host, port=port, login_timeout_seconds=0.5)
        with measured(at_most_seconds=0.5), pytest.raises(SourceTimeout):
            SqreamSource(section, "select f()").open()
        for each in waiting:
            each.close()


def test_closing_while_the_server_hangs_is_short(emulator: SqreamEmulator, opened: Opened) -> None:
    with closing(Relay(emulator.port)) as relay:
        source = opened(port=relay.port)
        relay.fall_silent()
        with measured(at_most_seconds=2):
            source.close()


# Rule 5 and the finalizers: the process ends, and says nothing

CHILD = """
import gc, sys
from shipper.demo.sqream import *
from shipper.core.errors import SourceUnavailable
from shipper.sources.sqream.connection import SqreamConnection
from shipper.sources.sqream.source import SqreamSource

emulator = SqreamEmulator()
emulator.start()
section = SqreamConnection(host=emulator.host, port=emulator.port)
left_open = SqreamSource(section, "select show_version()")
left_open.open()
for at, action in [(Step.BLOCK, Cut()), (Step.EXECUTE, Hang())]:
    broken = SqreamSource(section, "select show_version()")
    broken.open()
    fault = emulator.faults.add(Fault(at=at, action=action))
    try:
        broken.read(0.3)
    except SourceUnavailable:
        pass
    fault.clear()
    del broken
    gc.collect()
try:
    SqreamSource(SqreamConnection(host=emulator.host, port=emulator.port, service="x"), "").open()
except SourceUnavailable:
    pass
gc.collect()
raise SystemExit(7)
"""


def test_a_process_ends_by_itself_and_broken_connections_print_nothing() -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert (child.returncode, child.stderr, child.stdout) == (7, "", "")


# Rule 6: what ends a session and what does not


@pytest.mark.parametrize("step", [Step.PREPARE, Step.EXECUTE, Step.FETCH])
def test_an_error_answer_refuses_one_read_and_the_session_goes_on(
    emulator: SqreamEmulator, opened: Opened, step: Step
) -> None:
    source = opened()
    emulator.faults.add(Fault(at=step, action=ErrorAnswer("permission denied"), times=1))
    with pytest.raises(ReadRefused, match=r"^permission denied$"):
        source.read(READ_SECONDS)

    assert source.read(READ_SECONDS).rows
    assert emulator.counts.connections_opened == 2


@pytest.mark.parametrize("step", [Step.PREPARE, Step.EXECUTE, Step.FETCH, Step.BLOCK])
def test_a_connection_that_is_cut_is_unavailable_and_opening_again_works(
    emulator: SqreamEmulator, opened: Opened, step: Step
) -> None:
    source = opened()
    emulator.faults.add(Fault(at=step, action=Cut(), times=1))
    with pytest.raises(SourceUnavailable, match="hung up"):
        source.read(READ_SECONDS)
    source.open()

    assert source.read(READ_SECONDS).rows


def test_a_server_that_restarts_is_unavailable_and_opening_again_works(
    emulator: SqreamEmulator, opened: Opened
) -> None:
    source = opened()
    source.read(READ_SECONDS)
    emulator.stop()
    emulator.start()
    with pytest.raises(SourceUnavailable):
        source.read(READ_SECONDS)
    source.open()

    assert source.read(READ_SECONDS).rows


# Rule 7: texts for people


def test_texts_have_no_colours(emulator: SqreamEmulator, opened: Opened) -> None:
    with pytest.raises(ReadRefused, match=r"^Could not find function nothing in catalog\.$"):
        opened("nothing").read(READ_SECONDS)


def test_connections_leave_no_loggers_behind(opened: Opened) -> None:
    opened().close()

    assert not [name for name in logging.Logger.manager.loggerDict if "pysqream_logger" in name]


# Rule 8: who may log in


@pytest.mark.parametrize("password", ["q\"uo'te", "back\\slash", "zażółć", "tab\tand\nline", "☃"])
def test_any_password_gets_in(password: str) -> None:
    with SqreamEmulator(username='us"er ż', password=password) as emulator:
        secret = Secret("literal", password)
        source = source_to(emulator, "show_version", username='us"er ż', password=secret)
        source.open()
        rows = source.read(READ_SECONDS).rows
        source.close()

    assert rows


@pytest.mark.parametrize(
    ("written", "text"),
    [
        pytest.param({"username": "nobody"}, "role 'nobody' doesn't exist", id="role"),
        pytest.param({"password": Secret("literal", "s3cret")}, "wrong password", id="password"),
        pytest.param({"database": "nowhere"}, "Database nowhere no longer exists", id="database"),
        pytest.param({"service": "idle"}, "no instances subscribed", id="service"),
    ],
)
def test_a_refused_login_says_why_and_not_with_what(
    emulator: SqreamEmulator, written: dict[str, Any], text: str
) -> None:
    with pytest.raises(SourceUnavailable, match=text) as raised:
        source_to(emulator, "show_version", **written).open()

    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("no-such-host.invalid", "not a host that can be found"),
        ("::1", "not an IPv4 address|not a host"),
    ],
)
def test_a_host_that_is_none_is_unavailable(emulator: SqreamEmulator, host: str, text: str) -> None:
    with pytest.raises(SourceUnavailable, match=text):
        source_to(emulator, "show_version", host=host).open()


# Rule 9: no columns, no fetch


def test_a_statement_without_columns_is_an_empty_batch_again_and_again(
    emulator: SqreamEmulator, opened: Opened
) -> None:
    emulator.serve("reset", [], [])
    source = opened("reset")

    assert [list(source.read(READ_SECONDS).rows) for _ in range(3)] == [[], [], []]


# Ways to get there


def test_a_server_picker_names_the_worker() -> None:
    with SqreamEmulator(picker_port=0) as emulator:
        source = source_to(
            emulator, "show_version", host=emulator.host, port=emulator.picker_port, clustered=True
        )
        source.open()
        rows = source.read(READ_SECONDS).rows
        source.close()

    assert rows


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("step", [None, Step.EXECUTE], ids=["well", "hung"])
def test_a_worker_that_sends_us_on_to_another_listener(
    tmp_path: Path, tls: bool, step: Step | None
) -> None:
    files = tls_files(tmp_path) if tls else None
    with SqreamEmulator(reconnects=True, tls=files) as emulator:
        port = emulator.port_ssl if tls else emulator.port
        source = source_to(emulator, "show_version", port=port, use_ssl=tls)
        source.open()
        assert source.read(READ_SECONDS).rows
        if step is not None:
            emulator.faults.add(Fault(at=step, action=Hang()))
            with measured(at_most_seconds=0.5), pytest.raises(SourceTimeout):
                source.read(0.5)
        source.close()


def test_tls_is_spoken(tmp_path: Path) -> None:
    with SqreamEmulator(tls=tls_files(tmp_path)) as emulator:
        source = source_to(emulator, "show_version", port=emulator.port_ssl, use_ssl=True)
        source.open()
        rows = source.read(READ_SECONDS).rows
        source.close()

    assert rows


def test_a_tls_port_without_tls_is_unavailable(tmp_path: Path) -> None:
    with (
        SqreamEmulator(tls=tls_files(tmp_path)) as emulator,
        pytest.raises(SourceUnavailable, match="hung up"),
    ):
        source_to(emulator, "show_version", port=emulator.port_ssl).open()


def test_a_plain_port_with_tls_is_unavailable(emulator: SqreamEmulator) -> None:
    with pytest.raises(SourceUnavailable, match="TLS"):
        source_to(emulator, "show_version", use_ssl=True).open()


# Startup checks


def test_the_checks_pass_against_a_worker_without_a_gpu(emulator: SqreamEmulator) -> None:
    section = section_to(emulator)
    found = SqreamSettings.checks(section, {"show_locks": SqreamSettings(function="show_locks")})

    assert [check.attempt(READ_SECONDS).outcome for check in found] == [Outcome.PASSED] * 3


def test_a_worker_with_a_gpu_is_found_out() -> None:
    with SqreamEmulator(gpu=True) as emulator:
        finding = try_worker(section_to(emulator), READ_SECONDS)

    assert finding.outcome is Outcome.FAILED
    assert "runs on a GPU" in finding.text


def test_an_unknown_function_is_found_out(emulator: SqreamEmulator) -> None:
    calls = (MetricCall("locks", "show_lock", "select show_lock()"),)
    finding = try_functions(section_to(emulator), calls, READ_SECONDS)

    assert finding.outcome is Outcome.FAILED
    assert 'did you mean "show_locks"?' in finding.text


def test_a_worker_port_is_no_server_picker(emulator: SqreamEmulator) -> None:
    # The driver itself gives a picker 5 s to speak.
    finding = try_login(section_to(emulator, clustered=True), 10)

    assert "is not a server picker" in finding.text
    assert "turn `clustered` off" in finding.hint


def test_checks_keep_within_their_deadline(emulator: SqreamEmulator) -> None:
    emulator.faults.add(Fault(at=Step.EXECUTE, action=Hang()))
    calls = (MetricCall("locks", "show_locks", "select show_locks()"),)
    with measured(at_most_seconds=1.5):
        finding = try_functions(section_to(emulator), calls, 1.5)

    assert finding.outcome is Outcome.FAILED
    assert "did not answer" in finding.text
