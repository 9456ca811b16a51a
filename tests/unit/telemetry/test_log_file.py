"""The log file that many processes write, any of them rotates, and that may be out of order."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from shipper.telemetry.log.file import SharedFile
from tests.support.logging import say, written


def test_a_full_file_is_moved_aside_and_only_so_many_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = SharedFile(path, max_bytes=10, kept=2)
    for number in range(6):
        say(file, f"line number {number}")

    assert written(path, kept=9) == ["line number 3", "line number 4", "line number 5"]


def test_a_file_without_a_limit_is_left_to_others(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = SharedFile(path, max_bytes=0, kept=2)
    for number in range(100):
        say(file, f"line number {number}")

    assert [each.name for each in tmp_path.iterdir()] == ["a.log"]


def test_a_file_that_logrotate_has_moved_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = SharedFile(path)
    say(file, "before")
    path.rename(tmp_path / "a.log-20261201")
    say(file, "behind")

    assert path.read_text() == "behind\n"
    assert (tmp_path / "a.log-20261201").read_text() == "before\n"


def test_a_disk_that_is_full_is_told_once_and_once_when_it_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.log"
    file = SharedFile(path)
    say(file, "before")
    with monkeypatch.context() as full:
        full.setattr(os, "write", _no_space)
        say(file, "lost")
        say(file, "lost as well")
    say(file, "behind")

    assert path.read_text() == "before\nbehind\n"
    assert capsys.readouterr().err.splitlines() == [
        f"shipper: {path} cannot be written: No space left on device. Lines are missing there.",
        f"shipper: {path} is written again; 2 lines are missing there.",
    ]


def test_half_a_line_that_a_full_disk_took_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.log"
    file = SharedFile(path)
    write, taken = os.write, iter([4])

    def half(to: int, content: bytes) -> int:
        for part in taken:
            return write(to, content[:part])
        return _no_space(to, content)

    with monkeypatch.context() as full:
        full.setattr(os, "write", half)
        say(file, "torn line")
    say(file, "whole line")

    assert path.read_text() == "torn\nwhole line\n"


def test_a_line_that_cannot_be_made_harms_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = SharedFile(tmp_path / "a.log")
    file.handle(logging.LogRecord("shipper", logging.INFO, "x.py", 1, "%d", ("no number",), None))
    say(file, "behind")

    assert (tmp_path / "a.log").read_text() == "behind\n"
    assert "Logging error" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_device_that_is_always_full_harms_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = SharedFile(Path("/dev/full"), max_bytes=0)
    say(file, "one")
    say(file, "two")

    assert len(capsys.readouterr().err.splitlines()) == 1


def _no_space(_to: int, _content: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
