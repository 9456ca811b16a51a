"""`job-event` as batch jobs call it, against a service that takes, refuses, is slow, or is away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.jobs_service import JobsService
from tests.support.services import free_port
from tests.support.shipper_process import PATIENCE_SECONDS, ROOT, Ended, until

GONE = "http://127.0.0.1:{port}/api/v0/t1/arr/event?arrayIndex=3"


@pytest.fixture
def jobs() -> Iterator[JobsService]:
    with JobsService() as service:
        yield service


def started(
    arguments: Sequence[str], address: str | None, stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    ours = {name: text for name, text in os.environ.items() if not name.startswith("SHIPPER_")}
    ours.pop("JOB_EVENT_ADDR", None)
    return subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), "job-event", *arguments],
        env=ours if address is None else {**ours, "JOB_EVENT_ADDR": address},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def job_event(*arguments: str, to: str | None) -> Ended:
    with started(arguments, to) as process:
        stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    return Ended(process.returncode, stdout, stderr)


def test_an_event_is_posted_where_the_environment_says(jobs: JobsService) -> None:
    ended = job_event("PROGRESS", "--progress", "40", "--payload", "half way", to=jobs.address)
    (posted,) = jobs.posted

    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "")
    assert posted.path == "/api/v0/t1/arr/event?arrayIndex=3"
    assert (posted.body["eventClass"], posted.body["progress"]) == ("PROGRESS", 40)
    assert posted.body["payload"] == "half way"
    assert posted.body["_meta"]["host"] == os.uname().nodename
    assert abs(posted.body["_meta"]["time"] - time.time()) < PATIENCE_SECONDS


def test_a_payload_can_come_from_standard_input(jobs: JobsService) -> None:
    with started(["NOTE", "--payload", "-"], jobs.address, subprocess.PIPE) as process:
        process.communicate("two\nlines\n", timeout=PATIENCE_SECONDS)

    assert jobs.posted[0].body["payload"] == "two\nlines"


def test_a_token_is_sent(jobs: JobsService, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")
    job_event("DONE", "--token-file", str(tmp_path / "token"), to=jobs.address)

    assert jobs.posted[0].headers["Authorization"] == "Bearer sesame"


def test_the_service_s_reason_is_told_when_it_refuses(jobs: JobsService) -> None:
    reason = {"reason": "Process index is not within the range.", "details": "0..9\x1b[2J"}
    jobs.answers = [(400, {"errors": [reason], "created": False})]
    ended = job_event("DONE", "--retry_seconds", "20", to=jobs.address)

    assert ended.exit_code == 3
    assert "answers 400: Process index is not within the range. (0..9\\x1b[2J)" in ended.stderr
    assert len(jobs.posted) == 1


def test_a_service_that_has_trouble_is_tried_again(jobs: JobsService) -> None:
    jobs.answers = [(503, b"starting"), (500, {"errors": []})]

    assert job_event("DONE", "--retry_seconds", "20", to=jobs.address).exit_code == 0
    assert jobs.classes == ["DONE"] * 3


def test_a_service_that_is_away_is_a_failure_unless_best_effort_is_enough() -> None:
    address = GONE.format(port=free_port())
    strict, lenient = (job_event("DONE", *more, to=address) for more in ([], ["--best-effort"]))

    assert (strict.exit_code, lenient.exit_code) == (3, 0)
    assert "cannot be reached: Connection refused" in strict.stderr
    assert "warning: " in lenient.stderr


def test_a_service_that_does_not_answer_holds_nobody_up(jobs: JobsService) -> None:
    jobs.slow_seconds = 5.0
    ended = job_event("DONE", "--timeout_seconds", "1", to=jobs.address)

    assert ended.exit_code == 3
    assert "did not answer within 1 s" in ended.stderr


def test_without_an_address_it_says_where_one_comes_from() -> None:
    strict, lenient = (job_event("DONE", *more, to=None) for more in ([], ["--best-effort"]))

    assert (strict.exit_code, lenient.exit_code) == (2, 0)
    assert "JOB_EVENT_ADDR is not set" in strict.stderr


def test_a_job_that_is_not_needed_any_more_is_told_so(jobs: JobsService) -> None:
    answer = (201, {"created": True, "keepGoing": False})
    jobs.answers = [answer, answer, answer]
    told = job_event("BEAT", to=jobs.address)
    checked = job_event("BEAT", "--check-keep-going", to=jobs.address)
    quiet = job_event("BEAT", "--check-keep-going", "--quiet", to=jobs.address)

    assert (told.exit_code, checked.exit_code, quiet.exit_code) == (0, 10, 10)
    assert "keepGoing: false" in told.stderr
    assert quiet.stderr == ""


# A command with events around it


@pytest.mark.parametrize(("exit_code", "last"), [(0, "DONE"), (7, "FAILED")])
def test_a_command_has_events_around_it_and_its_exit_code_is_ours(
    jobs: JobsService, exit_code: int, last: str
) -> None:
    ended = job_event("--run", "--", "sh", "-c", f"echo hello; exit {exit_code}", to=jobs.address)

    assert (ended.exit_code, ended.stdout) == (exit_code, "hello\n")
    assert jobs.classes == ["STARTED", last]
    assert json.loads(jobs.posted[1].body["payload"])["exitCode"] == exit_code


def test_a_command_that_takes_its_time_beats(jobs: JobsService) -> None:
    job_event("--run", "--beat_seconds", "0.1", "--", "sleep", "1", to=jobs.address)

    assert jobs.classes[:2] == ["STARTED", "BEAT"]
    assert jobs.classes[-1] == "DONE"


def test_a_command_that_is_not_there_has_failed(jobs: JobsService) -> None:
    ended = job_event("--run", "--", "no-such-command", to=jobs.address)

    assert ended.exit_code == 127
    assert jobs.classes == ["FAILED"]


def test_signals_reach_the_command(jobs: JobsService) -> None:
    script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done"
    with started(["--run", "--", "sh", "-c", script], jobs.address) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGUSR1)

        assert process.wait(PATIENCE_SECONDS) == 5
    assert jobs.classes[-1] == "FAILED"


def test_a_command_that_a_signal_ended_has_a_shell_s_exit_code(jobs: JobsService) -> None:
    with started(["--run", "--", "sleep", "60"], jobs.address) as process:
        until(lambda: jobs.classes == ["STARTED"])
        process.terminate()

        assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM


def test_a_command_runs_although_nobody_takes_its_events() -> None:
    address = GONE.format(port=free_port())
    ended = job_event("--run", "--", "echo", "hello", to=address)

    assert (ended.exit_code, ended.stdout) == (0, "hello\n")
    assert "STARTED was not taken" in ended.stderr


def test_a_command_runs_without_an_address_when_best_effort_is_enough() -> None:
    ended = job_event("--best-effort", "--run", "--", "echo", "hello", to=None)

    assert (ended.exit_code, ended.stdout) == (0, "hello\n")


def test_a_command_that_is_not_needed_any_more_is_ended(jobs: JobsService) -> None:
    jobs.answers = [(201, {"created": True}), (201, {"created": True, "keepGoing": False})]
    flags = ["--run", "--check-keep-going", "--beat_seconds", "0.1"]
    ended = job_event(*flags, "--", "sleep", "60", to=jobs.address)

    assert ended.exit_code == 10
    assert jobs.classes == ["STARTED", "BEAT", "TERMINATED"]
