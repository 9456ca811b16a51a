"""What a run takes hold of before it starts: the state directory, and the port of the web process."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from shipper.core.errors import StartupError


class Unusable(StartupError):
    """Something that a run needs of the machine cannot be had.

    Attributes:
        hint: What to do about it.
        taken: True when another process has it, which may well be a Shipper that runs.
    """

    def __init__(self, text: str, *, hint: str, taken: bool = False) -> None:
        super().__init__(text)
        self.hint = hint
        self.taken = taken


@dataclass(frozen=True, slots=True)
class StateDir:
    """A state directory that is ours alone while `lock` is open.

    Attributes:
        path: The directory.
        lock: File descriptor of the locked file; the kernel lets go of the lock when the process ends.
    """

    path: Path
    lock: int

    def release(self) -> None:
        """Let another Shipper have the directory."""
        os.close(self.lock)


def claim_state_dir(path: Path) -> StateDir:
    """Make the state directory if it is missing, and lock it.

    Raises:
        Unusable: It cannot be made or written, or another Shipper runs on it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        text = f"{path} cannot be used: {error.strerror}"
        raise Unusable(text, hint="choose another with --state_dir") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        text = f"another Shipper (pid {owner}) runs on {path}"
        hint = "stop that one, or choose another directory with --state_dir"
        raise Unusable(text, hint=hint, taken=True) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode("ascii"))
    return StateDir(path, lock)


def default_state_dir() -> Path:
    """Return `$XDG_STATE_HOME/shipper`, or `~/.local/state/shipper`."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "shipper"


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 lets the system choose.

    Raises:
        Unusable: The address is not ours, or the port is taken.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with ExitStack() as undo:
            listening = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
            listening.setblocking(False)
            undo.pop_all()
    except OSError as error:
        raise Unusable(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="choose another with --http_host and --http_port",
            taken=error.errno == errno.EADDRINUSE,
        ) from None
    return listening


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address to listen on."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
