"""Reads the configuration file as JSON, and says exactly what is wrong when it is none."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any, NoReturn

from shipper.core.errors import ConfigError


def read_document(path: Path) -> dict[str, Any]:
    """Return the JSON object in the file at `path`.

    Raises:
        ConfigError: The file cannot be read, is not UTF-8, not JSON, not an object, or names a key twice.
    """
    document = _parse(path, _read_text(path))
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: the file must hold a JSON object, not {describe(document)}")
    return document


def describe(value: object) -> str:
    """Return how an operator would call a JSON value, short enough for one line."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'the text "{value[:40]}"'
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return str(value)[:40]


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a directory, not a file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: the file cannot be read: {reason}") from None
    if content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"{path}: the file starts with a byte order mark; save it as plain UTF-8")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: the file is not UTF-8: {error.reason} at byte {error.start}"
        ) from None


def _parse(path: Path, text: str) -> object:
    if not text.strip():
        raise ConfigError(f"{path}: the file is empty")
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"{path}: this is not JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise ConfigError(f"{path}: the file is nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"{key}: this key stands twice in the same object")
        content[key] = value
    return content


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number that can be used here")
