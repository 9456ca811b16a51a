"""The words an operator types, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from shipper import __version__, cli
from shipper.cli import main
from shipper.config.flags import FLAGS
from shipper.config.override import Override
from shipper.config.secret import Secret
from shipper.core.checks import Check, Finding, Outcome
from shipper.core.errors import ConfigError, EveryWorkerGaveUp, ShipperError, StartupError
from shipper.startup.gate import Verdict
from shipper.telemetry.log import LogSettings
from shipper.wiring import demo as demos
from shipper.wiring.settings import RunSettings

Ran = list[RunSettings]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for flag in FLAGS:
        monkeypatch.delenv(flag.variable, raising=False)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """The settings of every run; nothing runs."""
    settings: Ran = []
    monkeypatch.setattr("shipper.wiring.run.run", lambda given, **_: settings.append(given))
    return settings


def verdict(outcome: Outcome) -> Verdict:
    finding = Finding(outcome, "what was found")
    return Verdict(Check("check_something", lambda _deadline_seconds: finding), finding, 0.1)


def checking(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
    monkeypatch.setattr("shipper.wiring.gate.check", lambda _settings, **_: [verdict(outcome)])


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_arguments: Any, **_more: Any) -> Any:
        raise error

    return fail


def override_of(ran: Ran) -> dict[str, object]:
    return {f"{each.section}.{each.key}": each.value for each in ran[0].overrides}


@pytest.mark.parametrize(
    "arguments",
    [[], ["run"], ["--host", "db"], ["run", "--host", "db"]],
    ids=["nothing", "run", "a flag", "run and a flag"],
)
def test_flags_without_a_command_mean_run(ran: Ran, arguments: list[str]) -> None:
    assert main(arguments) == 0
    assert len(ran) == 1


def test_nothing_given_changes_nothing(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    main([])

    assert ran[0].overrides == ()
    assert (ran[0].wait_seconds, ran[0].log) == (0, LogSettings())
    assert ran[0].state_dir == tmp_path / "shipper"


@pytest.mark.parametrize(
    "flag", [flag for flag in FLAGS if "_" in flag.name], ids=lambda flag: flag.name
)
def test_a_flag_may_be_written_with_hyphens(flag: Any) -> None:
    options = {spelling: option.name for option in cli.run.params for spelling in option.opts}

    assert options[f"--{flag.name}"] == options[f"--{flag.name.replace('_', '-')}"] == flag.name


def test_flags_reach_their_places(ran: Ran) -> None:
    main(
        [
            "--host",
            "db",
            "--port",
            "5001",
            "--database",
            "d",
            "--user",
            "u",
            "--password",
            "p",
            "--clustered",
            "--service",
            "s",
            "--loki-url",
            "https://loki",
            "--loki_tenant",
            "t",
            "--http_port",
            "0",
        ]
    )

    assert override_of(ran) == {
        "sqream.host": "db",
        "sqream.port": 5001,
        "sqream.database": "d",
        "sqream.username": "u",
        "sqream.password": Secret("literal", "p"),
        "sqream.clustered": True,
        "sqream.service": "s",
        "loki.url": "https://loki",
        "loki.tenant": "t",
        "http.port": 0,
    }


def test_flags_beside_the_configuration_reach_the_run(ran: Ran) -> None:
    main(
        [
            "--config",
            "c.json",
            "--state-dir",
            "s",
            "--wait_seconds",
            "2.5",
            "--log_level",
            "debug",
            "--log-format",
            "json",
            "--log_file_path",
            "l.log",
            "--log_file_max_bytes",
            "0",
            "--log_files_kept",
            "9",
        ]
    )

    assert ran == [
        RunSettings(
            path=Path("c.json"),
            overrides=(),
            state_dir=Path("s"),
            wait_seconds=2.5,
            log=LogSettings("debug", "json", Path("l.log"), file_bytes=0, files_kept=9),
        )
    ]


@pytest.mark.parametrize(("written", "seconds"), [([], 20), (["--drain_seconds", "0"], 0)])
def test_how_long_waiting_lines_are_delivered_at_a_stop_can_be_said(
    ran: Ran, written: list[str], seconds: float
) -> None:
    main(written)

    assert ran[0].drain_seconds == seconds


def test_the_configuration_lies_beside_the_program(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", [str(tmp_path / "main.py")])
    main([])

    assert ran[0].path == tmp_path / "monitor_input.json"


def test_the_configuration_of_the_current_directory_is_named_shortly(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["main.py"])
    main([])

    assert ran[0].path == Path("monitor_input.json")


def test_a_flag_can_come_from_the_environment(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPPER_HOST", "db")
    monkeypatch.setenv("SHIPPER_CLUSTERED", "true")
    main([])

    assert override_of(ran) == {"sqream.host": "db", "sqream.clustered": True}


def test_a_flag_beats_the_environment(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPPER_HOST", "environment")
    main(["--host", "flag"])

    assert ran[0].overrides == (Override("sqream", "host", "flag", "--host"),)


def test_a_password_flag_beats_a_password_file_of_the_environment(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text("environment")
    monkeypatch.setenv("SHIPPER_PASSWORD_FILE", str(path))
    main(["--password", "flag"])

    assert override_of(ran) == {"sqream.password": Secret("literal", "flag")}


def test_lokis_host_as_a_flag_beats_its_address_of_the_environment(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIPPER_LOKI_URL", "https://environment")
    main(["--loki_host", "flag"])

    assert override_of(ran) == {"loki.url": "http://flag:3100"}


def test_of_two_flags_the_file_beats_the_password(ran: Ran, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("file")
    main(["--password", "flag", "--password_file", str(path)])

    assert override_of(ran) == {"sqream.password": Secret("file", str(path))}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nope"], "No such option '--nope'"),
        (["rnu"], "No such command 'rnu'"),
        (["--port", "x"], "'x' is not a valid integer"),
        (["--wait_seconds", "-1"], "-1"),
        (["--log_level", "loud"], "'loud' is not one of"),
        (["--host"], "requires an argument"),
        (["once"], "Missing argument 'METRIC'"),
        (["demo", "--seconds", "0"], "0"),
        (["run", "extra"], "unexpected extra argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_usage_ends_with_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (ShipperError("broken"), 1),
        (ConfigError("c.json: a: must be a number"), 2),
        (StartupError("failed: check_loki_connection"), 3),
        (EveryWorkerGaveUp("every worker gave up"), 4),
    ],
)
def test_an_error_is_told_in_one_line_and_ends_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: ShipperError,
    exit_code: int,
) -> None:
    monkeypatch.setattr("shipper.wiring.run.run", failing(error))

    assert main([]) == exit_code
    assert capsys.readouterr().err == f"shipper: {error}\n"


def test_an_error_with_foreign_words_is_no_order_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shipper.wiring.run.run", failing(ShipperError("it says \x1b[2J")))
    main([])

    assert capsys.readouterr().err == "shipper: it says \\x1b[2J\n"


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("SHIPPER_LOKI_ULR", "http://loki", 'did you mean "SHIPPER_LOKI_URL"?'),
        ("SHIPPER_HTTP_HOTS", "x", 'did you mean "SHIPPER_HTTP_HOST"?'),
        ("SHIPPER_XYZZY_42", "x", "SHIPPER_XYZZY_42 is no flag\n"),
        ("SHIPPER_LOKI_ULR", "", ""),
        ("SHIPPER_DB_NAME", "x", ""),
        ("SHIPPER_STATE_DIR", "/x", ""),
    ],
)
def test_a_variable_that_looks_like_a_flag_and_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    text: str,
    said: str,
) -> None:
    monkeypatch.setenv(variable, text)

    assert main(["version"]) == 0
    told = capsys.readouterr().err
    assert said in told
    assert bool(told) is bool(said)


def test_a_missing_secret_file_ends_with_exit_code_2(
    ran: Ran, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--password_file", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith("shipper: --password_file: the secret's file ")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()], ids=["Ctrl-C", "abort"])
def test_being_interrupted_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr("shipper.wiring.run.run", failing(error))

    assert main([]) == 0


def test_a_fault_that_nobody_expected_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shipper.wiring.run.run", failing(RuntimeError("a bug")))

    with pytest.raises(RuntimeError, match="a bug"):
        main([])


def test_a_reader_that_hung_up_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "shipper.config.reference.schema_text", failing(BrokenPipeError(32, "Broken pipe"))
    )
    monkeypatch.setattr(cli, "_forget_stdout", lambda: None)

    assert main(["schema"]) == 0


@pytest.mark.parametrize(
    ("outcome", "exit_code"),
    [(Outcome.PASSED, 0), (Outcome.NOTED, 0), (Outcome.FAILED, 3)],
)
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["table", "json"])
def test_a_failed_check_ends_with_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, outcome: Outcome, exit_code: int, more: list[str]
) -> None:
    checking(monkeypatch, outcome)

    assert main(["check", *more]) == exit_code


def test_a_check_shows_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checking(monkeypatch, Outcome.PASSED)
    main(["check"])

    assert capsys.readouterr().out.split() == [
        "ok", "check_something", "0.10", "s", "what", "was", "found"
    ]  # fmt: skip


def test_a_check_for_machines_prints_only_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checking(monkeypatch, Outcome.FAILED)
    main(["check", "--json"])

    assert json.loads(capsys.readouterr().out)["passed"] is False


@pytest.mark.parametrize(
    ("arguments", "dry_run"),
    [(["m"], False), (["m", "--dry-run"], True), (["m", "--dry_run"], True)],
)
def test_once_polls_one_metric(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], dry_run: bool
) -> None:
    asked: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        "shipper.wiring.once.poll_once",
        lambda _settings, metric, **more: asked.append((metric, more["dry_run"])),
    )

    assert main(["once", *arguments]) == 0
    assert asked == [("m", dry_run)]


def test_once_passes_on_that_a_verdict_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(
        "shipper.wiring.once.poll_once", lambda *_, **more: asked.append(more["verdict"])
    )
    main(["once", "m", "--dry-run", "--verdict"])

    assert asked == [True]


def test_the_demo_gets_its_seconds_and_the_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        demos,
        "demonstrate",
        lambda _settings, given, **more: asked.append((more["seconds"], given["http_port"])),
    )

    assert main(["demo", "--seconds", "5", "--http-port", "0"]) == 0
    assert asked == [(5, 0)]


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert "$defs" in json.loads(capsys.readouterr().out)


def test_an_example_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", "sqream"]) == 0
    assert "metrics" in json.loads(capsys.readouterr().out)


def test_an_example_of_an_unknown_kind_ends_with_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["example", "sqreem"]) == 2
    assert 'did you mean "sqream"?' in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"shipper {__version__}\n"


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["run", "--help"], ["check", "-h"]])
def test_help_explains_and_succeeds(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 0
    assert "Usage:" in capsys.readouterr().out


def test_the_help_does_not_show_what_the_environment_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHIPPER_PASSWORD", "hunter2")
    main(["run", "--help"])

    assert "hunter2" not in capsys.readouterr().out
