"""Our own log lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from shipper.core.secrecy import conceal
from shipper.core.words import Count
from shipper.telemetry.log import (
    JsonFormatter,
    LogSettings,
    ShippedLines,
    TextFormatter,
    end_logging,
    follow,
    shipped_files,
    start_logging,
)
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


def test_a_file_that_cannot_be_opened_is_an_os_error_where_it_must_be_opened(
    tmp_path: Path,
) -> None:
    with pytest.raises(IsADirectoryError):
        start_logging(LogSettings(path=tmp_path, console=False), strict=True)


def test_a_worker_goes_on_without_a_file_that_cannot_be_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = start_logging(LogSettings(path=tmp_path, console=False), metric="m")
    log.error("one")
    log.error("two")

    complaints = capsys.readouterr().err.splitlines()
    assert complaints == [
        f"shipper: {tmp_path} cannot be written: Is a directory. Lines are missing there."
    ]


def test_the_mapping_of_an_event_becomes_fields() -> None:
    lines = Count(2, "line")
    event = record("%(sink)s took %(lines)s.", {"event": "e", "sink": "loki", "lines": lines})
    content = json.loads(JsonFormatter().format(event))

    assert (content["message"], content["event"], content["sink"], content["lines"]) == (
        "loki took 2 lines.",
        "e",
        "loki",
        2,
    )


def test_a_field_never_takes_the_place_of_what_every_line_has() -> None:
    event = record("It is %(level)s.", {"event": "e", "level": "mine", "poll": "mine"})
    content = json.loads(JsonFormatter().format(event))

    assert (content["level"], "poll" in content) == ("info", False)


def test_a_line_names_the_poll_that_its_thread_is_at(capsys: pytest.CaptureFixture[str]) -> None:
    log = start_logging(LogSettings(form="json"), metric="m")
    follow("m-3f2a.17")
    log.warning("one")
    follow()
    log.warning("two")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.get("poll") for line in lines] == ["m-3f2a.17", None]


def test_a_text_line_ends_with_its_poll(capsys: pytest.CaptureFixture[str]) -> None:
    log = start_logging(LogSettings(), metric="m")
    follow("m-3f2a.17", "m-3f2a.17", "m-3f2a.18")
    log.warning("Trouble.")

    assert capsys.readouterr().err.endswith(" WARNING [m] Trouble. (m-3f2a.17 m-3f2a.18)\n")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_secret_is_struck_out_of_message_fields_and_traceback(
    form: Literal["text", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    secret = 'pa"ss\\wörd'  # noqa: S105
    conceal(secret)
    log = start_logging(LogSettings(form=form), metric="m")
    try:
        raise ValueError(f"cannot log in with {secret}")  # noqa: TRY301
    except ValueError:
        log.exception("It says %(error)s.", {"error": f"{secret} is wrong", "place": [secret]})

    said = capsys.readouterr().err
    assert "***" in said
    assert [part for part in ("ss\\", "wörd", "w\\u00f6rd") if part in said] == []


def test_lines_of_the_workers_that_ship_are_not_kept_to_be_shipped(tmp_path: Path) -> None:
    shipped = ShippedLines(tmp_path, "info", frozenset({"own_logs"}))
    settings = LogSettings(level="warning", console=False, shipped=shipped)
    start_logging(settings, metric="own_logs").error("of its own")
    start_logging(settings, metric="m").info("of a metric")
    supervisor = start_logging(settings)
    supervisor.warning("Worker %(worker)s died.", {"worker": "own_logs"})
    supervisor.warning("Worker %(worker)s died.", {"worker": "m"})
    end_logging()

    kept = shipped_files(tmp_path)[-1].read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["message"] for line in kept] == ["of a metric", "Worker m died."]


def test_what_is_kept_to_be_shipped_does_not_make_the_console_talk_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = ShippedLines(tmp_path, "debug", frozenset())
    start_logging(LogSettings(level="warning", shipped=shipped)).info("quiet")

    assert capsys.readouterr().err == ""


def test_sums_are_written_when_logging_ends(capsys: pytest.CaptureFixture[str]) -> None:
    log = start_logging(LogSettings(), metric="m")
    for _ in range(3):
        log.warning("Trouble.")
    end_logging()

    ends = [line.partition("[m] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert ends == ["Trouble.", "Trouble. (2 more times in the last 1 s)"]
