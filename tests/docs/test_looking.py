"""Commands of the documentation that only look are run, before an emulated SQreamDB and a small log store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import SqreamEmulator
from shipper.sources.sqream.functions import CHANGING_FUNCTIONS, MONITOR_FUNCTIONS
from tests.docs.pages import all_blocks, inline_commands
from tests.docs.typed import commands
from tests.support.shipper_process import command


def _looks(arguments: list[str]) -> bool:
    """Return whether a command changes nothing, and needs nothing but SQreamDB and Loki."""
    match arguments:
        case ["check"] | ["cursor", "list"] | ["dead-letter", "list", *_]:
            return not any(word.startswith("--") for word in arguments)
        case ["once", metric, "--dry-run", *more]:
            return metric in MONITOR_FUNCTIONS - CHANGING_FUNCTIONS and more in ([], ["--verdict"])
    return False


def _shown() -> list[str]:
    """Return every such command once."""
    shown = (words for block in (*all_blocks(), *inline_commands()) for words in commands(block))
    return sorted({" ".join(own) for words in shown if _looks(own := _own_words(words))})


def _own_words(words: list[str]) -> list[str]:
    for place, word in enumerate(words[:2]):
        if word.endswith(("main.py", "shipper")):
            return words[place + 1 :]
    return []


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """What leads to the far ends, and to a state directory that a `check` has made."""
    folder = tmp_path_factory.mktemp("far-ends")
    with SqreamEmulator() as emulator, LogStore() as store:
        variables = {
            "SHIPPER_HOST": emulator.host,
            "SHIPPER_PORT": str(emulator.port),
            "SHIPPER_LOKI_URL": store.url,
            "SHIPPER_STATE_DIR": str(folder / "state"),
        }
        assert command(["check"], folder, variables=variables).exit_code == 0
        yield variables


@pytest.mark.parametrize("shown", _shown())
def test_a_command_that_only_looks_runs(
    shown: str, variables: Mapping[str, str], tmp_path: Path
) -> None:
    ended = command(shown.split(), tmp_path, variables=variables)

    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout
