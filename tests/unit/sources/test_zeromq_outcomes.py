"""Each end of a job is counted once."""

from __future__ import annotations

import pytest

from shipper.sources.zeromq.channels.outcomes import Outcome, after, task_state


def counted(commands: str) -> list[str]:
    """Return what is counted when these commands come one after the other."""
    outcome, counts = Outcome.OPEN, []
    for command in commands.split():
        outcome, is_new = after(outcome, command)
        if is_new:
            counts.append(str(outcome))
    return counts


@pytest.mark.parametrize(
    ("commands", "counts"),
    [
        pytest.param("DOWNLOADED STARTED TASK ENDED UPLOADED FINISHED", ["finished"], id="normal"),
        pytest.param("DOWNLOADED STARTED", [], id="under way"),
        pytest.param("DOWNLOADED FAILED FINISHED", ["failed"], id="a worker failed"),
        pytest.param("FAILED UPLOADED FINISHED", ["failed"], id="something between"),
        pytest.param("FAILED", ["failed"], id="the broker gave up"),
        pytest.param("FAILED FAILED", ["failed"], id="said twice"),
        pytest.param("ABORTED FINISHED", ["aborted"], id="a worker's internal error"),
        pytest.param("STARTED ABORTED ABORTED", ["aborted"], id="aborted, said twice"),
        pytest.param("ABORTED DOWNLOADED FINISHED", ["aborted", "finished"], id="second attempt"),
        pytest.param("ABORTED STARTED ABORTED", ["aborted", "aborted"], id="both died"),
        pytest.param("STARTED ABORTED FAILED", ["aborted", "failed"], id="too many attempts"),
        pytest.param("FAILED DOWNLOADED FINISHED", ["failed", "finished"], id="begun again"),
        pytest.param("FINISHED", ["finished"], id="the end alone"),
        pytest.param("NEWS", [], id="a word nobody knows"),
    ],
)
def test_every_end_of_an_attempt_counts_once(commands: str, counts: list[str]) -> None:
    assert counted(commands) == counts


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ("COMPLETED", "COMPLETED"),
        ("FAILED", "FAILED"),
        ("SKIPPED", "SKIPPED"),
        ("completed", "other"),
        ("", "other"),
        ("x" * 1000, "other"),
    ],
)
def test_states_are_few(told: str, state: str) -> None:
    assert task_state(told) == state
