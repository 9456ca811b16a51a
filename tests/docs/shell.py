"""A shell into which a test types what a page shows, and the rule by which its output is compared with the page's."""

from __future__ import annotations

import re
import secrets
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_ANY = "…"
_PART = re.compile(
    r"(?P<any>…)|(?P<zero>(?<![\d.])0\.0(?![\d.]))|(?P<number>\d+)|(?P<blank>[ \t]+)"
)


class Shell:
    """One bash, as a reader has it: what a block sets, the next one sees."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._output = folder / ".typed"
        with self._output.open("wb") as output:
            self._bash = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                cwd=folder,
                env=variables,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        started = psutil.Process(self._bash.pid).children(recursive=True)
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        self._bash.kill()
        for process in started:
            process.kill()
        self._bash.wait()

    def type(self, text: str, *, within_seconds: float = 60.0) -> tuple[str, int]:
        """Run some commands; return what they print, errors as well, and the exit code of the last.

        Raises:
            TimeoutError: They took too long.
        """
        mark = secrets.token_hex(8)
        begun = self._output.stat().st_size
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"{text}\necho {mark} $?\n")
        self._bash.stdin.flush()
        deadline = time.monotonic() + within_seconds
        while time.monotonic() < deadline:
            printed = self._output.read_bytes()[begun:].decode()
            if ended := re.search(rf"{mark} (\d+)\n", printed):
                return printed[: ended.start()], int(ended[1])
            time.sleep(0.05)
        raise TimeoutError(f"not done within {within_seconds:g} s:\n{text}")


def looks_like(printed: str, shown: str) -> bool:
    """Return whether output is as a page shows it.

    `…` stands for anything, on a line of its own for any lines, none included; a number for any number, but 0.0 for
    itself; a blank for blanks.
    """
    pattern = ""
    for line in shown.rstrip().splitlines():
        pattern += r"(?:.*\n)*?" if line.strip() == _ANY else rf"{_of_line(line)}\s*?\n"
    return re.fullmatch(pattern, f"{printed.rstrip()}\n") is not None


def _of_line(line: str) -> str:
    pattern, end = "", 0
    for part in _PART.finditer(line.rstrip()):
        pattern += re.escape(line[end : part.start()])
        pattern += {"any": ".*?", "zero": r"0\.0", "number": r"\d+", "blank": r"[ \t]+"}[
            part.lastgroup or ""
        ]
        end = part.end()
    return pattern + re.escape(line[end:].rstrip())
