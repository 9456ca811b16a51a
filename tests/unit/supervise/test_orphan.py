"""What a process asks for so that it does not outlive the supervisor."""

from __future__ import annotations

import ctypes
import os
from multiprocessing import forkserver
from types import SimpleNamespace

import pytest

from shipper.supervise.orphan import end_with_parent

Asked = list[tuple[int, ...]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the kernel was asked for; it is not asked, because that would be meant for the tests' own process."""
    calls: Asked = []
    library = SimpleNamespace(prctl=lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    return calls


def test_the_kernel_is_asked_to_kill_it_when_its_parent_ends(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forkserver._forkserver, "_forkserver_alive_fd", None)
    end_with_parent()

    assert asked == [(1, 9)]


def test_its_copy_of_the_pipe_that_keeps_the_fork_server_alive_is_closed(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(forkserver._forkserver, "_forkserver_alive_fd", writing)
    end_with_parent()
    at_its_end = os.read(reading, 1)
    os.close(reading)

    assert at_its_end == b""
    assert vars(forkserver._forkserver)["_forkserver_alive_fd"] is None
