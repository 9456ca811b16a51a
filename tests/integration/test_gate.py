"""The startup gate of the whole program: what keeps it from running, what it says then, and what it never does."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.demo.log_store import Limits, LogStore
from shipper.demo.sqream import Column, Row, SqreamEmulator, StatementRefused, WireType
from shipper.startup.surroundings import claim_state_dir
from tests.support.services import free_port
from tests.support.shipper_process import (
    Ended,
    ShipperProcess,
    command,
    far_ends,
    until,
    write_config,
)

REFUSED_EXIT_CODE = 3
SECRET = "kein-Wort-davon-7431"  # noqa: S105 - opens an emulator
NUMBERS = [Column("n", WireType.INT)]


@pytest.fixture(scope="module")
def emulator() -> Iterator[SqreamEmulator]:
    with SqreamEmulator() as running:
        yield running


@pytest.fixture(scope="module")
def store() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, {"show_locks": 0.3, "get_license_info": 0.3})


def refused(ended: Ended, check: str) -> str:
    """See that a run was refused because of `check`, with a hint, and return the row of the table with its hint."""
    assert ended.exit_code == REFUSED_EXIT_CODE, ended
    assert "Traceback" not in ended.stderr
    (verdict,) = [line for line in ended.stderr.splitlines() if line.startswith("shipper: failed:")]
    assert check in verdict
    lines = ended.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if check in line)
    assert lines[at].split()[0] == "FAILED"
    assert "hint: " in lines[at + 1]
    return f"{lines[at]}\n{lines[at + 1]}"


@pytest.mark.parametrize(
    ("flags", "fact"),
    [
        pytest.param(["--password", SECRET], "wrong password", id="password"),
        pytest.param(["--username", "nobody"], "doesn't exist", id="username"),
        pytest.param(["--database", "nowhere"], "no longer exists", id="database"),
        pytest.param(["--service", "unserved"], "no instances subscribed", id="service"),
    ],
)
def test_a_login_that_is_refused_stops_the_run(
    emulator: SqreamEmulator,
    store: LogStore,
    config: Path,
    tmp_path: Path,
    *,
    flags: list[str],
    fact: str,
) -> None:
    flags = [*far_ends(emulator, store.url, config), *flags, "--log_level", "debug"]
    ended = command(["run", *flags], tmp_path)

    assert fact in refused(ended, "check_sqream_connection")
    assert SECRET not in ended.stdout + ended.stderr


def test_a_sqream_that_is_not_there_stops_the_run(
    store: LogStore, config: Path, tmp_path: Path
) -> None:
    flags = ["--port", str(free_port()), "--loki_url", store.url, "--config", str(config)]
    ended = command(["run", "--host", "127.0.0.1", *flags], tmp_path)

    assert "refuses connections" in refused(ended, "check_sqream_connection")


def test_a_worker_with_a_gpu_stops_the_run(store: LogStore, config: Path, tmp_path: Path) -> None:
    with SqreamEmulator(gpu=True) as with_gpu:
        ended = command(["run", *far_ends(with_gpu, store.url, config)], tmp_path)

    assert "GPU" in refused(ended, "check_sqream_on_cpu")


def test_a_function_that_only_allow_functions_knows_stops_the_run(
    emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    config = write_config(tmp_path, {"show_lokcs": 1}, sqream={"allow_functions": ["show_lokcs"]})
    ended = command(["run", *far_ends(emulator, store.url, config)], tmp_path)

    assert 'did you mean "show_locks"?' in refused(ended, "check_customer_metrics")


def test_serving_beyond_loopback_without_a_token_stops_the_run(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    flags = far_ends(emulator, store.url, config)
    ended = command(["run", *flags, "--http_host", "0.0.0.0"], tmp_path)  # noqa: S104 - refused

    assert "--http_token_file" in refused(ended, "check_http")


def test_a_port_that_is_taken_stops_the_run(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        flags = [*far_ends(emulator, store.url, config), "--http_port", str(port)]
        ended = command(["run", *flags], tmp_path)

    assert f"127.0.0.1:{port}" in refused(ended, "check_http")


def test_a_second_shipper_on_one_state_directory_is_refused(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    first = claim_state_dir(tmp_path / "state")
    ended = command(["run", *far_ends(emulator, store.url, config)], tmp_path)
    first.release()

    assert f"pid {os.getpid()}" in refused(ended, "check_state_dir")


def test_a_refused_run_tells_every_fault_at_once_and_ships_nothing(
    config: Path, tmp_path: Path
) -> None:
    with SqreamEmulator(gpu=True) as with_gpu, LogStore() as unused:
        nobody = f"http://127.0.0.1:{free_port()}"
        flags = [*far_ends(with_gpu, nobody, config), "--password", "wrong"]
        ended = command(["run", *flags], tmp_path)

        assert unused.pushes == []
    assert "refuses connections" in refused(ended, "check_loki_connection")
    assert "wrong password" in refused(ended, "check_sqream_connection")


def test_a_loki_that_is_still_starting_passes_with_a_note(
    emulator: SqreamEmulator, config: Path, tmp_path: Path
) -> None:
    with LogStore(ready_after_seconds=3600) as starting:
        ended = command(["check", *far_ends(emulator, starting.url, config)], tmp_path)

    (row,) = [line for line in ended.stdout.splitlines() if "check_loki_connection" in line]
    assert row.split()[0] == "note"
    assert ended.exit_code == 0


def test_wait_seconds_lets_loki_come_later(emulator: SqreamEmulator, tmp_path: Path) -> None:
    config = write_config(tmp_path, {"show_version": 0.3})
    late = LogStore(port=free_port())
    before = emulator.counts.statements.get("1", 0)
    flags = [*far_ends(emulator, f"http://127.0.0.1:{late._port}", config), "--wait_seconds", "60"]
    try:
        with ShipperProcess(["run", *flags], tmp_path) as shipper:
            until(lambda: emulator.counts.statements.get("1", 0) > before)
            late.start()
            until(lambda: late.lines('{job="show_version"}'))

            assert shipper.terminate() == 0
    finally:
        late.close()


def test_checks_that_had_to_wait_for_loki_are_tried_once_it_is_there(
    emulator: SqreamEmulator, tmp_path: Path
) -> None:
    config = write_config(tmp_path, {"show_version": 0.3})
    late = LogStore(port=free_port(), limits=Limits(max_line_bytes=1000))
    before = emulator.counts.statements.get("1", 0)
    flags = [*far_ends(emulator, f"http://127.0.0.1:{late._port}", config), "--wait_seconds", "60"]
    try:
        with ShipperProcess(["run", *flags], tmp_path) as shipper:
            until(lambda: emulator.counts.statements.get("1", 0) > before)
            late.start()
            until(lambda: late.lines('{job="show_version"}'))
    finally:
        late.close()

    lines = shipper.stdout.splitlines()
    rows = [line for line in lines if "check_loki_" in line and "not yet" not in line]
    assert [row.split()[:2] for row in rows] == [
        ["ok", "check_loki_connection"],
        ["ok", "check_loki_clock"],
        ["note", "check_loki_limits"],
    ]
    assert "lines over 1000 bytes are refused" in rows[2]


def test_a_signal_while_the_gate_waits_ends_it_with_exit_code_0(
    emulator: SqreamEmulator, config: Path, tmp_path: Path
) -> None:
    before = emulator.counts.statements.get("1", 0)
    nobody = f"http://127.0.0.1:{free_port()}"
    flags = [*far_ends(emulator, nobody, config), "--wait_seconds", "300"]
    with ShipperProcess(["run", *flags], tmp_path) as shipper:
        until(lambda: emulator.counts.statements.get("1", 0) > before)
        shipper.signal(signal.SIGINT)

        assert shipper.wait() == 0
        shipper.until_nothing_lives()


def test_check_as_json_is_nothing_but_json_on_stdout(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    ended = command(["check", *far_ends(emulator, store.url, config), "--json"], tmp_path)
    found = json.loads(ended.stdout)

    assert ended.exit_code == 0
    assert found["passed"] is True
    assert {each["outcome"] for each in found["checks"]} == {"passed"}


def test_check_as_json_names_the_failed_check_with_a_hint_and_ends_with_3(
    emulator: SqreamEmulator, config: Path, tmp_path: Path
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    ended = command(["check", *far_ends(emulator, nobody, config), "--json"], tmp_path)
    found = json.loads(ended.stdout)
    failed = [each for each in found["checks"] if each["outcome"] == "failed"]

    assert found["passed"] is False
    noted = [each for each in found["checks"] if each["outcome"] == "noted"]

    assert [each["name"] for each in failed] == ["check_loki_connection"]
    assert failed[0]["hint"]
    assert [each["name"] for each in noted] == ["check_loki_clock", "check_loki_limits"]
    assert {(each["text"], each["hint"]) for each in noted} == {
        ("not tried: Loki cannot be reached", "")
    }
    assert ended.exit_code == REFUSED_EXIT_CODE


def test_check_beside_a_running_shipper_only_notes_what_the_other_one_holds(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    running = claim_state_dir(tmp_path / "state")
    ended = command(["check", *far_ends(emulator, store.url, config)], tmp_path)
    running.release()

    (row,) = [line for line in ended.stdout.splitlines() if "check_state_dir" in line]
    assert row.split()[0] == "note"
    assert ended.exit_code == 0


def test_check_fails_where_a_run_could_not_start(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    ended = command(["check", *far_ends(emulator, store.url, config)], tmp_path)

    (row,) = [line for line in ended.stdout.splitlines() if "check_state_dir" in line]
    assert row.split()[0] == "FAILED"
    assert "hint: choose another with --state_dir" in ended.stdout
    assert ended.exit_code == 3


def test_the_gate_never_runs_what_changes_the_server(store: LogStore, tmp_path: Path) -> None:
    with SqreamEmulator() as fresh:
        ended = command(["check", *far_ends(fresh, store.url)], tmp_path)

        assert ended.exit_code == 0
        assert dict(fresh.counts.statements) == {
            "1": 1,
            "get_leveldb_stats": 1,
            "get_license_info": 1,
            "show_cluster_nodes": 1,
            "show_locks": 1,
            "show_server_status": 1,
        }
    assert "reset_leveldb_stats: not tried" in ended.stdout


def test_a_metric_without_permission_is_noted_and_stops_no_other(
    store: LogStore, tmp_path: Path
) -> None:
    def denied() -> list[Row]:
        raise StatementRefused("Permission denied: role 'sqream' may not run show_conf")

    config = write_config(tmp_path, {"show_conf": 0.3, "show_node_info": 0.3})
    with SqreamEmulator() as emulator:
        emulator.serve("show_conf", NUMBERS, denied)
        emulator.serve("show_node_info", NUMBERS, [(1,)])
        with ShipperProcess(["run", *far_ends(emulator, store.url, config)], tmp_path) as shipper:
            until(lambda: len(store.lines('{job="show_node_info"}')) >= 2)
            until(lambda: shipper.polls("show_conf", "error") >= 2)

            assert "Permission denied" in shipper.state()["show_conf"]["error"]
            assert store.lines('{job="show_conf"}') == []
            shipper.until_ready()
    (row,) = [line for line in shipper.stdout.splitlines() if "check_customer_metrics" in line]
    assert row.split()[0] == "note"


def test_a_password_is_nowhere_to_be_seen(tmp_path: Path) -> None:
    config = write_config(tmp_path, {"show_version": 0.3})
    log_file = tmp_path / "shipper.log"
    with SqreamEmulator(password=SECRET) as guarded, LogStore() as store:
        flags = [*far_ends(guarded, store.url, config), "--password", SECRET]
        flags += ["--log_level", "debug", "--log_file_path", str(log_file)]
        with ShipperProcess(["run", *flags], tmp_path) as shipper:
            until(store.lines)
            shown = [shipper.get(path).data.decode() for path in ("/", "/api/state", "/metrics")]
            shown += shipper.titles()
            guarded.stop()
            until(lambda: shipper.polls("show_version", "error") >= 1)
            shown.append(shipper.get("/api/state").data.decode())
            shipper.terminate()
    shown += [shipper.stdout, shipper.stderr, log_file.read_text()]

    assert [text for text in shown if SECRET in text] == []


def test_a_password_on_the_command_line_leaves_ps_before_the_gate_tries_anything(
    store: LogStore, config: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        port = str(silent.getsockname()[1])
        flags = ["--host", "127.0.0.1", "--port", port, "--password", SECRET]
        flags += ["--loki_url", store.url, "--config", str(config)]
        with ShipperProcess(["run", *flags], tmp_path) as shipper:
            connection, _ = silent.accept()
            connection.close()
            shown = shipper.titles()

    assert [arguments for arguments in shown if SECRET in arguments] == []
