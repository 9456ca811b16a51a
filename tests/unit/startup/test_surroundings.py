"""The state directory and the port of the web process."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shipper.core.errors import StartupError
from shipper.core.words import MIB
from shipper.startup.surroundings import (
    Unusable,
    claim_state_dir,
    default_state_dir,
    is_loopback,
    listen,
)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Every socket that is opened meanwhile; those still open are closed afterwards."""
    opened: list[socket.socket] = []

    class Remembered(socket.socket):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            opened.append(self)

    monkeypatch.setattr(socket, "socket", Remembered)
    yield opened
    for each in opened:
        each.close()


def test_a_missing_state_directory_is_made_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state"
    state_dir = claim_state_dir(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    state_dir.release()

    assert (state_dir.path, mode) == (path, 0o700)


def test_the_lock_says_who_holds_it(tmp_path: Path) -> None:
    state_dir = claim_state_dir(tmp_path)
    content = (tmp_path / "lock").read_text()
    state_dir.release()

    assert content == f"{os.getpid()}\n"


def test_a_second_claim_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    state_dir = claim_state_dir(tmp_path)

    with pytest.raises(StartupError) as caught:
        claim_state_dir(tmp_path)
    state_dir.release()
    assert str(caught.value) == f"another Shipper (pid {os.getpid()}) runs on {tmp_path}"


def test_a_released_directory_can_be_claimed_again(tmp_path: Path) -> None:
    claim_state_dir(tmp_path).release()
    claim_state_dir(tmp_path).release()

    assert (tmp_path / "lock").exists()


def test_the_pid_of_an_earlier_run_is_replaced_whole(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("12345678901234\n")
    claim_state_dir(tmp_path).release()

    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_state_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")

    with pytest.raises(StartupError, match=f"^{path} cannot be used: File exists$"):
        claim_state_dir(path)


def test_a_state_directory_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "state"

    with pytest.raises(StartupError, match=f"^{path} cannot be used: Not a directory$"):
        claim_state_dir(path)


def test_a_directory_is_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    claim_state_dir(tmp_path).release()

    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize(
    ("number", "fact", "hint"),
    [
        (errno.EROFS, "is on a read-only file system", "mount it for writing"),
        (errno.ENOSPC, "is on a disk that is full", "make room there"),
        (errno.EDQUOT, "is on a disk where our quota is used up", "make room there"),
        (errno.EACCES, "may not be written by us", "see to its owner and mode"),
        (errno.EIO, "cannot be used: Input/output error", "choose another with --state_dir"),
    ],
)
@pytest.mark.parametrize("failing", ["mkdir", "fsync"])
def test_a_directory_that_cannot_be_written_is_told_with_a_hint(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    failing: str,
    number: int,
    fact: str,
    hint: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*{"mkdir": (Path, "mkdir"), "fsync": (os, "fsync")}[failing], fail)

    with pytest.raises(Unusable) as caught:
        claim_state_dir(tmp_path)
    assert str(caught.value) == f"{tmp_path} {fact}"
    assert caught.value.hint.startswith(hint)


def test_a_directory_that_cannot_be_written_is_not_kept_locked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(Unusable):
            claim_state_dir(tmp_path)
    claim_state_dir(tmp_path).release()

    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def disk_with(free_bytes: int) -> Callable[[Path], SimpleNamespace]:
    return lambda _path: SimpleNamespace(free=free_bytes)


def test_a_disk_with_almost_nothing_left_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", disk_with(15 * MIB + MIB // 2))

    with pytest.raises(Unusable) as caught:
        claim_state_dir(tmp_path)
    assert str(caught.value) == f"{tmp_path} is on a disk with only 15.5 MiB free"


def test_what_the_disk_has_left_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", disk_with(16 * MIB))
    state_dir = claim_state_dir(tmp_path)
    state_dir.release()

    assert state_dir.free_bytes == 16 * MIB


def test_state_is_kept_where_the_desktop_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")

    assert default_state_dir() == Path("/somewhere/shipper")


@pytest.mark.parametrize("unset", [None, ""])
def test_state_is_kept_at_home_otherwise(
    monkeypatch: pytest.MonkeyPatch, unset: str | None
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    if unset is None:
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_STATE_HOME", unset)

    assert default_state_dir() == Path("/home/me/.local/state/shipper")


def test_port_0_lets_the_system_choose() -> None:
    with listen("127.0.0.1", 0) as listening:
        host, port = listening.getsockname()

    assert host == "127.0.0.1"
    assert port > 0


def test_a_connection_is_taken_at_once() -> None:
    with listen("127.0.0.1", 0) as listening, socket.socket() as client:
        client.settimeout(5)

        client.connect(listening.getsockname())


@pytest.mark.usefixtures("opened")
def test_a_port_that_is_taken_is_told() -> None:
    port = listen("127.0.0.1", 0).getsockname()[1]

    with pytest.raises(StartupError) as caught:
        listen("127.0.0.1", port)
    assert str(caught.value) == f"cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.usefixtures("opened")
def test_an_address_that_is_not_ours_is_told() -> None:
    with pytest.raises(StartupError, match=r"^cannot listen on 192\.0\.2\.1:0: "):
        listen("192.0.2.1", 0)


def test_a_socket_that_cannot_listen_is_closed(opened: list[socket.socket]) -> None:
    with pytest.raises(StartupError):
        listen("192.0.2.1", 0)

    assert [each.fileno() for each in opened] == [-1]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "10.0.0.5", "example.org", "localhost.example.org", "127.0.0.1.x"],  # noqa: S104 - nothing listens there
)
def test_what_others_can_reach_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)
