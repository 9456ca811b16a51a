"""What every part of the configuration is made of."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """A part of the configuration: unchangeable, strict about types, and closed to unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
    )


def _at_least_a_millisecond(seconds: float) -> float:
    if seconds < 0.001:
        raise ValueError(f"must be at least 0.001, not {seconds:g}")
    return seconds


Seconds = Annotated[
    float,
    Field(gt=0, allow_inf_nan=False, le=10 * 365 * 86400),
    AfterValidator(_at_least_a_millisecond),
]
"""A number of seconds greater than 0."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there, not a name, a folder
        raise ValueError(f'"{name}" is not a time zone like Europe/Prague') from None
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]
"""The name of a time zone, as the IANA database has it."""
