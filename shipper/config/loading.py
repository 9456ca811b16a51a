"""Reads `monitor_input.json` and the command line's overrides into settings, or says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from shipper.config.column_metric import ALL_READY
from shipper.config.complaint import complaints, nearest
from shipper.config.document import describe, read_document
from shipper.config.models import NAME, Settings, SourceSettings
from shipper.config.override import Override
from shipper.config.sections import read_list, read_section
from shipper.core.errors import ConfigError

DEFAULT_KIND = "sqream"
ANY_SECTION = TypeVar("ANY_SECTION", bound=Settings)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What may stand in a file.

    Attributes:
        kinds: The kinds of sources, by name.
        sections: The top-level sections beside `metrics`.
        lists: The sections that may also be lists of such sections.
        table_sets: The sets of tables that may stand under `store` of an entry, each with what says why it cannot
            keep what an entry receives, or nothing when it can.
    """

    kinds: Mapping[str, type[SourceSettings]]
    sections: Mapping[str, type[Settings]]
    lists: Collection[str] = ()
    table_sets: Mapping[str, Callable[[SourceSettings], str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything an operator decided, validated.

    Attributes:
        sections: The top-level sections that are objects.
        metrics: The entries.
        lists: The top-level sections that are lists.
    """

    sections: Mapping[str, Settings]
    metrics: Mapping[str, SourceSettings]
    lists: Mapping[str, tuple[Settings, ...]] = field(default_factory=dict)

    def section(self, name: str, kind: type[ANY_SECTION]) -> ANY_SECTION:
        """Return one section as the settings class it is known to have."""
        section = self.sections[name]
        if not isinstance(section, kind):
            raise TypeError(f"section {name} is {type(section).__name__}, not {kind.__name__}")
        return section

    def several(self, name: str, kind: type[ANY_SECTION]) -> tuple[ANY_SECTION, ...]:
        """Return what a section that may be a list holds; the object that it may be as well is one of one."""
        listed = self.lists.get(name)
        if listed is None:
            return (self.section(name, kind),)
        return tuple(each for each in listed if isinstance(each, kind))

    def section_of(self, entry: SourceSettings) -> Settings | None:
        """Return the settings that all entries of this entry's kind share, if the kind has any."""
        return self.sections.get(entry.section_name or entry.type) if entry.section else None


def load(path: Path, vocabulary: Vocabulary, overrides: tuple[Override, ...] = ()) -> Configuration:
    """Return the configuration in the file at `path` with `overrides` applied.

    Raises:
        ConfigError: Something is wrong with it; the text names file, key, rule and the nearest known word.
    """
    written_sections, entries, prefix = _split(path, vocabulary)
    faults: list[str] = []
    lists = {
        name: read_list(name, vocabulary.sections[name], written, overrides, faults)
        for name in vocabulary.lists
        if isinstance(written := written_sections.get(name), list)
    }
    sections = {
        name: read_section(name, model, written_sections.get(name, {}), overrides, faults)
        for name, model in vocabulary.sections.items()
        if name not in lists
    }
    metrics = {name: _entry(name, entry, vocabulary, faults) for name, entry in entries.items()}
    if not entries:
        faults.append("metrics: at least one metric is needed, and there is none")
    if not faults:
        complete = Configuration(
            {name: section for name, section in sections.items() if section is not None},
            {name: entry for name, entry in metrics.items() if entry is not None},
            lists,
        )
        faults = _objections(complete, vocabulary)
        if not faults:
            return complete
    raise ConfigError(_one_line(path, prefix, faults))


def _split(path: Path, vocabulary: Vocabulary) -> tuple[Mapping[str, Any], Mapping[str, Any], str]:
    """Return the sections, the entries, and what stands before an entry's name in messages."""
    document = read_document(path)
    if "metrics" not in document:
        _refuse_objects(path, document, vocabulary)
        return {}, document, ""
    known = {"metrics", *vocabulary.sections}
    for key in document:
        if key not in known:
            raise ConfigError(
                f"{path}: {key}: this key is not known{_place_for(key, document, known)}"
            )
    entries = document["metrics"]
    if not isinstance(entries, dict):
        raise ConfigError(f"{path}: metrics: must be an object, not {describe(entries)}")
    return document, entries, "metrics."


def _place_for(key: str, document: Mapping[str, Any], known: Collection[str]) -> str:
    """Say where a key may belong: numbers are periods of metrics, and other words may be misspelt."""
    is_period = isinstance(document[key], int | float) and not isinstance(document[key], bool)
    return '; metrics stand under "metrics"' if is_period else nearest(key, known)


def _refuse_objects(path: Path, document: Mapping[str, Any], vocabulary: Vocabulary) -> None:
    """Refuse objects in the short form, where every value is a number of seconds."""
    for key, value in document.items():
        if not isinstance(value, dict):
            continue
        if key in vocabulary.sections:
            raise ConfigError(f'{path}: metrics: this key is missing beside "{key}"')
        word = nearest(key, {"metrics", *vocabulary.sections})
        hint = word if "mean" in word else '; entries with keys of their own stand under "metrics"'
        raise ConfigError(f"{path}: {key}: must be a number of seconds, not an object{hint}")


def _entry(
    name: str, written: object, vocabulary: Vocabulary, faults: list[str]
) -> SourceSettings | None:
    place = f"@{name}"
    if not NAME.fullmatch(name):
        faults.append(
            f"{place}: a metric's name starts with a letter or _ and goes on with letters, digits and _"
        )
        return None
    match written:
        case bool() | str() | None | list():
            faults.append(f"{place}: {_no_entry(name, written, vocabulary)}")
            return None
        case int() | float():
            written = {"every_seconds": written}
    entry = cast("dict[str, Any]", written)
    kind = entry.get("type", DEFAULT_KIND)
    if not isinstance(kind, str) or kind not in vocabulary.kinds:
        word = nearest(kind, vocabulary.kinds) if isinstance(kind, str) else ""
        shown = f'"{kind}"' if isinstance(kind, str) else describe(kind)
        faults.append(f"{place}.type: {shown} is not a kind of source{word}")
        return None
    model = vocabulary.kinds[kind]
    try:
        return model.model_validate(model.complete(name, dict(entry)))
    except ValidationError as error:
        faults.extend(f"{place}.{complaint}" for complaint in complaints(error, model))
        return None


def _no_entry(name: str, written: object, vocabulary: Vocabulary) -> str:
    """Say why something is no entry; what belongs into a section, like a password, is not shown."""
    owners = sorted(
        section for section, model in vocabulary.sections.items() if name in model.model_fields
    )
    if owners:
        return f"this key belongs into {' or '.join(owners)}"
    return f"must be a number of seconds, not {describe(written)}"


def _objections(configuration: Configuration, vocabulary: Vocabulary) -> list[str]:
    faults = [
        f"@{name}.{objection}"
        for name, entry in configuration.metrics.items()
        for objection in entry.objections(configuration.section_of(entry))
    ]
    faults += [
        f"@{name}.metrics: nothing is ready-made for {entry.ready_for(name)}"
        for name, entry in configuration.metrics.items()
        if ALL_READY in entry.metrics and not entry.ready_metrics(configuration.section_of(entry))
    ]
    faults += [
        f"@{name}.store: {objection}"
        for name, entry in configuration.metrics.items()
        if (objection := _store_objection(entry, vocabulary))
    ]
    return [*faults, *_taken_twice(configuration)]


def _taken_twice(configuration: Configuration) -> Iterator[str]:
    owners: dict[str, str] = {}
    for name, entry in configuration.metrics.items():
        for taken in entry.takes:
            if owners.setdefault(taken, name) != name:
                yield f"@{name}: {taken} is taken by metrics.{owners[taken]} already"


def _store_objection(entry: SourceSettings, vocabulary: Vocabulary) -> str:
    if entry.store is None:
        return ""
    known = vocabulary.table_sets
    if entry.store not in known:
        return f'"{entry.store}" is no set of tables{nearest(entry.store, known)}'
    return known[entry.store](entry)


def _one_line(path: Path, prefix: str, faults: list[str]) -> str:
    """Return the first fault, where it stands, and how many more there are."""
    first = faults[0]
    if first.startswith("--"):
        text = first
    elif first.startswith("@"):
        text = f"{path}: {prefix}{first[1:]}"
    else:
        text = f"{path}: {first}"
    return f"{text} (and {len(faults) - 1} more)" if len(faults) > 1 else text
