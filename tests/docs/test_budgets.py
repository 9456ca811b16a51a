"""What is written stays short enough to be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, read

FILE_LINES = 400
README_LINES = 160
DECISION_LINES = 40

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_of_shipper_is_longer_than_its_budget() -> None:
    long = {
        str(path.relative_to(ROOT)): _lines(path)
        for path in (ROOT / "shipper").rglob("*.py")
        if _lines(path) > FILE_LINES
    }

    assert long == {}


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= README_LINES


def test_the_readme_begins_with_the_two_commands() -> None:
    beginning = "\n".join(read("README.md").splitlines()[:10])

    assert "make demo" in beginning
    assert "make test" in beginning


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_short(path: Path) -> None:
    assert _lines(path) <= DECISION_LINES


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_five_parts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]

    assert headings == ["Context", "Decision", "Is / is not", "Consequences", "Evidence"]
