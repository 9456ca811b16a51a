"""The word `job-event`: what it takes, and what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shipper.cli import main
from shipper.cli.job_event import JOB_EVENT_FLAGS
from tests.support.shipper_process import ROOT

ADDRESS = ["--address", "http://127.0.0.1:9/api/v0/t/p/event"]
HEAVY = ("urllib3", "requests", "asyncio", "sqlalchemy", "websockets", "zmq", "numpy", "uvicorn")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*(flag.variable for flag in JOB_EVENT_FLAGS), "JOB_EVENT_ADDR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "one event class is wanted"),
        (["A", "B"], "one event class is wanted"),
        ([" "], "one event class is wanted"),
        (["--run"], "--run wants a command"),
        (["--run", "--progress", "1", "--", "true"], "are for one event"),
        (["A", "--progress", "half"], "'half' is not a valid integer"),
        (["A", "--payload", "x" * (1024 * 1024 + 1)], "at most 1048576 characters"),
        (["A", "--address", "nonsense"], "is no address of events"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_bad_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    address = [] if "--address" in arguments else ADDRESS

    assert main(["job-event", *address, *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_command_that_is_not_there_is_told_without_an_address_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["job-event", "--best-effort", "--run", "--", "no-such-command"]) == 127
    assert "no-such-command: No such file" in capsys.readouterr().err


def test_it_needs_nothing_that_takes_long_to_import() -> None:
    script = (
        "import sys; from shipper.cli import main; "
        f"main(['job-event', *{ADDRESS}, 'X', '--quiet']); print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)

    assert "http.client" in ran.stdout.split()
    assert [name for name in HEAVY if name in ran.stdout.split()] == []
