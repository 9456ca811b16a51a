"""Reads one top-level section of a configuration, or several of a kind in a list."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from shipper.config.complaint import complaints
from shipper.config.document import describe
from shipper.config.override import Override
from shipper.config.settings import Settings

SECTION = TypeVar("SECTION", bound=Settings)


def read_section(
    name: str,
    model: type[SECTION],
    written: object,
    overrides: tuple[Override, ...],
    faults: list[str],
) -> SECTION | None:
    """Return what is written under a top-level key, with `overrides` applied; add to `faults` what is wrong with it."""
    if not isinstance(written, dict):
        faults.append(f"{name}: must be an object, not {describe(written)}")
        return None
    mine = {each.key: each for each in overrides if each.section == name}
    try:
        return model.model_validate({**written, **{key: each.value for key, each in mine.items()}})
    except ValidationError as error:
        for complaint in complaints(error, model):
            key, _, rule = complaint.partition(": ")
            faults.append(f"{mine[key].flag}: {rule}" if key in mine else f"{name}.{complaint}")
        return None


def read_list(
    name: str,
    model: type[SECTION],
    written: list[object],
    overrides: tuple[Override, ...],
    faults: list[str],
) -> tuple[SECTION, ...]:
    """Return what is written in a list under a top-level key; add to `faults` what is wrong with it."""
    faults.extend(
        f"{each.flag}: {name} is a list in the file, so no flag can say which of them is meant; write it there"
        for each in overrides
        if each.section == name
    )
    if not written:
        faults.append(f"{name}: the list is empty; leave the key out, or write an object")
    read = [
        read_section(f"{name}.{place}", model, each, (), faults)
        for place, each in enumerate(written)
    ]
    return tuple(each for each in read if each is not None)
