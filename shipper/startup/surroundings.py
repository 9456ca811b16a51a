"""What a run takes hold of before it starts: the state directory, and the port of the web process."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import os
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from shipper.core.errors import StartupError
from shipper.core.words import MIB, size

LEAST_FREE_BYTES = 16 * MIB
"""A disk with less is as good as full: a cursor could no longer be kept."""

TRIAL_BYTES = 4096

_STATE_DIR_HINT = "choose another with --state_dir"
_IN_A_STATE_DIR = {"lock", "spool", "dead_letter"}
"""Each run leaves the first there; `once` may leave only others."""

_NOT_WRITABLE = {
    errno.EROFS: ("is on a read-only file system", f"mount it for writing, or {_STATE_DIR_HINT}"),
    errno.ENOSPC: ("is on a disk that is full", f"make room there, or {_STATE_DIR_HINT}"),
    errno.EDQUOT: (
        "is on a disk where our quota is used up",
        f"make room there, or {_STATE_DIR_HINT}",
    ),
    errno.EACCES: ("may not be written by us", f"see to its owner and mode, or {_STATE_DIR_HINT}"),
}


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
        free_bytes: What the disk had left when the directory was claimed.
    """

    path: Path
    lock: int
    free_bytes: int

    def release(self) -> None:
        """Let another Shipper have the directory."""
        os.close(self.lock)


def claim_state_dir(path: Path) -> StateDir:
    """Make the state directory if it is missing, lock it, and see that it can be written.

    Raises:
        Unusable: It cannot be made or written, its disk is full, or another Shipper runs on it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _not_writable(path, error) from None
    with ExitStack() as undo:
        undo.callback(os.close, lock)
        _lock(path, lock)
        try:
            os.ftruncate(lock, 0)
            os.write(lock, f"{os.getpid()}\n".encode("ascii"))
            _write_trial(path / "trial")
            free_bytes = shutil.disk_usage(path).free
        except OSError as error:
            raise _not_writable(path, error) from None
        if free_bytes < LEAST_FREE_BYTES:
            text = f"{path} is on a disk with only {size(free_bytes)} free"
            raise Unusable(text, hint=f"make room there, or {_STATE_DIR_HINT}")
        undo.pop_all()
    return StateDir(path, lock, free_bytes)


def _lock(path: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
        text = f"another Shipper (pid {owner}) runs on {path}"
        hint = "stop that one, or choose another directory with --state_dir"
        raise Unusable(text, hint=hint, taken=True) from None


def _write_trial(path: Path) -> None:
    """Write a small file through to the disk, and remove it."""
    try:
        with path.open("wb") as trial:
            trial.write(bytes(TRIAL_BYTES))
            trial.flush()
            os.fsync(trial.fileno())
    finally:
        path.unlink(missing_ok=True)


def _not_writable(path: Path, error: OSError) -> Unusable:
    default = (f"cannot be used: {error.strerror}", _STATE_DIR_HINT)
    fact, hint = _NOT_WRITABLE.get(error.errno or 0, default)
    return Unusable(f"{path} {fact}", hint=hint)


def default_state_dir() -> Path:
    """Return `$XDG_STATE_HOME/shipper`, or `~/.local/state/shipper`."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "shipper"


def state_dir_to_read(path: Path) -> Path:
    """Return a state directory, seen to be one; nothing is changed in it.

    Raises:
        StartupError: There is none, so that nothing in it could be misread as nothing that happened.
    """
    try:
        names = {each.name for each in path.iterdir()}
    except FileNotFoundError:
        raise StartupError(f"there is no state directory {path}; {_STATE_DIR_HINT}") from None
    except OSError as error:
        text = f"the state directory {path} cannot be read: {error.strerror}"
        raise StartupError(f"{text}; {_STATE_DIR_HINT}") from None
    if not names & _IN_A_STATE_DIR:
        raise StartupError(f"{path} is no state directory of Shipper; {_STATE_DIR_HINT}")
    return path


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
