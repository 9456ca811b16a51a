"""Secrets: named in a file, never written into it, and never shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from shipper.core.errors import ConfigError
from shipper.core.secrecy import conceal

HOW_TO_WRITE_ONE = 'write {"env": "NAME"} or {"file": "PATH"}, never the secret itself'


class Secret:
    """A password or token, or where to find it. Prints as `***` wherever it is printed.

    In a file it is `{"env": "NAME"}` or `{"file": "PATH"}`; a literal can only come from the command line.
    """

    __slots__ = ("_place", "_text")

    def __init__(self, place: Literal["env", "file", "literal"], text: str) -> None:
        self._place = place
        self._text = text

    def reveal(self) -> str:
        """Return the secret in clear; from now on it is struck out of what this process says.

        Raises:
            ConfigError: The variable is not set, or the file cannot be read.
        """
        secret = self._found()
        conceal(secret)
        return secret

    def _found(self) -> str:
        match self._place:
            case "env":
                if self._text not in os.environ:
                    raise ConfigError(f"the environment variable {self._text} is not set")
                return os.environ[self._text]
            case "file":
                return _first_line(Path(self._text))
            case "literal":
                return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._place, self._text) == (other._place, other._text)

    def __hash__(self) -> int:
        return hash((self._place, self._text))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, _schema_of: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _from_file,
            serialization=core_schema.plain_serializer_function_ser_schema(repr),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _json_schema_of: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1}
        return {
            "description": f"A secret: {HOW_TO_WRITE_ONE}.",
            "oneOf": [
                {
                    "type": "object",
                    "properties": {key: text},
                    "required": [key],
                    "additionalProperties": False,
                }
                for key in ("env", "file")
            ],
        }


def _from_file(written: object) -> Secret:
    """Turn what stands in a configuration file into a secret; the value is never part of an error."""
    match written:
        case Secret():
            return written
        case {"env": str(name), **rest} if name and not rest:
            return Secret("env", name)
        case {"file": str(path), **rest} if path and not rest:
            return Secret("file", path)
        case _:
            raise ValueError(HOW_TO_WRITE_ONE)


def _first_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"the secret's file {path} cannot be read: {reason}") from None
    if not lines or not lines[0]:
        raise ConfigError(f"the secret's file {path} is empty")
    return lines[0]
