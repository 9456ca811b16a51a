"""Shows the configuration's one definition to people and machines: JSON Schema, examples, tables for the docs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema
from pydantic_core import PydanticUndefined

from shipper.config.complaint import nearest
from shipper.config.flags import FLAGS, Flag
from shipper.config.loading import Vocabulary
from shipper.config.models import NAME, SourceSettings
from shipper.config.secret import Secret
from shipper.core.errors import ConfigError

SECONDS_SCHEMA = {
    "type": "number",
    "exclusiveMinimum": 0,
    "description": "Short form: the period of the polls, in seconds.",
}


def schema_text(vocabulary: Vocabulary) -> str:
    """Return the JSON Schema of a configuration file, in the short and in the full form."""
    models = [*vocabulary.kinds.values(), *vocabulary.sections.values()]
    places, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/$defs/{model}"
    )
    links = {model: places[model, "validation"] for model in models}
    entries = _names(
        {"anyOf": [SECONDS_SCHEMA, *(links[kind] for kind in vocabulary.kinds.values())]}
    )
    full = {
        "type": "object",
        "properties": {
            **{
                name: _or_list(links[section]) if name in vocabulary.lists else links[section]
                for name, section in vocabulary.sections.items()
            },
            "metrics": entries,
        },
        "required": ["metrics"],
        "additionalProperties": False,
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Shipper's configuration",
        "anyOf": [_names(SECONDS_SCHEMA), full],
        **definitions,
    }
    return json.dumps(schema, indent=2)


def example_text(vocabulary: Vocabulary, kind: str) -> str:
    """Return a valid configuration with one entry of `kind`, every key at its default or a likely value.

    JSON has no comments, so what a key means follows behind the file, a line a key.

    Raises:
        ConfigError: There is no such kind of source.
    """
    if kind not in vocabulary.kinds:
        raise ConfigError(
            f'example: "{kind}" is not a kind of source{nearest(kind, vocabulary.kinds)}'
        )
    model = vocabulary.kinds[kind]
    document: dict[str, Any] = {}
    if model.section is not None:
        document[model.section_name or kind] = _defaults(model.section)
    # Defaults that depend on the entry are those that are in force for what is shown.
    filled = model.complete(model.example_metric, {})
    document["metrics"] = {model.example_metric: _defaults(model) | filled}
    return json.dumps(document, indent=2)


def example_comments(vocabulary: Vocabulary, kind: str) -> str:
    """Return what every key of the example means, a line a key; JSON itself has no comments.

    Raises:
        ConfigError: There is no such kind of source.
    """
    model = _kind(vocabulary, kind)
    places: list[tuple[str, type[BaseModel]]] = [(f"metrics.{model.example_metric}", model)]
    if model.section is not None:
        places.insert(0, (model.section_name or kind, model.section))
    return "\n".join(
        f"# {place}.{name}: {(field.description or '').replace(chr(10), ' ')}"
        for place, shown in places
        for name, field in shown.model_fields.items()
    )


def settings_table(model: type[BaseModel], *, without: Iterable[str] = ()) -> str:
    """Return the keys of a model as a Markdown table: key, default, meaning."""
    rows = ["| key | default | meaning |", "| --- | --- | --- |"]
    left_out = set(without)
    for name, field in model.model_fields.items():
        if name not in left_out:
            meaning = (field.description or "").replace("\n", " ").replace("|", "\\|")
            rows.append(f"| `{name}` | {_default_words(field)} | {meaning} |")
    return "\n".join(rows)


def flags_table(flags: Sequence[Flag] = FLAGS) -> str:
    """Return the flags of a command as a Markdown table."""
    rows = ["| flag | environment | default | meaning |", "| --- | --- | --- | --- |"]
    for flag in flags:
        spellings = " ".join(f"`--{name}`" for name in (flag.name, *flag.aliases))
        rows.append(f"| {spellings} | `{flag.variable}` | {flag.default} | {flag.help}. |")
    return "\n".join(rows)


def common_keys() -> set[str]:
    """Return the keys that entries of every kind have, without `type`."""
    return set(SourceSettings.model_fields) - {"type"}


def _kind(vocabulary: Vocabulary, kind: str) -> type[SourceSettings]:
    if kind not in vocabulary.kinds:
        raise ConfigError(
            f'example: "{kind}" is not a kind of source{nearest(kind, vocabulary.kinds)}'
        )
    return vocabulary.kinds[kind]


def _or_list(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [content, {"type": "array", "items": content, "minItems": 1}]}


def _names(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "minProperties": 1,
        "patternProperties": {f"^{NAME.pattern}$": content},
        "additionalProperties": False,
    }


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return every key of a model that has something to show, with its default or a likely value."""
    shown = {}
    for name, field in model.model_fields.items():
        value = _likely(field)
        if value is not None:
            shown[name] = value
    return shown


def _likely(field: FieldInfo) -> object:
    """Return a value to show for a key; `None` for a key that is better left out of an example."""
    if field.examples:
        return field.examples[0]
    if get_origin(field.annotation) is Literal:
        return get_args(field.annotation)[0]
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined or isinstance(default, Secret):
        return None
    return default


def _default_words(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "must be given"
    if default is None:
        return "-"
    if isinstance(default, Secret):
        return "`***`"
    return f"`{json.dumps(default)}`"
