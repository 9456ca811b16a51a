"""Takes out of rows what shall not leave the machine, or not in full."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from shipper.core.record import Row


def cut(rows: Sequence[Row], most_characters: Mapping[str, int]) -> Sequence[Row]:
    """Return rows whose texts are cut after so many characters, with a word on how much is missing."""
    if not most_characters:
        return rows
    return [_cut(row, most_characters) for row in rows]


def without(rows: Sequence[Row], names: Collection[str]) -> Sequence[Row]:
    """Return rows that lack some fields."""
    if not names:
        return rows
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def _cut(row: Row, most_characters: Mapping[str, int]) -> Row:
    shorter = {}
    for name, most in most_characters.items():
        value = row.get(name)
        if isinstance(value, str) and len(value) > most:
            shorter[name] = f"{value[:most]} ...[cut {len(value) - most} characters]"
    return {**row, **shorter} if shorter else row
