"""The tutorial, typed by a reader who knows nothing else: what it shows is what comes."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks_of
from tests.docs.shell import Shell, looks_like

PAGE = "docs/tutorial.md"
PATIENCE_SECONDS = 40.0
OF_THE_CLONE = ("main.py", "shipper", ".venv")
READ_ONLY = re.compile(
    r"(curl|tail|ls|grep|sleep|\.venv/bin/python main\.py (check|top|once|dead-letter list)) "
)
"""Commands that a reader tries again when it was too early."""

MAKE_DEMO = ("make demo SECONDS=20", ".venv/bin/python main.py demo --seconds 5 --http_port 0")
"""`make` would make the environment as well."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that is like a clone to who types in it."""
    for name in OF_THE_CLONE:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def _variables(folder: Path) -> dict[str, str]:
    ours = {name: text for name, text in os.environ.items() if not name.startswith("SHIPPER_")}
    return {**ours, "HOME": str(folder), "COLUMNS": "160", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}


def _free_ports() -> dict[str, str]:
    """Return a free port for each that the page uses."""
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        for each in (one, two, three):
            each.bind(("127.0.0.1", 0))
        return {
            usual: str(each.getsockname()[1])
            for usual, each in (("5000", one), ("3100", two), ("9108", three))
        }


def _steps() -> list[tuple[Block, str]]:
    """Return every block of commands, with the output shown behind it; anything where none is."""
    found = blocks_of(PAGE)
    following = [*found[1:], None]
    return [
        (block, after.text if after and after.kind == "output" else "…")
        for block, after in zip(found, following, strict=True)
        if block.kind == "bash"
    ]


def _type(shell: Shell, typed: str, shown: str) -> None:
    """Type a block and see what is shown; what only looks is typed again when it was too early."""
    patience = PATIENCE_SECONDS if all(map(READ_ONLY.match, typed.splitlines())) else 0
    deadline = time.monotonic() + patience
    while True:
        printed, code = shell.type(typed)
        if code == 0 and looks_like(printed, shown):
            return
        if time.monotonic() >= deadline:
            pytest.fail(f"typed:\n{typed}\nshown:\n{shown}\nprinted, code {code}:\n{printed}")
        time.sleep(0.2)


@pytest.mark.timeout(300)  # it waits for many programs to start
def test_a_reader_who_types_the_tutorial_sees_what_it_shows(clone: Path) -> None:
    ports = _free_ports()

    def placed(text: str) -> str:
        return re.sub("|".join(ports), lambda match: ports[match[0]], text.replace(*MAKE_DEMO))

    with Shell(clone, _variables(clone)) as shell:
        for block, shown in _steps():
            _type(shell, placed(block.text), placed(shown))

    assert not (clone / "tutorial").exists()


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        pytest.param("12 lines", "7 lines", id="another number"),
        pytest.param("a\nb\nc\nd", "a\n…\nd", id="lines left out"),
        pytest.param("a\nd", "a\n…\nd", id="no lines left out"),
        pytest.param(" ok     check   1.5 s", " ok  check 0.53 s", id="other blanks"),
    ],
)
def test_output_is_like_what_is_shown(printed: str, shown: str) -> None:
    assert looks_like(printed, shown)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        pytest.param("12 rows", "7 lines", id="another word"),
        pytest.param("waiting 4.0", "waiting 0.0", id="not nothing"),
        pytest.param("a\nb\nd", "a\nd", id="a line more"),
        pytest.param("a", "a\nb", id="a line less"),
    ],
)
def test_output_is_not_like_what_is_shown(printed: str, shown: str) -> None:
    assert not looks_like(printed, shown)
