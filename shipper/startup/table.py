"""Shows what the checks found: a table for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from shipper.core.checks import Outcome
from shipper.core.words import harmless
from shipper.startup.gate import Verdict

MARKS = {
    Outcome.PASSED: ("ok", "green"),
    Outcome.NOTED: ("note", "yellow"),
    Outcome.FAILED: ("FAILED", "bold red"),
}


NAME_WIDTH = 23
"""Room for the names of most checks."""


def show(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print one row per check, with a hint under every row that needs one; unwrapped where no terminal is."""
    if not console.is_terminal:
        width = max((NAME_WIDTH, *(len(verdict.check.name) for verdict in verdicts)))
        for verdict in verdicts:
            word, _ = MARKS[verdict.finding.outcome]
            finding = verdict.finding
            text, hint = harmless(finding.text), harmless(finding.hint)
            line = f" {word:<6} {verdict.check.name:<{width}} {verdict.seconds:5.2f} s  {text}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
            if hint:
                line = f"{'':{width + 19}}hint: {hint}"
                console.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, show_header=False, expand=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for verdict in verdicts:
        word, style = MARKS[verdict.finding.outcome]
        table.add_row(
            Text(word, style=style),
            verdict.check.name,
            f"{verdict.seconds:.2f} s",
            _words(verdict),
        )
    console.print(Padding(table, (0, 0, 0, 1)))


def as_json(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as one JSON object with `passed` and a list of `checks`."""
    return json.dumps(
        {
            "passed": not any(verdict.failed for verdict in verdicts),
            "checks": [
                {
                    "name": verdict.check.name,
                    "outcome": str(verdict.finding.outcome),
                    "required": verdict.check.required,
                    "seconds": round(verdict.seconds, 3),
                    "text": verdict.finding.text,
                    "hint": verdict.finding.hint,
                }
                for verdict in verdicts
            ],
        },
        indent=2,
    )


def _words(verdict: Verdict) -> RenderableType:
    text = Text(harmless(verdict.finding.text))
    if not verdict.finding.hint:
        return text
    return Group(text, Text(f"hint: {harmless(verdict.finding.hint)}", style="dim"))
