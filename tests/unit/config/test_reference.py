"""The configuration's definition as it is shown to people and machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shipper.config.flags import FLAGS
from shipper.config.loading import Vocabulary, load
from shipper.config.models import HttpSettings, SourceSettings
from shipper.config.reference import (
    common_keys,
    example_comments,
    example_text,
    flags_table,
    schema_text,
    settings_table,
)
from shipper.core.errors import ConfigError
from shipper.sources.sqream.connection import SqreamConnection
from shipper.wiring.vocabulary import vocabulary


def test_the_schema_has_a_short_and_a_full_form() -> None:
    short, full = json.loads(schema_text(vocabulary()))["anyOf"]

    assert list(short["patternProperties"]) == ["^[A-Za-z_][A-Za-z0-9_]*$"]
    assert sorted(full["properties"]) == ["http", "loki", "metrics", "sqream", "store"]
    assert full["required"] == ["metrics"]


def test_every_reference_in_the_schema_leads_somewhere() -> None:
    text = schema_text(vocabulary())
    schema = json.loads(text)
    leads = {part.split('"')[0] for part in text.split('"$ref": "#/$defs/')[1:]}

    assert leads
    assert leads <= set(schema["$defs"])


def test_the_schema_is_closed_to_unknown_keys() -> None:
    schema = json.loads(schema_text(vocabulary()))

    assert schema["anyOf"][1]["additionalProperties"] is False
    assert all(each["additionalProperties"] is False for each in schema["$defs"].values())


def test_the_schema_does_not_show_the_default_password() -> None:
    schema = json.loads(schema_text(vocabulary()))

    assert "default" not in schema["$defs"]["SqreamConnection"]["properties"]["password"]


@pytest.mark.parametrize("kind", sorted(vocabulary().kinds))
def test_an_example_can_be_loaded_as_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "example.json"
    path.write_text(example_text(vocabulary(), kind))

    configuration = load(path, vocabulary())

    assert [entry.type for entry in configuration.metrics.values()] == [kind]


@pytest.mark.parametrize("kind", sorted(vocabulary().kinds))
def test_the_comments_explain_every_key_of_the_example(kind: str) -> None:
    comments = example_comments(vocabulary(), kind).splitlines()
    explained = {line.partition(": ")[0].removeprefix("# ") for line in comments}
    document = json.loads(example_text(vocabulary(), kind))
    (metric,) = document["metrics"]

    assert {f"metrics.{metric}.{key}" for key in document["metrics"][metric]} <= explained
    assert {f"{kind}.{key}" for key in document.get(kind, {})} <= explained
    assert not [line for line in comments if line.endswith(": ")]


def test_an_example_shows_the_defaults_that_are_in_force() -> None:
    (entry,) = json.loads(example_text(vocabulary(), "zeromq"))["metrics"].values()

    assert entry["label_fields"] == ["command", "task_state"]


@pytest.mark.parametrize("show", [example_text, example_comments])
def test_an_example_of_an_unknown_kind_names_the_nearest(
    show: Callable[[Vocabulary, str], str],
) -> None:
    with pytest.raises(ConfigError) as caught:
        show(vocabulary(), "sqraem")

    assert str(caught.value) == (
        'example: "sqraem" is not a kind of source; did you mean "sqream"?'
    )


def test_a_table_has_a_row_for_every_key() -> None:
    rows = settings_table(HttpSettings).splitlines()

    assert rows == [
        "| key | default | meaning |",
        "| --- | --- | --- |",
        '| `host` | `"127.0.0.1"` | Address to listen on; anything but loopback needs a token. |',
        "| `port` | `9108` | Port to listen on; 0 lets the system choose. |",
        "| `token` | - | Bearer token that every path but `/healthy` and `/ready` wants. |",
        (
            "| `origins` | `[]` | Further origins whose pages may use the WebSockets, and by whose "
            "host we may be called behind a proxy on this machine, like `https://shipper.example`; "
            "our own page always may. |"
        ),
    ]


def test_a_table_leaves_out_what_it_is_told_to() -> None:
    table = settings_table(HttpSettings, without=["port"])

    assert "`port`" not in table
    assert "`host`" in table


def test_a_table_shows_stars_for_a_secret() -> None:
    (row,) = [
        row for row in settings_table(SqreamConnection).splitlines() if row.startswith("| `passw")
    ]

    assert row.startswith("| `password` | `***` |")


def test_a_key_without_a_default_must_be_given() -> None:
    assert "| `type` | must be given |" in settings_table(SourceSettings)


@pytest.mark.parametrize("name", sorted(vocabulary().sections))
def test_every_key_of_a_section_is_explained(name: str) -> None:
    fields = vocabulary().sections[name].model_fields

    assert [key for key, field in fields.items() if not field.description] == []


def test_the_table_of_flags_has_a_row_for_every_flag() -> None:
    rows = flags_table().splitlines()[2:]

    assert len(rows) == len(FLAGS)
    assert rows[3] == "| `--username` `--user` | `SHIPPER_USERNAME` | sqream | Role to log in as. |"


def test_common_keys_are_those_of_every_kind() -> None:
    assert common_keys() == set(SourceSettings.model_fields) - {"type"}
