"""What a room hands to the startup gate: a name, something to try, and what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    NOTED = "noted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        outcome: `NOTED` lets the run begin, but the operator should read the text.
        text: One sentence with the facts.
        hint: What to do about it; empty when nothing has to be done.
    """

    outcome: Outcome
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must be true before anything runs.

    A check does what the run will do later, leaves nothing behind, and is tried in a process of its own, so it
    has to be picklable.

    Attributes:
        name: Its name in the table, like `check_loki_connection`.
        attempt: Tries it within about `deadline_seconds` and says what it found; it raises nothing of its own.
        required: False turns a failure into a note.
    """

    name: str
    attempt: Callable[[float], Finding]
    required: bool = True
