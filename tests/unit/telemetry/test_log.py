"""Our own log lines."""

from __future__ import annotations

import json
import logging
import logging.handlers
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.telemetry.log import JsonFormatter, LogSettings, TextFormatter, start_logging
from tests.support.logging import logging_put_back


@pytest.fixture(autouse=True)
def root() -> Iterator[logging.Logger]:
    with logging_put_back() as root:
        yield root


def record(
    message: str, *arguments: object, name: str = "shipper.show_locks", level: int = logging.INFO
) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "x.py", 1, message, arguments, None)
    made.created = 1_700_000_000.125
    return made


def failed() -> logging.LogRecord:
    made = record("It failed.")
    made.exc_info = (ValueError, ValueError("broken"), None)
    return made


def test_a_text_line_has_moment_level_metric_and_message() -> None:
    line = TextFormatter().format(record("Shipped %d lines.", 2))

    assert line == "2023-11-14T22:13:20.125Z INFO    [show_locks] Shipped 2 lines."


def test_a_text_line_of_the_supervisor_names_no_metric() -> None:
    line = TextFormatter().format(record("Stopped.", name="shipper", level=logging.WARNING))

    assert line == "2023-11-14T22:13:20.125Z WARNING Stopped."


def test_a_text_line_is_followed_by_the_traceback() -> None:
    lines = TextFormatter().format(failed()).splitlines()

    assert lines[1:] == ["ValueError: broken"]


def test_what_a_far_end_wrote_is_no_order_to_the_terminal() -> None:
    line = TextFormatter().format(record("It says %s.", "\x1b[2J"))

    assert line.endswith("It says \\x1b[2J.")


def test_a_json_line_is_one_object_in_one_line() -> None:
    line = JsonFormatter().format(record("Two\nlines"))

    assert len(line.splitlines()) == 1
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.125000Z",
        "level": "info",
        "metric": "show_locks",
        "message": "Two\nlines",
    }


def test_a_json_line_holds_the_traceback() -> None:
    content = json.loads(JsonFormatter().format(failed()))

    assert content["traceback"].endswith("ValueError: broken")


def test_a_worker_logs_under_its_metric() -> None:
    assert start_logging(LogSettings(), metric="show_locks").name == "shipper.show_locks"


def test_the_console_gets_what_is_severe_enough(capsys: pytest.CaptureFixture[str]) -> None:
    log = start_logging(LogSettings(level="warning"))
    log.info("too quiet")
    log.warning("loud enough")

    assert [line[25:] for line in capsys.readouterr().err.splitlines()] == ["WARNING loud enough"]


def test_the_console_can_be_kept_free(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(LogSettings(console=False)).error("nobody sees this")

    assert capsys.readouterr().err == ""


def test_a_second_start_replaces_the_first(root: logging.Logger) -> None:
    start_logging(LogSettings())
    start_logging(LogSettings())

    assert len(root.handlers) == 1


def test_a_file_beside_the_console_is_made_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "shipper.log"
    start_logging(LogSettings(path=path, form="json", console=False), metric="m").error("ü")

    assert json.loads(path.read_text(encoding="utf-8"))["message"] == "ü"


def test_only_the_supervisor_rotates_the_file(root: logging.Logger, tmp_path: Path) -> None:
    kinds = []
    for metric in ("", "show_locks"):
        start_logging(LogSettings(path=tmp_path / "a.log", console=False), metric=metric)
        kinds.append(type(root.handlers[0]))

    assert kinds == [
        logging.handlers.RotatingFileHandler,
        logging.handlers.WatchedFileHandler,
    ]


def test_a_file_that_cannot_be_opened_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        start_logging(LogSettings(path=tmp_path, console=False))
