"""What beats the file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Override:
    """A value from the command line or the environment that beats the file.

    Attributes:
        section: The top-level key it belongs to, like `loki`.
        key: The key inside the section.
        value: What it is set to.
        flag: How the operator wrote it, for messages, like `--loki_url`.
    """

    section: str
    key: str
    value: object
    flag: str
