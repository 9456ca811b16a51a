"""What the page about adding a source shows works as it stands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks

PAGE = "docs/add-a-source.md"
COPIED = ("shipper", "tests/contract", "tools", "docs")
COPIED_FILES = (
    *("main.py", "README.md", "pyproject.toml", "tests/__init__.py"),
    *("tests/unit/__init__.py", "tests/unit/sources/__init__.py"),
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with the module, the test and the page of the source put into it."""
    root = tmp_path_factory.mktemp("tree")
    for name in COPIED:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in COPIED_FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for block in blocks("python"):
        first_line = block.text.partition("\n")[0]
        if block.page == PAGE:
            (root / first_line.removeprefix("# ")).write_text(block.text, encoding="utf-8")
    (root / "docs" / "sources" / "ticker.md").write_text(_only("markdown"), encoding="utf-8")
    (root / "ticker.json").write_text(_only("json-of-a-new-kind"), encoding="utf-8")
    (root / "tape.txt").write_text("ABC 12.5\nXYZ 7\n", encoding="utf-8")
    return root


def _only(kind: str) -> str:
    (text,) = [block.text for block in blocks(kind) if block.page == PAGE]
    return text


def _python(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, cwd=root
    )


def test_the_new_source_is_found_and_polled(tree: Path) -> None:
    outcome = _python(tree, "main.py", "once", "tape", "--dry-run", "--config", "ticker.json")

    assert outcome.returncode == 0, outcome.stderr
    assert "tape: 2 rows in 1 stream; nothing was delivered." in outcome.stdout
    assert 'job="tape", service_name="ticker", instance="tape.txt"' in outcome.stdout
    assert '{"text":"XYZ 7"}' in outcome.stdout


def test_its_test_passes(tree: Path) -> None:
    outcome = _python(
        tree, *("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/sources/test_ticker.py")
    )

    assert outcome.returncode == 0, outcome.stdout
    assert "12 passed" in outcome.stdout


def test_its_page_gets_its_table(tree: Path) -> None:
    outcome = _python(tree, "tools/print-docs")
    page = (tree / "docs" / "sources" / "ticker.md").read_text(encoding="utf-8")

    assert outcome.returncode == 0, outcome.stderr
    assert "| `path` | must be given | The file. |" in page


@pytest.mark.parametrize("words", [("check",), ("format", "--check")], ids=["check", "format"])
def test_it_is_as_tidy_as_the_rest(tree: Path, words: tuple[str, ...]) -> None:
    written = ("shipper/sources/ticker.py", "tests/unit/sources/test_ticker.py")
    outcome = _python(tree, "-m", "ruff", *words, *written)

    assert outcome.returncode == 0, outcome.stdout
