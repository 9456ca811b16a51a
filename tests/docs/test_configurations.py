"""Every configuration that the documentation shows can be loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipper.config.loading import load
from shipper.core.errors import ConfigError
from shipper.wiring.vocabulary import families, vocabulary
from tests.docs.pages import ROOT, Block, blocks

FILES = (
    "monitor_input.json",
    "config_files/fastmon.json",
    "config_files/full_example.json",
    "config_files/pysmurf.json",
    "config_files/recodex.json",
    "config_files/sql_example.json",
    "config_files/sqream.json",
)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_a_configuration_on_a_page_loads(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "block.json"
    path.write_text(_whole(block.text), encoding="utf-8")

    families(load(path, vocabulary()))


@pytest.mark.parametrize("name", FILES)
def test_a_configuration_file_loads(name: str) -> None:
    families(load(ROOT / name, vocabulary()))


def test_a_configuration_with_a_misspelt_key_would_not_load(tmp_path: Path) -> None:
    path = tmp_path / "block.json"
    path.write_text(_whole('{"loki": {"ulr": "http://loki:3100"}}'), encoding="utf-8")

    with pytest.raises(ConfigError, match="url"):
        load(path, vocabulary())


def _whole(text: str) -> str:
    """Return a configuration; what shows only sections gets a metric beside them."""
    document = json.loads(text)
    if "metrics" not in document and all(isinstance(value, dict) for value in document.values()):
        document["metrics"] = {"show_locks": 2}
    return json.dumps(document)
