"""Keys of a terminal: single ones, without waiting for the end of a line."""

from __future__ import annotations

import codecs
import re
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

SEQUENCES = {
    "A": "up",
    "B": "down",
    "C": "right",
    "D": "left",
    "H": "home",
    "F": "end",
    "1~": "home",
    "4~": "end",
    "5~": "page up",
    "6~": "page down",
    "7~": "home",
    "8~": "end",
}
"""What follows `ESC [` or `ESC O`; those with a number as VT220 and xterm send them."""

NAMED = {
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x15": "clear",
}

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[@-~])")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?\Z")


@contextmanager
def single_keys(terminal: int) -> Iterator[None]:
    """Let a terminal hand over every key at once and not show it; as before when the block ends."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@dataclass(slots=True)
class Keys:
    """Makes keys of the bytes that a terminal sends, which may come in pieces."""

    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    _begun: str = ""

    def take(self, sent: bytes) -> list[str]:
        """Return the keys that are complete: a letter, or a word like `up`; those without a meaning are left out."""
        return list(self._keys(self._begun + self._decoder.decode(sent)))

    def unfinished(self) -> bool:
        """Tell whether an escape has come, and what follows it may still be under way."""
        return bool(self._begun)

    def rest(self) -> list[str]:
        """Return what stands for itself as nothing followed: the Escape key."""
        begun, self._begun = self._begun, ""
        return ["escape"] if begun == "\x1b" else []

    def _keys(self, waiting: str) -> Iterator[str]:
        self._begun = ""
        while waiting:
            if _UNFINISHED.match(waiting):
                self._begun = waiting
                return
            found = _SEQUENCE.match(waiting)
            length = found.end() if found else 1
            key = _sequence(found[0]) if found else _single(waiting[0])
            waiting = waiting[length:]
            if key:
                yield key


def _sequence(sequence: str) -> str:
    return SEQUENCES.get(sequence[2:], "")


def _single(letter: str) -> str:
    if letter == "\x1b":
        return "escape"
    return NAMED.get(letter, letter if letter.isprintable() else "")
