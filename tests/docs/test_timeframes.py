"""The page of the Time Frame client names all that its commands take, and its ready-made file is what they do."""

from __future__ import annotations

import pytest

from shipper.cli import cli
from shipper.cli.timeframes import COMMANDS, LATER_VARIABLES, RUN_FLAGS
from shipper.config.loading import load
from shipper.wiring.timeframes.composed import METRIC, TABLES
from shipper.wiring.vocabulary import families, vocabulary
from tests.docs.pages import ROOT, read

PAGE = read("docs/timeframes.md")
ELSEWHERE = {flag.name for flag in RUN_FLAGS}
"""Flags that the page only points to."""


@pytest.mark.parametrize("command", [each.name for each in COMMANDS])
def test_every_flag_is_on_the_page(command: str) -> None:
    options = [
        option
        for option in cli.commands[command].params
        if option.param_type_name == "option" and option.name not in ELSEWHERE
    ]
    missing = [
        option.name
        for option in options
        if not any(f"`{spelling}`" in PAGE for spelling in option.opts)
    ]

    assert missing == []


@pytest.mark.parametrize("command", [each.name for each in COMMANDS])
def test_every_variable_is_on_the_page(command: str) -> None:
    variables = [
        name
        for option in cli.commands[command].params
        if option.name not in ELSEWHERE and option.envvar
        for name in ([option.envvar] if isinstance(option.envvar, str) else option.envvar)
    ]

    assert [name for name in variables if f"`{name}`" not in PAGE] == []


def test_every_variable_of_the_later_client_is_there_for_those_who_come_from_it() -> None:
    page = read("docs/coming-from/time-frame-client.md")

    assert [
        name for name in LATER_VARIABLES.values() if name.removeprefix("ACTIVEMQ") not in page
    ] == []


def test_the_ready_made_file_keeps_time_frames() -> None:
    configuration = load(ROOT / "config_files" / "fastmon.json", vocabulary())
    families(configuration)

    assert [entry.store for entry in configuration.metrics.values()] == [TABLES]
    assert list(configuration.metrics) == [METRIC]
