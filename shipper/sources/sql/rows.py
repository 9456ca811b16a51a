"""Makes rows of what a driver gives, and knows where cursor and time are in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import get_args
from zoneinfo import ZoneInfo

from shipper.core.errors import SourceRefused
from shipper.core.record import Cursor, CursorValue, Row
from shipper.core.words import unique_names
from shipper.sources.sql.engines import Change, Column, Engine, Values
from shipper.sources.sql.times import own_time
from shipper.sources.sql.values import parsed_json

CURSOR_TYPES: tuple[type, ...] = get_args(CursorValue)


class Shape:
    """The columns of a result: their names, and what becomes of their values.

    Attributes:
        names: Of the columns, each different.
        rows: Makes rows of what the driver gives, with the columns in their order.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        engine: Engine,
        *,
        json_columns: Collection[str] = (),
        time_field: str | None = None,
        zone: ZoneInfo,
    ) -> None:
        self.names = list(unique_names(column.name for column in columns))
        self.rows = _row_maker(
            self.names,
            [tuple(_changes(each, engine, json_columns, time_field, zone)) for each in columns],
        )

    def place(self, name: str) -> int:
        """Return where a column is.

        Raises:
            SourceRefused: It is not there.
        """
        if name in self.names:
            return self.names.index(name)
        # SQLite and MariaDB do not tell capitals from small letters in names of columns.
        folded = [each.casefold() for each in self.names]
        if name.casefold() not in folded:
            raise SourceRefused(f'there is no column "{name}"; there are: {", ".join(self.names)}')
        return folded.index(name.casefold())


def cursor_of(values: Sequence[object], names: Sequence[str]) -> Cursor:
    """Return values as a cursor, as the driver gave them.

    Raises:
        SourceRefused: One is of a type that a cursor cannot have.
    """
    for value, name in zip(values, names, strict=True):
        if not isinstance(value, CURSOR_TYPES):
            raise SourceRefused(
                f'column "{name}" holds values of type {type(value).__name__}, which cannot be a cursor'
            )
    return tuple(values)  # type: ignore[arg-type]  # looked at one by one


def _row_maker(
    names: Sequence[str], changes: Sequence[Sequence[Change]]
) -> Callable[[Sequence[Values]], list[Row]]:
    """Compile `lambda chunk: [{name_0: value_0, ...} for value_0, ... in chunk]`.

    Written out for the columns, it takes a third of the time of `dict(zip(names, values))`: 0.2 us for 6 columns.
    """
    scope: dict[str, object] = {}
    pairs = []
    for place, (name, of_the_column) in enumerate(zip(names, changes, strict=True)):
        scope[f"name_{place}"] = name
        shown = value = f"value_{place}"
        for turn, change in enumerate(of_the_column):
            scope[f"change_{place}_{turn}"] = change
            shown = f"change_{place}_{turn}({shown})"
        unless_null = f" if {value} is not None else None" if of_the_column else ""
        pairs.append(f"name_{place}: {shown}{unless_null}")
    values = "".join(f"value_{place}, " for place in range(len(names)))
    text = f"lambda chunk: [{{{', '.join(pairs)}}} for ({values}) in chunk]"
    # Nothing from outside is in the text: names of columns come in as values.
    maker: Callable[[Sequence[Values]], list[Row]] = eval(text, scope)  # noqa: S307  # nosec B307
    return maker


def _changes(
    column: Column,
    engine: Engine,
    json_columns: Collection[str],
    time_field: str | None,
    zone: ZoneInfo,
) -> Iterator[Change]:
    change = engine.change(column)
    if change is not None:
        yield change
    if column.name in json_columns:
        yield parsed_json
    # What has no zone is read as UTC further on.
    if column.name == time_field and zone.key != "UTC":
        yield partial(own_time, zone=zone)
