"""The poll that a thread is at: one name by which its lines are found from the read to the far end."""

from __future__ import annotations

from contextvars import ContextVar
from secrets import token_hex

_current: ContextVar[str] = ContextVar("poll", default="")

MOST_NAMES = 10
"""So many polls are named that are delivered together."""


def incarnation() -> str:
    """Return what tells the polls of this process from those of the one before it."""
    return token_hex(2)


def follow(*polls: str) -> None:
    """Let the lines of this thread belong to these polls from now on; none: to no poll."""
    named = [poll for poll in dict.fromkeys(polls) if poll]
    more = " …" if len(named) > MOST_NAMES else ""
    _current.set(" ".join(named[:MOST_NAMES]) + more)


def followed() -> str:
    """Return the poll that the lines of this thread belong to; empty for none."""
    return _current.get()
