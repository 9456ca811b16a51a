"""A secret is found where it is said to be, and shown nowhere."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Literal

import pytest
from pydantic import ValidationError

from shipper.config.models import Settings
from shipper.config.secret import Secret
from shipper.core.errors import ConfigError

PLACES: tuple[Literal["env", "file", "literal"], ...] = ("env", "file", "literal")


class Login(Settings):
    """Something with a secret in it."""

    password: Secret = Secret("literal", "hunter2")
    token: Secret | None = None


def test_a_literal_is_revealed() -> None:
    assert Secret("literal", "hunter2").reveal() == "hunter2"


def test_a_variable_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret("env", "SOME_SECRET")
    monkeypatch.setenv("SOME_SECRET", "hunter2")

    assert secret.reveal() == "hunter2"


def test_a_variable_that_is_not_set_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_SECRET", raising=False)

    with pytest.raises(ConfigError, match=r"^the environment variable SOME_SECRET is not set$"):
        Secret("env", "SOME_SECRET").reveal()


@pytest.mark.parametrize("content", ["hunter2", "hunter2\n", "hunter2\r\n", "hunter2\n# old one\n"])
def test_the_first_line_of_a_file_is_the_secret(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content.encode())

    assert Secret("file", str(path)).reveal() == "hunter2"


def test_blanks_in_a_file_belong_to_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(" hunter 2 \n")

    assert Secret("file", str(path)).reveal() == " hunter 2 "


def test_a_file_is_read_again_every_time(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    secret = Secret("file", str(path))
    secret.reveal()
    path.write_text("new")

    assert secret.reveal() == "new"


@pytest.mark.parametrize("content", ["", "\n", "\nhunter2"])
def test_a_file_whose_first_line_is_empty_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_text(content)

    with pytest.raises(ConfigError) as caught:
        Secret("file", str(path)).reveal()

    assert str(caught.value) == f"the secret's file {path} is empty"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none"

    with pytest.raises(ConfigError, match=r"cannot be read: .*No such file or directory"):
        Secret("file", str(path)).reveal()


def test_a_file_that_is_not_utf_8_is_told_without_its_content(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"hunter2\xff")

    with pytest.raises(ConfigError) as caught:
        Secret("file", str(path)).reveal()

    assert "hunter2" not in str(caught.value)


def test_a_path_that_no_file_can_have_is_told() -> None:
    with pytest.raises(ConfigError):
        Secret("file", "a\0b").reveal()


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_prints_as_stars(place: Literal["env", "file", "literal"]) -> None:
    secret = Secret(place, "hunter2")

    assert [repr(secret), str(secret), f"{secret}", "%s" % secret] == ["***"] * 4  # noqa: UP031 - on purpose


def test_a_secret_is_not_shown_by_the_settings_that_hold_it() -> None:
    login = Login.model_validate(
        {"password": Secret("literal", "hunter2"), "token": Secret("file", "hunter2")}
    )

    shown = [
        repr(login),
        str(login),
        str(login.model_dump()),
        str(login.model_dump(mode="json")),
        login.model_dump_json(),
        json.dumps(Login.model_json_schema()),
    ]

    assert not [text for text in shown if "hunter2" in text]


def test_dumped_settings_show_stars() -> None:
    assert Login(token=Secret("env", "A")).model_dump(mode="json") == {
        "password": "***",
        "token": "***",
    }


def test_a_refused_secret_is_not_part_of_the_message() -> None:
    with pytest.raises(ValidationError) as caught:
        Login.model_validate({"token": {"env": "A", "literal": "hunter2"}})

    assert "never the secret itself" in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_reaches_another_process(place: Literal["env", "file", "literal"]) -> None:
    secret = Secret(place, "hunter2")

    assert pickle.loads(pickle.dumps(secret)) == secret  # noqa: S301 - our own


def test_secrets_are_equal_when_place_and_text_are() -> None:
    secrets = {Secret("env", "A"), Secret("env", "A"), Secret("file", "A"), Secret("env", "B")}

    assert len(secrets) == 3
    assert Secret("env", "A") != "A"


def test_the_schema_describes_the_two_ways_to_write_one() -> None:
    token = Login.model_json_schema()["properties"]["token"]["anyOf"][0]

    assert [list(way["properties"]) for way in token["oneOf"]] == [["env"], ["file"]]
