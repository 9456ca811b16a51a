"""The SQream emulator under the real client, pysqream."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pysqream
import pysqream.ping
import pytest
import trustme

from shipper.demo.sqream import (
    INTERNAL_RUNTIME_ERROR,
    SHUTTING_DOWN,
    Column,
    Cut,
    Delay,
    ErrorAnswer,
    Fault,
    Hang,
    SqreamEmulator,
    SqreamPicker,
    Step,
    TlsFiles,
    WireType,
)
from shipper.demo.sqream.protocol import picker_message, text_message

# A ping thread of a connection that a fault cut would keep the test run alive for ever.
pysqream.ping.PingLoop.daemon = True

DEADLINE_SECONDS = 10.0
SIX_FUNCTIONS = (
    "show_server_status",
    "show_locks",
    "get_leveldb_stats",
    "reset_leveldb_stats",
    "show_cluster_nodes",
    "get_license_info",
)
SHORT_LIVED_FAULT_SECONDS = 0.3
MOMENT = datetime(2024, 2, 29, 1, 2, 3, 4000)  # noqa: DTZ001 - SQream's datetime has no zone
ZONED = datetime(2026, 3, 4, 5, 6, 7, 123456, timezone(timedelta(hours=2)))
EVERY_TYPE: list[tuple[WireType, dict[str, int], list[Any]]] = [
    (WireType.BOOL, {}, [True, False]),
    (WireType.TINYINT, {}, [0, 255]),
    (WireType.SMALLINT, {}, [-(2**15), 2**15 - 1]),
    (WireType.INT, {}, [-(2**31), 2**31 - 1]),
    (WireType.BIGINT, {}, [-(2**63), 2**63 - 1]),
    (WireType.REAL, {}, [1.5, -0.25]),
    (WireType.DOUBLE, {}, [0.1, -1e300]),
    (WireType.DATE, {}, [date(1900, 1, 1), date(2024, 2, 29)]),
    (WireType.DATETIME, {}, [MOMENT, MOMENT.replace(year=1996, hour=23)]),
    (WireType.DATETIME2, {}, [ZONED, datetime(1970, 1, 1, tzinfo=UTC)]),
    (WireType.NUMERIC, {"scale": 3}, [Decimal("-12.345"), Decimal("9" * 30 + ".125")]),
    (WireType.TEXT, {}, ["", "zażółć\n'gęślą'"]),
    (WireType.VARCHAR, {"length_bytes": 5}, ["ab", "abcde"]),
]
TYPE_NAMES = [wire_type.name for wire_type, _, _ in EVERY_TYPE]


class Client:
    """A connection with its one cursor."""

    def __init__(self, emulator: SqreamEmulator, **changed: Any) -> None:
        settings = {
            "host": emulator.host,
            "port": emulator.port,
            "database": "master",
            "username": "sqream",
            "password": "sqream",
            "service": "monitor",
        }
        self.connection = pysqream.connect(**{**settings, **changed})
        self.cursor = self.connection.cursor()

    def rows(self, sql: str) -> list[Any]:
        self.cursor.execute(sql)
        return list(self.cursor.fetchall())

    def close(self) -> None:
        self.connection.close()


class Running:
    """A call in a thread of its own, with what came of it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ended(self) -> bool:
        self._thread.join(DEADLINE_SECONDS)
        return not self._thread.is_alive()

    def is_waiting(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.result = self._call()
        except Exception as error:  # noqa: BLE001 - a test looks at whatever came
            self.error = error


def _eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


@pytest.fixture
def emulator() -> Iterator[SqreamEmulator]:
    with SqreamEmulator() as running:
        yield running


@pytest.fixture
def client(emulator: SqreamEmulator) -> Iterator[Client]:
    connected = Client(emulator)
    yield connected
    with contextlib.suppress(Exception):  # some tests break the connection
        connected.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    folder = tmp_path_factory.mktemp("tls")
    issued = trustme.CA().issue_cert("127.0.0.1")
    files = TlsFiles(folder / "certificate.pem", folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(str(files.certificate))
    issued.private_key_pem.write_to_path(str(files.key))
    return files


class TestResults:
    """What comes out of the client is what was put in."""

    @pytest.mark.parametrize(("wire_type", "details", "values"), EVERY_TYPE, ids=TYPE_NAMES)
    def test_values_and_nulls_of_every_type_arrive(
        self,
        emulator: SqreamEmulator,
        client: Client,
        wire_type: WireType,
        details: dict[str, int],
        values: list[Any],
    ) -> None:
        columns = [
            Column("nullable", wire_type, **details),  # type: ignore[arg-type]
            Column("strict", wire_type, nullable=False, **details),  # type: ignore[arg-type]
        ]
        rows = [(values[0], values[1]), (None, values[0]), (values[1], values[1])]
        emulator.serve("t", columns, rows)

        assert client.rows("select t()") == rows

    @pytest.mark.parametrize(
        ("wire_type", "details", "values"), EVERY_TYPE[:-1], ids=TYPE_NAMES[:-1]
    )
    def test_arrays_of_every_type_arrive_with_their_nulls(
        self,
        emulator: SqreamEmulator,
        client: Client,
        wire_type: WireType,
        details: dict[str, int],
        values: list[Any],
    ) -> None:
        column = Column("a", wire_type, array=True, **details)  # type: ignore[arg-type]
        arrays = [values, None, [], [None], [values[1], None, values[0]] * 5]
        emulator.serve("t", [column], [(array,) for array in arrays])

        assert [row[0] for row in client.rows("select t()")] == arrays

    def test_nanoseconds_survive_the_way_there_and_back(
        self, emulator: SqreamEmulator, client: Client
    ) -> None:
        columns = [Column("at", WireType.DATETIME2)]
        emulator.serve("first", columns, [(ZONED,)])
        fine = client.rows("select first()")[0][0].replace(nanosecond=789)
        emulator.serve("second", columns, [(fine,)])

        assert client.rows("select second()")[0][0].nanosecond == 789

    def test_a_client_sees_names_with_blanks(self, client: Client) -> None:
        client.rows("select show_locks()")

        assert client.cursor.description[0][:2] == ("statement id", "STRING")

    @pytest.mark.parametrize("name", SIX_FUNCTIONS)
    def test_the_monitoring_functions_answer(self, client: Client, name: str) -> None:
        rows = client.rows(f"select {name}()")

        widths = {len(row) for row in rows}
        assert widths <= {len(client.cursor.description)}
        assert rows or name == "show_locks"

    def test_a_result_in_chunks_arrives_whole(
        self, emulator: SqreamEmulator, client: Client
    ) -> None:
        rows = [(i, f"row {i}") for i in range(105)]
        columns = [Column("i", WireType.INT), Column("t", WireType.TEXT)]
        emulator.serve("t", columns, rows, chunk_rows=10)

        assert client.rows("select t()") == rows

    def test_a_hundred_thousand_rows_arrive(self, emulator: SqreamEmulator, client: Client) -> None:
        columns = [Column(f"c{i}", WireType.BIGINT, nullable=False) for i in range(10)]
        rows = [(i,) * 10 for i in range(100_000)]
        emulator.serve("t", columns, rows, chunk_rows=50_000)

        assert client.rows("select t()") == rows

    def test_a_result_without_rows_is_empty(self, emulator: SqreamEmulator, client: Client) -> None:
        emulator.serve("t", [Column("x", WireType.INT)], [])

        assert client.rows("select t()") == []

    def test_a_statement_without_columns_has_no_result_set(
        self, emulator: SqreamEmulator, client: Client
    ) -> None:
        emulator.serve("t", [], [])
        client.cursor.execute("select t()")

        assert not client.cursor.description


class TestLogin:
    """Who may come in, and what the others are told."""

    @pytest.mark.parametrize(
        ("changed", "text"),
        [
            pytest.param({"username": "x"}, "role 'x' doesn't exist", id="role"),
            pytest.param({"password": "x"}, "wrong password for role 'sqream'", id="password"),
            pytest.param({"database": "x"}, "Database x no longer exists", id="database"),
            pytest.param({"service": "x"}, "no instances subscribed to the", id="service"),
        ],
    )
    def test_a_wrong_login_is_refused(
        self, emulator: SqreamEmulator, changed: dict[str, str], text: str
    ) -> None:
        with pytest.raises(pysqream.utils.ProgrammingError, match=text):
            Client(emulator, **changed)

        assert emulator.counts.logins_refused == 1

    def test_escaped_credentials_are_compared_as_they_were_meant(self) -> None:
        with SqreamEmulator(username='ża"b', password="p\\w") as emulator:  # noqa: S106
            client = Client(emulator, username='\\u017ca\\"b', password="p\\\\w")  # noqa: S106
            client.close()

            assert emulator.counts.logins == 2

    def test_credentials_that_break_the_message_end_the_connection(
        self, emulator: SqreamEmulator
    ) -> None:
        with pytest.raises((ConnectionRefusedError, ConnectionResetError)):
            Client(emulator, password='a"b')  # noqa: S106


class TestErrors:
    """Statements that the server refuses; the session goes on."""

    @pytest.mark.parametrize(
        ("sql", "text"),
        [
            pytest.param("select nope()", "Could not find function nope in catalog.", id="unknown"),
            pytest.param("select 1; select 2", "expected one statement, got 2", id="several"),
            pytest.param("select 1", "The query requires a GPU-Worker", id="no GPU"),
        ],
    )
    def test_a_refused_statement_leaves_the_session_usable(
        self, client: Client, sql: str, text: str
    ) -> None:
        with pytest.raises(Exception, match=text):
            client.rows(sql)

        assert client.rows("select show_version()") == [("v4.9.0",)]

    def test_the_text_of_a_worker_without_gpu_can_be_chosen(self) -> None:
        with SqreamEmulator(cpu_refusal=INTERNAL_RUNTIME_ERROR) as emulator:
            client = Client(emulator)
            with pytest.raises(Exception, match=INTERNAL_RUNTIME_ERROR):
                client.rows("select 1")
            client.close()

    def test_a_worker_with_gpu_runs_select_1(self) -> None:
        with SqreamEmulator(gpu=True) as emulator:
            client = Client(emulator)

            assert client.rows("select 1") == [(1,)]
            client.close()

    def test_a_ping_is_counted_and_not_answered(self, emulator: SqreamEmulator) -> None:
        with socket.create_connection((emulator.host, emulator.port), 5) as raw:
            raw.sendall(text_message({"ping": "ping"}))
            raw.sendall(text_message({"closeConnection": "closeConnection"}))
            answer = raw.makefile("rb").read()

        assert answer == text_message({"connectionClosed": "connectionClosed"})
        assert emulator.counts.pings == 1


class TestCluster:
    """Pickers, TLS and more than one listener."""

    def test_a_client_finds_the_worker_through_the_picker(self) -> None:
        with SqreamEmulator(picker_port=0) as emulator:
            client = Client(emulator, port=emulator.picker_port, clustered=True)

            assert client.rows("select show_version()") == [("v4.9.0",)]
            client.close()

    def test_a_picker_speaks_first_and_hangs_up(self) -> None:
        with (
            SqreamPicker([("127.0.0.1", 5000)]) as picker,
            socket.create_connection((picker.host, picker.port), 5) as raw,
        ):
            assert raw.makefile("rb").read() == picker_message("127.0.0.1", 5000)

    def test_a_picker_names_its_workers_in_turn(self) -> None:
        with (
            SqreamEmulator(version="1") as one,
            SqreamEmulator(version="2") as two,
            SqreamPicker([(one.host, one.port), (two.host, two.port)]) as picker,
        ):
            client = Client(one, port=picker.port, clustered=True)
            client.close()

            assert (one.counts.logins, two.counts.logins, picker.picks) == (1, 1, 2)

    def test_a_client_speaks_tls(self, tls: TlsFiles) -> None:
        with SqreamEmulator(tls=tls) as emulator:
            client = Client(emulator, port=emulator.port_ssl, use_ssl=True)

            assert client.rows("select show_version()") == [("v4.9.0",)]
            client.close()

    @pytest.mark.parametrize("use_ssl", [False, True], ids=["plain", "TLS"])
    def test_a_statement_goes_on_at_the_second_listener(self, tls: TlsFiles, use_ssl: bool) -> None:
        with SqreamEmulator(tls=tls, reconnects=True) as emulator:
            port = emulator.port_ssl if use_ssl else emulator.port
            client = Client(emulator, port=port, use_ssl=use_ssl)
            answers = [client.rows("select show_version()") for _ in range(2)]

            assert answers == [[("v4.9.0",)]] * 2
            assert emulator.counts.connections_opened == 3
            client.close()

    def test_a_worker_without_gpu_says_so_when_it_takes_the_statement_over(self) -> None:
        with SqreamEmulator(reconnects=True) as emulator:
            client = Client(emulator)
            with pytest.raises(Exception, match=r"statementReconstructed.*(?s:.*)GPU-Worker"):
                client.rows("select 1")
            client.close()


class TestFaults:
    """What goes wrong on request."""

    @pytest.mark.parametrize("step", [Step.PREPARE, Step.EXECUTE, Step.FETCH, Step.BLOCK])
    def test_a_statement_hangs_until_the_fault_is_cleared(
        self, emulator: SqreamEmulator, client: Client, step: Step
    ) -> None:
        hang = emulator.faults.add(Fault(at=step, function="show_version", action=Hang()))
        running = Running(lambda: client.rows("select show_version()"))
        assert hang.struck.wait(DEADLINE_SECONDS)
        waiting = running.is_waiting()
        hang.clear()

        assert waiting
        assert running.ended()
        assert running.result == [("v4.9.0",)]

    @pytest.mark.parametrize("step", [Step.CONNECT, Step.LOGIN])
    def test_a_login_hangs_until_the_emulator_stops(
        self, emulator: SqreamEmulator, step: Step
    ) -> None:
        hang = emulator.faults.add(Fault(at=step, action=Hang()))
        running = Running(lambda: Client(emulator))
        assert hang.struck.wait(DEADLINE_SECONDS)
        waiting = running.is_waiting()
        emulator.stop()

        assert waiting
        assert running.ended()
        assert isinstance(running.error, OSError)

    @pytest.mark.parametrize("step", [Step.PREPARE, Step.EXECUTE, Step.FETCH, Step.BLOCK])
    def test_a_cut_connection_fails_one_client_and_spares_the_next(
        self, emulator: SqreamEmulator, client: Client, step: Step
    ) -> None:
        emulator.faults.add(Fault(at=step, action=Cut(), times=1))
        with pytest.raises(OSError, match=r"."):
            client.rows("select show_version()")
        another = Client(emulator)

        assert another.rows("select show_version()") == [("v4.9.0",)]
        another.close()

    @pytest.mark.parametrize("step", [Step.CONNECT, Step.LOGIN])
    def test_a_login_can_be_cut(self, emulator: SqreamEmulator, step: Step) -> None:
        emulator.faults.add(Fault(at=step, action=Cut(), times=1))

        with pytest.raises(OSError, match=r"."):
            Client(emulator)

    @pytest.mark.parametrize("step", [Step.PREPARE, Step.EXECUTE, Step.FETCH])
    def test_an_error_answer_for_one_function_spares_the_others(
        self, emulator: SqreamEmulator, client: Client, step: Step
    ) -> None:
        denied = ErrorAnswer("Permission denied")
        emulator.faults.add(Fault(at=step, function="show_locks", action=denied))
        with pytest.raises(Exception, match="Permission denied"):
            client.rows("select show_locks()")

        assert client.rows("select show_version()") == [("v4.9.0",)]

    def test_logins_can_be_refused(self, emulator: SqreamEmulator) -> None:
        emulator.faults.add(Fault(at=Step.LOGIN, action=SHUTTING_DOWN))

        with pytest.raises(pysqream.utils.ProgrammingError, match="shutting down"):
            Client(emulator)

    def test_a_delay_makes_a_statement_slow(self, emulator: SqreamEmulator, client: Client) -> None:
        slow = Delay(SHORT_LIVED_FAULT_SECONDS)
        emulator.faults.add(Fault(at=Step.EXECUTE, action=slow, times=1))
        started = time.monotonic()
        client.rows("select show_version()")

        assert time.monotonic() - started >= SHORT_LIVED_FAULT_SECONDS


class TestLife:
    """Start, stop, and what is known afterwards."""

    def test_it_comes_back_on_the_same_port(self, emulator: SqreamEmulator) -> None:
        port = emulator.port
        first = Client(emulator)
        emulator.stop()
        with pytest.raises(OSError, match=r"."):
            first.rows("select show_version()")
        emulator.start()
        second = Client(emulator)

        assert emulator.port == port
        assert second.rows("select show_version()") == [("v4.9.0",)]
        second.close()

    def test_while_it_is_stopped_connections_are_refused(self, emulator: SqreamEmulator) -> None:
        emulator.stop()

        with pytest.raises(ConnectionRefusedError):
            Client(emulator)

    def test_it_leaves_no_thread_behind(self, tls: TlsFiles) -> None:
        with SqreamEmulator(tls=tls, reconnects=True, picker_port=0) as emulator:
            clients = [
                Client(emulator),
                Client(emulator, port=emulator.port_ssl, use_ssl=True),
            ]
            emulator.faults.add(Fault(at=Step.CONNECT, action=Hang()))
            silent = socket.create_connection((emulator.host, emulator.port_ssl))
        silent.close()
        names = [thread.name for thread in threading.enumerate()]
        for each in clients:
            with contextlib.suppress(Exception):  # their server is gone
                each.close()

        assert not [name for name in names if name.startswith("sqream-")]

    def test_a_port_that_is_taken_is_an_error(self, emulator: SqreamEmulator) -> None:
        second = SqreamEmulator(port=emulator.port)

        with pytest.raises(OSError, match="in use"):
            second.start()

    def test_sessions_are_counted_while_they_are_open(self, emulator: SqreamEmulator) -> None:
        client = Client(emulator)
        while_open = emulator.counts.sessions_open
        client.close()

        assert while_open == 2
        assert _eventually(lambda: emulator.counts.sessions_open == 0)
        assert emulator.counts.connections_opened == 2

    def test_statements_are_counted_by_function(
        self, emulator: SqreamEmulator, client: Client
    ) -> None:
        for _ in range(3):
            client.rows("select show_version()")

        assert emulator.counts.statements == {"show_version": 3}

    def test_what_was_served_is_told_with_its_rows(
        self, emulator: SqreamEmulator, client: Client
    ) -> None:
        told: list[tuple[str, list[tuple[Any, ...]]]] = []
        emulator.on_served = lambda name, rows: told.append((name, rows))
        rows = client.rows("select show_server_status()")

        assert _eventually(lambda: told == [("show_server_status", rows)])

    def test_what_was_cut_short_is_not_told(self, emulator: SqreamEmulator, client: Client) -> None:
        told: list[str] = []
        emulator.on_served = lambda name, _rows: told.append(name)
        emulator.faults.add(Fault(at=Step.BLOCK, action=Cut(), times=1))
        with pytest.raises(OSError, match=r"."):
            client.rows("select show_version()")
        another = Client(emulator)
        another.rows("select get_license_info()")
        another.close()

        assert _eventually(lambda: told == ["get_license_info"])

    @pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
    def test_it_runs_alone_until_a_signal(self, ending: signal.Signals) -> None:
        with subprocess.Popen(
            [sys.executable, "-m", "shipper.demo.sqream", "--port", "0", "--seed", "1", "--gpu"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            port = int(line.rpartition(":")[2])
            client = Client(SqreamEmulator(port=port))
            rows = client.rows("select 1")
            client.close()
            process.send_signal(ending)

            assert rows == [(1,)]
            assert process.wait(DEADLINE_SECONDS) == 0
