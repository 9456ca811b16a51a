"""A log file between processes: all of them write, any of them rotates, and one may be frozen meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from shipper.sources.log.source import OwnLogSource
from shipper.telemetry.log.file import SharedFile, older_files
from tests.support.logging import say, written
from tests.support.shipper_process import ROOT

WRITER = """
import logging, sys
from pathlib import Path
from shipper.telemetry.log.file import SharedFile

path, name, lines = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
file = SharedFile(path, max_bytes=20_000, kept=90)
file.setFormatter(logging.Formatter("%(message)s"))
for number in range(lines):
    text = f"{name} {number} " + "x" * (number % 50)
    file.handle(logging.LogRecord("shipper", logging.INFO, "x.py", 1, text, (), None))
"""


JSON_WRITER = """
import logging, sys, time
from pathlib import Path
from shipper.telemetry.log.file import SharedFile
from shipper.telemetry.log.forms import JsonFormatter

path, name, lines = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
file = SharedFile(path, max_bytes=50_000, kept=90)
file.setFormatter(JsonFormatter())
for number in range(lines):
    file.handle(logging.LogRecord("shipper.m", logging.INFO, "x.py", 1, f"{name} {number}", (), None))
    if number % 100 == 0:
        time.sleep(0.1)
"""

HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(60)
"""


def test_no_line_is_lost_or_torn_when_many_processes_write_and_rotate(tmp_path: Path) -> None:
    path, lines = tmp_path / "shipper.log", 2000
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, str(lines)], cwd=ROOT)
        for name in "abcd"
    ]
    for writer in writers:
        assert writer.wait(60) == 0
    said = written(path, kept=90)

    assert len(list(tmp_path.iterdir())) > 4
    for name in "abcd":
        numbers = [int(line.split()[1]) for line in said if line.startswith(f"{name} ")]
        assert sorted(numbers) == list(range(lines))
    assert len(said) == 4 * lines


def test_whoever_follows_it_gets_every_line_once_also_when_restarted(tmp_path: Path) -> None:
    path, lines = tmp_path / "shipper.log", 1500
    writers = [
        subprocess.Popen([sys.executable, "-c", JSON_WRITER, str(path), name, str(lines)], cwd=ROOT)
        for name in "abc"
    ]
    heard: list[object] = []
    cursor = None
    deadline = time.monotonic() + 60
    while len(heard) < 3 * lines and time.monotonic() < deadline:
        source = OwnLogSource(older_files(path, 90), "info")
        source.open(cursor)
        for _ in range(5):
            batch = source.read(1.0)
            heard += [row["message"] for row in batch.rows]
            cursor = batch.cursor
            assert (batch.refused, batch.lost) == ([], {})
        source.close()
        time.sleep(0.02)
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]

    assert len(heard) == len(set(heard)) == 3 * lines
    assert len(list(tmp_path.iterdir())) > 4


def test_a_process_that_is_frozen_while_it_rotates_does_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    frozen = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDER,
            str(path),
        ],
        stdout=subprocess.PIPE,
    )
    assert frozen.stdout is not None
    try:
        assert frozen.stdout.readline() == b"locked\n"
        frozen.send_signal(signal.SIGSTOP)
        file = SharedFile(path, max_bytes=10)
        began = time.monotonic()
        for number in range(5):
            say(file, f"line number {number}")

        assert time.monotonic() - began < 5
        assert len(path.read_text().splitlines()) == 5
    finally:
        frozen.kill()
        frozen.wait()
        frozen.stdout.close()
