"""A terminal of a test: what a program draws on it, and the keys that are pressed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from threading import Thread
from types import TracebackType
from typing import Self

from tests.support.shipper_process import PATIENCE_SECONDS, ROOT, until

ALTERNATE_SCREEN, ORDINARY_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
_ORDERS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A terminal with `main.py ARGUMENTS` on it."""

    def __init__(
        self,
        arguments: Sequence[str],
        size: tuple[int, int] = (140, 30),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._ours, self._theirs = pty.openpty()
        self._sent: list[bytes] = []
        self.resize(size)
        ours = {name: text for name, text in os.environ.items() if not name.startswith("SHIPPER_")}
        ours.pop("COLUMNS", None)
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "main.py"), *arguments],
            env={**ours, "TERM": "xterm-256color", **(variables or {})},
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            # The new session takes the terminal as its own, so that keys like Ctrl-C are signals.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads yet
        )

    def __enter__(self) -> Self:
        Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            sys.stdout.write(self.sent[-4000:].replace("\x1b", "^["))
        self._process.kill()
        self._process.wait()
        os.close(self._theirs)

    @property
    def sent(self) -> str:
        """Everything that was sent to the terminal."""
        return b"".join(self._sent).decode("utf-8", "replace")

    @property
    def picture(self) -> str:
        """What was drawn last, without colours."""
        return _ORDERS.sub("", self.sent.rpartition("\x1b[H")[2])

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows keys and waits for the end of a line, as terminals do."""
        modes = termios.tcgetattr(self._theirs)[3]
        return bool(modes & termios.ECHO) and bool(modes & termios.ICANON)

    def shows(self, text: str) -> None:
        """Wait until a text is in the picture."""
        until(lambda: text in self.picture)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def resize(self, size: tuple[int, int]) -> None:
        """Change the size: columns and lines."""
        columns, lines = size
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end of the program and return its exit code."""
        return self._process.wait(PATIENCE_SECONDS)

    def _read(self) -> None:
        while True:
            try:
                sent = os.read(self._ours, 65536)
            except OSError:
                return
            if not sent:
                return
            self._sent.append(sent)
