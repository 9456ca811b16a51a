"""Turns what pydantic found wrong into one line an operator can act on: key, rule, nearest known word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shipper.config.column_metric import FORMS
from shipper.config.document import describe

RULES = {
    "missing": "this key is missing",
    "literal_error": "must be {expected}, not {written}",
    "greater_than": "must be greater than {gt:g}, not {written}",
    "greater_than_equal": "must be at least {ge:g}, not {written}",
    "less_than_equal": "must be at most {le:g}, not {written}",
    "float_type": "must be a number, not {written}",
    "finite_number": "must be a number, not {written}",
    "int_type": "must be a whole number, not {written}",
    "int_from_float": "must be a whole number, not {written}",
    "string_type": "must be text, not {written}",
    "bool_type": "must be true or false, not {written}",
    "list_type": "must be a list, not {written}",
    "dict_type": "must be an object, not {written}",
    "string_pattern_mismatch": "must match {pattern}, not {written}",
    "value_error": "{error}",
}
"""What pydantic's error types mean to an operator; the words in braces are pydantic's own context."""


WHOLE = ("extra_forbidden", "value_error")
"""What is wrong inside of an item, although it is told of the item as a whole."""

KEY_AND_RULE = re.compile(r"[a-z_]+: ")


def complaints(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return `key: rule` for every fault that pydantic found while it validated `model`."""
    return [_complaint(details, model) for details in error.errors(include_url=False)]


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "x"?` for a misspelt word, else the list of what is known."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{close[0]}"?'
    return f"; known: {', '.join(known)}"


def _complaint(details: ErrorDetails, model: type[BaseModel]) -> str:
    # Behind the number of an item pydantic names the form of it that was chosen.
    path = details["loc"]
    loc = tuple(
        part
        for part, before in zip(path, (None, *path), strict=False)
        if not (part in FORMS and isinstance(before, int))
    )
    key, rule = ".".join(map(str, loc)), _rule(details, loc, model)
    if not key:
        return rule
    # What a model objects to as a whole names the key that is at fault.
    return f"{key}.{rule}" if KEY_AND_RULE.match(rule) else f"{key}: {rule}"


def _rule(details: ErrorDetails, loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    kind = details["type"]
    if details["loc"][-1:] and details["loc"][-1] in FORMS and kind not in WHOLE:
        return f'must be an object, or the text "ready", not {describe(details["input"])}'
    if kind == "extra_forbidden":
        return "this key is not known" + nearest(str(loc[-1]), _keys_beside(loc, model))
    rule = RULES.get(kind, f"{details['msg'][0].lower()}{details['msg'][1:]}, not {{written}}")
    return rule.format(**details.get("ctx", {}), written=describe(details["input"]))


def _keys_beside(loc: tuple[int | str, ...], model: type[BaseModel]) -> Iterable[str]:
    """Return the keys that are known where `loc` points, following nested models."""
    for part in loc[:-1]:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        inner = _model_inside(field.annotation) if field else None
        if inner is None:
            return model.model_fields
        model = inner
    return model.model_fields


def _model_inside(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _model_inside(argument)
        if inner is not None:
            return inner
    return None
