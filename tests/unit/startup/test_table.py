"""What the checks found, for people and for machines."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from shipper.core.checks import Check, Finding, Outcome
from shipper.startup.gate import Verdict
from shipper.startup.table import as_json, show


def verdict(
    name: str, outcome: Outcome, text: str, hint: str = "", *, required: bool = True
) -> Verdict:
    finding = Finding(outcome, text, hint)
    return Verdict(Check(name, lambda _deadline_seconds: finding, required), finding, 0.1234)


VERDICTS = [
    verdict("check_login", Outcome.PASSED, "logged in"),
    verdict("check_worker", Outcome.NOTED, "an old version", "update it", required=False),
    verdict("check_loki", Outcome.FAILED, "connection refused [Errno 111]", "is it running?"),
]


def shown(*verdicts: Verdict, width: int = 100, terminal: bool = False) -> list[str]:
    out = io.StringIO()
    show(verdicts, Console(file=out, width=width, force_terminal=terminal, no_color=True))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_every_check_has_a_row_and_a_hint_under_it_where_there_is_one() -> None:
    assert shown(*VERDICTS) == [
        " ok     check_login              0.12 s  logged in",
        " note   check_worker             0.12 s  an old version",
        "                                          hint: update it",
        " FAILED check_loki               0.12 s  connection refused [Errno 111]",
        "                                          hint: is it running?",
    ]


def test_square_brackets_are_shown_as_they_are() -> None:
    (line,) = shown(verdict("check", Outcome.PASSED, "[bold]x[/bold] [/]"))

    assert line.endswith("[bold]x[/bold] [/]")


@pytest.mark.parametrize("terminal", [True, False])
def test_what_a_far_end_wrote_is_no_order_to_the_terminal(terminal: bool) -> None:
    evil = verdict("check", Outcome.FAILED, "says \x9b2J", "or \x07")

    lines = "".join(shown(evil, terminal=terminal))
    assert "says \\x9b2J" in lines
    assert "or \\x07" in lines


def test_a_terminal_folds_long_sentences_and_never_cuts_them() -> None:
    lines = shown(verdict("check", Outcome.FAILED, "x" * 100), width=60, terminal=True)

    assert "".join(lines).count("x") == 100
    assert len(lines) > 1


def test_a_pipe_gets_every_check_on_one_line() -> None:
    (line,) = shown(verdict("check", Outcome.PASSED, "x " * 100), width=60)

    assert line.count("x") == 100


def test_machines_get_everything() -> None:
    content = json.loads(as_json(VERDICTS))

    assert content["passed"] is False
    assert content["checks"][1] == {
        "name": "check_worker",
        "outcome": "noted",
        "required": False,
        "seconds": 0.123,
        "text": "an old version",
        "hint": "update it",
    }


def test_notes_do_not_keep_it_from_passing() -> None:
    assert json.loads(as_json(VERDICTS[:2]))["passed"] is True
