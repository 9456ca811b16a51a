"""The small commands: one poll, the checks alone, the schema, an example, the version."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipper import __version__
from shipper.cli import main
from shipper.demo.log_store import Limits, LogStore
from shipper.demo.sqream import Column, SqreamEmulator, WireType
from tests.support.services import free_port
from tests.support.shipper_process import ROOT, Ended, command, far_ends, write_config

NODES = [Column("node id", WireType.TEXT), Column("load", WireType.INT)]
METRICS = {
    "show_conf": {
        "label_fields": ["node_id"],
        "metrics": [{"name": "node_load", "value": "load", "labels": ["node_id"]}],
    },
    "show_locks": 2,
    "reset_leveldb_stats": 86400,
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[SqreamEmulator]:
    with SqreamEmulator() as running:
        running.serve("show_conf", NODES, [("n[1]", 3), ("n2", 4), ("n2", None)])
        running.serve("show_locks", NODES, [])
        yield running


@pytest.fixture
def store() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, METRICS)


def once(*words: str, folder: Path, flags: list[str]) -> Ended:
    return command(["once", *words, *flags], folder)


# once


def test_once_polls_one_metric_and_delivers_its_lines(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    ended = once("show_conf", folder=tmp_path, flags=far_ends(emulator, store.url, config))

    assert ended == Ended(0, "3 rows polled, 3 lines delivered.\n", "")
    assert [stored.line for stored in store.lines('{job="show_conf",node_id="n2"}')] == [
        '{"node_id":"n2","load":4}',
        '{"node_id":"n2","load":null}',
    ]


def test_once_of_an_empty_result_delivers_nothing(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    ended = once("show_locks", folder=tmp_path, flags=far_ends(emulator, store.url, config))

    assert ended == Ended(0, "0 rows polled, 0 lines delivered.\n", "")
    assert store.pushes == []


def test_once_of_a_metric_that_is_not_shipped_delivers_nothing(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    flags = far_ends(emulator, store.url, config)
    ended = once("reset_leveldb_stats", folder=tmp_path, flags=flags)

    assert ended.exit_code == 0
    assert "not shipped" in ended.stdout
    assert store.pushes == []


def test_a_dry_run_shows_everything_and_delivers_nothing(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    flags = far_ends(emulator, store.url, config)
    ended = once("show_conf", "--dry-run", folder=tmp_path, flags=flags)
    shown = [line.strip() for line in ended.stdout.splitlines()]
    instance = f"{emulator.host}:{emulator.port}"

    assert store.pushes == []
    assert ended.exit_code == 0
    assert shown[0] == "show_conf: 3 rows in 2 streams; nothing was delivered."
    assert (
        f'stream job="show_conf", service_name="sqream", instance="{instance}", node_id="n[1]"'
        in shown
    )
    assert any(line.endswith('{"node_id":"n[1]","load":3}') for line in shown)
    assert "node_id: 2 values" in shown
    assert not any(line.startswith("warning:") for line in shown)
    assert 'node_load{node_id="n[1]"} 3.0' in shown
    assert 'shipper_rows_total{metric="show_conf"} 3.0' in shown


def test_a_verdict_needs_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["once", "show_conf", "--verdict"]) == 2
    assert "--verdict needs --dry-run" in capsys.readouterr().err


def test_a_verdict_tells_what_the_real_loki_would_take(
    emulator: SqreamEmulator, config: Path, tmp_path: Path
) -> None:
    with LogStore(limits=Limits(max_line_bytes=25)) as store:
        flags = far_ends(emulator, store.url, config)
        ended = once("show_conf", "--dry-run", "--verdict", folder=tmp_path, flags=flags)
    _, verdict = ended.stdout.split("What Loki would say, asked of a stand-in with ")
    lines = verdict.splitlines()

    assert (ended.exit_code, ended.stderr, store.pushes) == (0, "", [])
    assert lines[0] == f"the limits of {store.url}:"
    assert lines[1].endswith('node_id="n[1]": 1 of 1 line refused')
    assert lines[2].startswith("    line_too_long: max entry size '25' bytes exceeded")
    assert lines[3].endswith(' {"node_id":"n[1]","load":3}')
    assert lines[4].endswith('node_id="n2": 1 of 2 lines refused')
    assert lines[6].endswith(' {"node_id":"n2","load":null}')
    assert lines[7].startswith("Only the real Loki knows ")


def test_a_verdict_without_loki_takes_its_default_limits(
    emulator: SqreamEmulator, config: Path, tmp_path: Path
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    flags = far_ends(emulator, nobody, config)
    ended = once("show_conf", "--dry-run", "--verdict", folder=tmp_path, flags=flags)
    _, verdict = ended.stdout.split("What Loki would say, asked of a stand-in with ")
    lines = verdict.splitlines()

    assert ended.exit_code == 0
    assert lines[0] == f"Loki's default limits, because {nobody} does not show its own:"
    assert [line.rpartition(": ")[2] for line in lines[1:3]] == ["taken", "taken"]


def test_a_verdict_on_nothing_says_so(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    flags = far_ends(emulator, store.url, config)
    ended = once("show_locks", "--dry-run", "--verdict", folder=tmp_path, flags=flags)

    assert "nothing, for nothing would be sent" in ended.stdout


def test_once_of_an_unknown_metric_names_the_nearest(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    ended = once("show_lock", folder=tmp_path, flags=far_ends(emulator, store.url, config))

    assert ended.exit_code == 2
    assert ended.stderr == (
        f'shipper: {config}: there is no metric show_lock; did you mean "show_locks"?\n'
    )


def test_once_without_a_sqream_is_a_fault_of_the_surroundings(
    store: LogStore, config: Path, tmp_path: Path
) -> None:
    flags = ["--host", "127.0.0.1", "--port", str(free_port()), "--loki_url", store.url]
    ended = once("show_conf", folder=tmp_path, flags=[*flags, "--config", str(config)])

    assert ended.exit_code == 3
    (line,) = ended.stderr.splitlines()
    assert line.startswith("shipper: show_conf could not be polled: ")
    assert line.endswith("refuses connections")


# check


def test_check_prints_one_row_per_check_and_nothing_else(
    emulator: SqreamEmulator, store: LogStore, config: Path, tmp_path: Path
) -> None:
    ended = command(["check", *far_ends(emulator, store.url, config)], tmp_path)
    rows = [line.split()[:2] for line in ended.stdout.splitlines()]

    assert rows == [
        ["ok", "check_state_dir"],
        ["ok", "check_http"],
        ["ok", "check_customer_metrics"],
        ["ok", "check_sqream_connection"],
        ["ok", "check_sqream_on_cpu"],
        ["ok", "check_loki_connection"],
        ["ok", "check_loki_clock"],
        ["ok", "check_loki_limits"],
    ]
    assert (ended.exit_code, ended.stderr) == (0, "")


# schema, example, version


def schema(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["schema"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def test_the_schema_knows_the_short_and_the_full_form(capsys: pytest.CaptureFixture[str]) -> None:
    short, full = schema(capsys)["anyOf"]

    assert short["additionalProperties"] is False
    assert full["required"] == ["metrics"]
    assert {"loki", "http", "sqream", "metrics"} <= set(full["properties"])


def test_every_reference_in_the_schema_leads_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    document = schema(capsys)
    text = json.dumps(document)
    references = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}

    assert references
    assert {each.removeprefix("#/$defs/") for each in references} <= set(document["$defs"])


def test_the_schema_accepts_monitor_input_and_refuses_what_the_program_refuses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    if importlib.util.find_spec("jsonschema") is None:
        pytest.skip("THE PACKAGE jsonschema IS NOT INSTALLED, so the schema is not tried")
    jsonschema: Any = importlib.import_module("jsonschema")
    validator = jsonschema.Draft202012Validator(schema(capsys))
    monitor_input = json.loads((ROOT / "monitor_input.json").read_text())

    assert validator.is_valid(monitor_input)
    assert validator.is_valid({"metrics": METRICS})
    assert not validator.is_valid({"show_locks": "often"})
    assert not validator.is_valid({"show_locks": 0})
    assert not validator.is_valid({"metrics": {"show_locks": {"every_second": 2}}})


def test_the_names_that_the_schema_takes_are_those_of_monitor_input(
    capsys: pytest.CaptureFixture[str],
) -> None:
    short = schema(capsys)["anyOf"][0]
    ((pattern, seconds),) = short["patternProperties"].items()

    assert pattern == "^[A-Za-z_][A-Za-z0-9_]*$"
    assert (seconds["type"], seconds["exclusiveMinimum"]) == ("number", 0)


def test_the_example_of_sqream_is_a_configuration_that_runs(
    emulator: SqreamEmulator,
    store: LogStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["example", "sqream"]) == 0
    path = tmp_path / "example.json"
    path.write_text(capsys.readouterr().out)
    ended = command(["check", *far_ends(emulator, store.url, path)], tmp_path)

    assert ended.exit_code == 0, ended


def test_an_example_of_an_unknown_kind_names_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["example", "sqraem"]) == 2
    assert 'did you mean "sqream"?' in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"shipper {__version__}\n"


@pytest.mark.parametrize("word", ["run", "check", "once", "demo", "schema", "example", "version"])
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], word: str) -> None:
    assert main([word, "--help"]) == 0
    assert "Usage:" in capsys.readouterr().out
