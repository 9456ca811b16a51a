"""The page of messages has those that there are, and only those."""

from __future__ import annotations

import re

import pytest

from shipper.core import errors
from tests.docs.messages import says, texts, told
from tests.docs.pages import ROOT, read

PAGE = "docs/troubleshooting.md"
CHECK = re.compile(r"\"(check_[a-z_]+)\"|f\"(check_[a-z]+_)\{")
NO_CHECKS = {"check_same_thread", "check_keep_going"}


def _messages() -> list[str]:
    """Return every message of the page: what is in the first column of its tables of messages."""
    tables = re.findall(r"^\| message \|.*\n\| ---.*\n((?:\|.*\n)+)", read(PAGE), re.MULTILINE)
    cells = [row.split(" | ")[0] for table in tables for row in table.splitlines()]
    return [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("message", _messages())
def test_every_message_of_the_page_is_one_of_the_program(message: str) -> None:
    assert any(says(text, message) for text in texts())


@pytest.mark.parametrize("text", sorted(told()))
def test_every_warning_and_error_of_the_program_is_on_the_page(text: str) -> None:
    assert any(says(text, message) for message in _messages())


def test_every_exit_code_is_on_the_page() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {str(kind.exit_code) for kind in kinds if issubclass(kind, errors.ShipperError)}

    assert codes <= set(re.findall(r"^\| (\d+) \|", read(PAGE), re.MULTILINE))


def test_every_startup_check_is_on_the_page() -> None:
    listed = set(re.findall(r"`(check_[a-z_]+)…?`", read(PAGE)))
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "shipper").rglob("*.py"))
    there = {a or b for source in sources for a, b in CHECK.findall(source)}

    assert there - NO_CHECKS == listed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("… takes no lines: ….", "loki takes no lines: it is away", id="with values"),
        pytest.param("another replay runs on …", "shipper: another replay runs on …", id="prefix"),
    ],
)
def test_a_text_of_the_source_is_found_in_a_message(text: str, message: str) -> None:
    assert says(text, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("… takes no lines: ….", "loki takes some lines: it is away", id="other words"),
        pytest.param("… is …", "the house is on fire, and nobody is at home", id="says too little"),
    ],
)
def test_a_text_of_the_source_is_not_found_in_another_message(text: str, message: str) -> None:
    assert not says(text, message)
