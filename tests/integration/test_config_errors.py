"""What an operator reads about a configuration that cannot be used: one line with file, key and rule; exit code 2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shipper.cli import main
from tests.support.shipper_process import command, write_config

CONFIG_EXIT_CODE = 2


def entry(**keys: Any) -> dict[str, Any]:
    """Return a document whose one metric has these keys."""
    return {"metrics": {"show_locks": keys}}


DOCUMENTS: dict[str, tuple[object, str]] = {
    "zero seconds": ({"show_locks": 0}, "show_locks"),
    "negative seconds": ({"show_locks": -1}, "show_locks"),
    "text for seconds": ({"show_locks": "2"}, "show_locks: must be a number of seconds"),
    "true for seconds": ({"show_locks": True}, "show_locks: must be a number of seconds"),
    "null for seconds": ({"show_locks": None}, "show_locks: must be a number of seconds"),
    "list for seconds": ({"show_locks": [2]}, "show_locks: must be a number of seconds"),
    "endless seconds": ({"show_locks": 1e300}, "show_locks"),
    "no metric": ({}, "metrics: at least one"),
    "no metric in the full form": ({"metrics": {}}, "metrics: at least one"),
    "metrics is a list": ({"metrics": []}, "metrics: must be an object"),
    "name with a blank": ({"show locks": 2}, "show locks: a metric's name"),
    "name with a digit in front": ({"2locks": 2}, "2locks: a metric's name"),
    "name with a quote": ({"x'); drop": 2}, "a metric's name"),
    "name that is not ASCII": ({"schlösser": 2}, "a metric's name"),
    "empty name": ({"": 2}, "a metric's name"),
    "name with a newline": ({"show_locks\n": 2}, "a metric's name"),
    "unknown function": ({"show_lokcs": 2}, 'show_lokcs.function: "show_lokcs" is not a known'),
    "action": ({"shutdown_server": 2}, "shutdown_server.function: "),
    "action in other letters": ({"Shutdown_Server": 2}, "Shutdown_Server.function: "),
    "action that is allowed": (
        {"metrics": {"show_locks": 2}, "sqream": {"allow_functions": ["stop_statement"]}},
        "sqream.allow_functions",
    ),
    "unknown kind": (entry(type="oracle"), "metrics.show_locks.type: "),
    "kind that is no text": (entry(type=3), "metrics.show_locks.type: "),
    "misspelt key": (entry(every_second=2), "every_second: this key is not known; did you mean"),
    "unknown section": (
        {"metrics": {"show_locks": 2}, "lokii": {}},
        "lokii: this key is not known",
    ),
    "section that is no object": (
        {"metrics": {"show_locks": 2}, "loki": 3},
        "loki: must be an object",
    ),
    "section in the short form": ({"show_locks": 2, "loki": {}}, "metrics: this key is missing"),
    "object in the short form": (
        {"show_locks": {"every_seconds": 2}},
        "show_locks: must be a number",
    ),
    "key of a section": (
        {"metrics": {"show_locks": 2}, "loki": {"ulr": "http://x"}},
        'loki.ulr: this key is not known; did you mean "url"?',
    ),
    "address that is none": (
        {"metrics": {"show_locks": 2}, "loki": {"url": "loki:3100"}},
        "loki.url: ",
    ),
    "address with a password": (
        {"metrics": {"show_locks": 2}, "loki": {"url": "http://me:geheim@loki:3100"}},
        "loki.url: ",
    ),
    "port too high": ({"metrics": {"show_locks": 2}, "http": {"port": 70000}}, "http.port: "),
    "port as text": ({"metrics": {"show_locks": 2}, "sqream": {"port": "5000"}}, "sqream.port: "),
    "literal password": (
        {"metrics": {"show_locks": 2}, "sqream": {"password": "geheim"}},
        "sqream.password: ",
    ),
    "timeout of zero": (entry(timeout_seconds=0), "metrics.show_locks.timeout_seconds: "),
    "ship as text": (entry(ship="no"), "metrics.show_locks.ship: must be true or false"),
    "unknown line": (entry(line="xml"), "metrics.show_locks.line: must be 'json' or 'logfmt'"),
    "label that is no text": (entry(labels={"a": 1}), "metrics.show_locks.labels.a: "),
    "label_fields is no list": (entry(label_fields="a"), "metrics.show_locks.label_fields: "),
    "column metric without a name": (entry(metrics=[{}]), "metrics.show_locks.metrics.0.name: "),
    "document is a list": ([], "must hold a JSON object, not a list"),
}

TEXTS: dict[str, tuple[bytes, str]] = {
    "empty file": (b"", "the file is empty"),
    "not JSON": (b"{show_locks: 2}", "not JSON"),
    "comma at the end": (b'{"show_locks": 2,}', "line 1, column"),
    "second document": (b'{"show_locks": 2} {}', "not JSON"),
    "key twice": (b'{"show_locks": 2, "show_locks": 3}', "show_locks: this key stands twice"),
    "NaN": (b'{"show_locks": NaN}', "NaN"),
    "Infinity": (b'{"show_locks": Infinity}', "Infinity"),
    "byte order mark": (b'\xef\xbb\xbf{"show_locks": 2}', "byte order mark"),
    "Latin-1": (b'{"show_l\xf6cks": 2}', "not UTF-8"),
    "endless nesting": (b"[" * 100_000, "nested too deeply"),
}

TABLE = {
    **{name: (json.dumps(document).encode(), text) for name, (document, text) in DOCUMENTS.items()},
    **TEXTS,
}


@pytest.mark.parametrize(
    ("content", "told"), [pytest.param(*case, id=name) for name, case in TABLE.items()]
)
def test_a_configuration_that_cannot_be_used_is_one_line_with_file_key_and_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, content: bytes, told: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    exit_code = main(["run", "--config", str(path), "--state_dir", str(tmp_path / "state")])
    printed = capsys.readouterr()

    assert exit_code == CONFIG_EXIT_CODE
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"shipper: {path}: ")
    assert told in line
    assert "geheim" not in line


def test_several_faults_are_one_line_that_tells_how_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"show_locks": 0, "show_conf": 0, "show_version": "x"}')

    assert main(["run", "--config", str(path)]) == CONFIG_EXIT_CODE
    assert capsys.readouterr().err.endswith("(and 2 more)\n")


def test_a_file_that_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "missing.json"

    assert main(["run", "--config", str(path)]) == CONFIG_EXIT_CODE
    assert capsys.readouterr().err == f"shipper: {path}: there is no such file\n"


def test_a_directory_is_no_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--config", str(tmp_path)]) == CONFIG_EXIT_CODE
    assert capsys.readouterr().err == f"shipper: {tmp_path}: this is a directory, not a file\n"


@pytest.mark.parametrize("word", ["run", "check", "once"])
def test_every_command_refuses_a_bad_file_in_the_same_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"show_locks": -1}')
    arguments = [word, "show_locks"] if word == "once" else [word]

    assert main([*arguments, "--config", str(path)]) == CONFIG_EXIT_CODE
    assert capsys.readouterr().err == (
        f"shipper: {path}: show_locks.every_seconds: must be greater than 0, not -1\n"
    )


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        pytest.param(["--port", "0"], "--port: must be at least 1, not 0", id="port of SQream"),
        pytest.param(
            ["--http_port", "70000"], "--http_port: must be at most", id="port of the page"
        ),
        pytest.param(["--loki_url", "loki"], "--loki_url: write http://", id="address of Loki"),
        pytest.param(["--password_file", "/nowhere"], "--password_file: ", id="password file"),
    ],
)
def test_a_flag_with_a_bad_value_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], told: str
) -> None:
    path = tmp_path / "good.json"
    path.write_text('{"show_locks": 2}')

    assert main(["run", "--config", str(path), *flags]) == CONFIG_EXIT_CODE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"shipper: {told}")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["run", "--no_such_flag"], id="unknown flag"),
        pytest.param(["run", "--port", "many"], id="text for a number"),
        pytest.param(["run", "--wait_seconds", "-1"], id="negative wait"),
        pytest.param(["run", "--log_level", "loud"], id="unknown level"),
        pytest.param(["fly"], id="unknown command"),
        pytest.param(["once"], id="missing argument"),
    ],
)
def test_words_that_are_not_understood_end_with_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == CONFIG_EXIT_CODE
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("word", ["run", "check"])
def test_a_column_metric_with_one_of_our_names_is_refused_by_every_command(
    tmp_path: Path, word: str
) -> None:
    metrics = {"show_locks": {"metrics": [{"name": "shipper_rows_total", "value": "x"}]}}
    path = write_config(tmp_path, metrics)
    ended = command([word, "--config", str(path)], tmp_path)

    assert ended.exit_code == CONFIG_EXIT_CODE
    (line,) = ended.stderr.splitlines()
    assert line.startswith(
        f'shipper: {path}: metrics.show_locks.metrics.0.name: "shipper_rows_total"'
    )


def test_the_program_itself_ends_so_for_a_bad_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"show_locks": "often"}')
    ended = command(["run", "--config", str(path)], tmp_path)

    assert ended.exit_code == CONFIG_EXIT_CODE
    assert ended.stderr == (
        f'shipper: {path}: show_locks: must be a number of seconds, not the text "often"\n'
    )


def test_the_program_itself_ends_so_for_a_variable_of_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "good.json"
    path.write_text('{"show_locks": 2}')
    variables = {"SHIPPER_LOKI_URL": "nonsense", "SHIPPER_CONFIG": str(path)}
    ended = command(["run"], tmp_path, variables=variables)

    assert ended.exit_code == CONFIG_EXIT_CODE
    assert len(ended.stderr.splitlines()) == 1
    assert "loki_url" in ended.stderr


def test_the_program_itself_ends_so_for_an_unknown_flag(tmp_path: Path) -> None:
    ended = command(["run", "--lokki_host", "x"], tmp_path)

    assert ended.exit_code == CONFIG_EXIT_CODE
    assert "--lokki_host" in ended.stderr
    assert "Traceback" not in ended.stderr
