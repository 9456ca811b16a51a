"""Flags: what they are called, and what they change in the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shipper.config.flags import FLAGS, Flag, overrides
from shipper.config.override import Override
from shipper.config.secret import Secret
from shipper.core.errors import ConfigError
from shipper.wiring.vocabulary import vocabulary

WORD = "hunter2"
CONTRACT = [
    "host",
    "port",
    "database",
    "username",
    "password",
    "password_file",
    "clustered",
    "service",
    "loki_host",
    "loki_port",
    "loki_url",
    "loki_tenant",
    "loki_username",
    "loki_password_file",
    "loki_token_file",
    "loki_ca",
    "loki_cert",
    "loki_key",
    "config",
    "state_dir",
    "http_host",
    "http_port",
    "http_token_file",
    "wait_seconds",
    "drain_seconds",
    "log_file_path",
    "log_file_max_bytes",
    "log_files_kept",
    "log_level",
    "log_format",
]


def changed(**given: Any) -> dict[str, object]:
    return {f"{each.section}.{each.key}": each.value for each in overrides(given)}


def test_the_flags_are_those_of_the_contract() -> None:
    assert [flag.name for flag in FLAGS] == CONTRACT


def test_every_flag_can_come_from_the_environment() -> None:
    assert Flag("loki_host", "text", "-", "x").variable == "SHIPPER_LOKI_HOST"


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.place], ids=lambda flag: flag.name)
def test_the_place_that_a_flag_overrides_exists(flag: Flag) -> None:
    section, key = flag.place.split(".")

    assert key in vocabulary().sections[section].model_fields


def test_flags_that_were_not_given_change_nothing() -> None:
    assert overrides({flag.name: None for flag in FLAGS}) == ()


def test_a_given_flag_overrides_its_place_and_names_itself() -> None:
    assert overrides({"host": "db"}) == (Override("sqream", "host", "db", "--host"),)


def test_a_switch_and_a_zero_are_given_values() -> None:
    assert changed(clustered=True, http_port=0) == {"sqream.clustered": True, "http.port": 0}


def test_a_password_becomes_a_secret() -> None:
    assert changed(password=WORD) == {"sqream.password": Secret("literal", WORD)}


def test_an_override_does_not_show_its_secret() -> None:
    assert WORD not in repr(overrides({"password": WORD}))


def test_a_password_file_beats_a_password(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("from the file\n")

    assert changed(password=WORD, password_file=str(path)) == {
        "sqream.password": Secret("file", str(path))
    }


@pytest.mark.parametrize("name", [flag.name for flag in FLAGS if flag.kind == "secret_file"])
def test_a_secret_file_that_cannot_be_read_is_told_by_its_flag(tmp_path: Path, name: str) -> None:
    path = tmp_path / "none"

    with pytest.raises(ConfigError, match=f"^--{name}: the secret's file {path} cannot be read"):
        overrides({name: str(path)})


@pytest.mark.parametrize(
    ("given", "url", "flag"),
    [
        ({"loki_host": "loki"}, "http://loki:3100", "--loki_host"),
        ({"loki_port": 80}, "http://localhost:80", "--loki_port"),
        ({"loki_host": "loki", "loki_port": 80}, "http://loki:80", "--loki_host"),
        ({"loki_host": "::1", "loki_port": 80}, "http://[::1]:80", "--loki_host"),
        ({"loki_host": "loki", "loki_port": 0}, "http://loki:0", "--loki_host"),
    ],
)
def test_lokis_host_and_port_become_its_address(given: dict[str, Any], url: str, flag: str) -> None:
    assert overrides(given) == (Override("loki", "url", url, flag),)


def test_lokis_address_beats_its_host_and_port() -> None:
    given = {"loki_host": "loki", "loki_port": 80, "loki_url": "https://other"}

    assert overrides(given) == (Override("loki", "url", "https://other", "--loki_url"),)
