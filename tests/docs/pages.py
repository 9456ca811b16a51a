"""The documentation as the tests see it: pages, and the blocks of code on them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(
    r"^(?P<blanks> *)```(?P<kind>[^\n]*)\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE
)
_INLINE = re.compile(r"(?<!`)`((?:\S*python[\d.]* )?(?:main\.py|shipper|make) [^`\n]+)`(?!`)")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        page: Path of its page, from the root of the repository.
        line: Where it begins, from 1.
        kind: The word behind the fence.
        text: What stands in it.
    """

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return every page of the documentation, those at the root and in config_files included."""
    folders = (ROOT / "docs", ROOT / "config_files")
    return [*sorted(ROOT.glob("*.md")), *(page for each in folders for page in each.rglob("*.md"))]


def read(path: str) -> str:
    """Return the text of a file, by its path from the root."""
    return (ROOT / path).read_text(encoding="utf-8")


def all_blocks() -> list[Block]:
    """Return every block of every page."""
    return [block for page in pages() for block in blocks_of(str(page.relative_to(ROOT)))]


def blocks_of(page: str) -> list[Block]:
    """Return every block of a page, by its path from the root."""
    text = read(page)
    return [
        Block(
            page,
            text.count("\n", 0, match.start()) + 1,
            match["kind"],
            textwrap.dedent(match["text"]) if match["blanks"] else match["text"],
        )
        for match in _BLOCK.finditer(text)
    ]


def inline_commands() -> Iterator[Block]:
    """Yield every command that stands in a sentence, as a block of its own."""
    for page in pages():
        for match in _INLINE.finditer(prose(page)):
            yield Block(str(page.relative_to(ROOT)), 0, "bash", match[1].replace("\\|", "|"))


def blocks(kind: str) -> list[Block]:
    """Return every block of one kind."""
    return [block for block in all_blocks() if block.kind == kind]


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))
