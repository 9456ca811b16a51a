"""What is printed from the code is fresh, and the tool that says so can say no."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT


def _print_docs(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "tools" / "print-docs"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=root,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the tool reads, with two stale files."""
    root = tmp_path_factory.mktemp("tree")
    for name in ("shipper", "docs", "tools"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", root)
    page = root / "docs" / "reference" / "configuration.md"
    page.write_text(page.read_text().replace("| `every_seconds` |", "| `every_minutes` |"))
    (root / "docs" / "reference" / "schema.json").write_text("{}\n")
    return root


def test_every_table_and_the_schema_are_fresh() -> None:
    outcome = _print_docs(ROOT, "--check")

    assert (outcome.returncode, outcome.stderr) == (0, "")


def test_stale_files_are_named_and_then_reprinted(tree: Path) -> None:
    before = _print_docs(tree, "--check")
    _print_docs(tree)
    after = _print_docs(tree, "--check")

    assert (before.returncode, after.returncode) == (1, 0)
    assert "stale: docs/reference/configuration.md" in before.stderr
    assert "stale: docs/reference/schema.json" in before.stderr
