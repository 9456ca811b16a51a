"""What an emulator can be asked: the functions it serves, and how a statement names one."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from shipper.demo.sqream.columns import Column, Row
from shipper.demo.sqream.packing import ResultSet

Rows: TypeAlias = Sequence[Row] | Callable[[], Sequence[Row]]

_LITERAL = re.compile(r"'(?:[^']|'')*'")
_CALL = re.compile(r"\s*select\s+(?P<name>\w+)\s*(?:\(.*\))?\s*", re.IGNORECASE | re.DOTALL)


class StatementRefused(Exception):
    """The server answers a request with an error; the session goes on."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who runs a statement, for the functions whose rows depend on it.

    The `connection_id` names a session: a client that connects again gets another one.
    """

    connection_id: int
    statement_id: int
    client_ip: str
    username: str
    database: str
    service: str
    sql: str


CallerRows: TypeAlias = Callable[[Caller], Sequence[Row]]


@dataclass(frozen=True, slots=True)
class ServedFunction:
    """A function that can be selected from.

    Attributes:
        name: As written in the statement; `1` for `select 1`.
        answer: Returns the result of one call; may raise `StatementRefused`.
        needs_gpu: Whether only a worker with a GPU can run it.
    """

    name: str
    answer: Callable[[Caller], ResultSet]
    needs_gpu: bool = False


def function_in(sql: str) -> str:
    """Return the name of the function that `sql` calls, in lower case.

    Raises:
        StatementRefused: There are several statements, or something else than a call of a function.
    """
    statements = [part for part in _LITERAL.sub("''", sql).split(";") if part.strip()]
    if len(statements) != 1:
        raise StatementRefused(f"expected one statement, got {len(statements)}")
    call = _CALL.fullmatch(statements[0])
    if call is None:
        raise StatementRefused("This emulator runs nothing but: select function(...)")
    return call["name"].lower()


def served(
    name: str, columns: Sequence[Column], rows: Rows, *, chunk_rows: int | None = None
) -> ServedFunction:
    """Return a function that answers `rows`; a list is packed once, here.

    Raises:
        ValueError: The rows do not fit the columns.
    """
    if callable(rows):
        return served_to_caller(name, columns, lambda _caller: rows(), chunk_rows=chunk_rows)
    packed_once = ResultSet.packed(columns, rows, chunk_rows=chunk_rows)
    return ServedFunction(name.lower(), lambda _caller: packed_once)


def served_to_caller(
    name: str, columns: Sequence[Column], rows: CallerRows, *, chunk_rows: int | None = None
) -> ServedFunction:
    """Return a function whose rows depend on who calls it."""
    return ServedFunction(
        name.lower(), lambda caller: ResultSet.packed(columns, rows(caller), chunk_rows=chunk_rows)
    )


class Catalog:
    """The functions by name; safe to use from any thread."""

    def __init__(self, functions: Iterable[ServedFunction]) -> None:
        self._functions = {function.name: function for function in functions}
        self._lock = threading.Lock()

    def add(self, function: ServedFunction) -> None:
        """Serve `function`, in place of one of the same name."""
        with self._lock:
            self._functions[function.name] = function

    def find(self, name: str) -> ServedFunction:
        """Return the function called `name`.

        Raises:
            StatementRefused: There is none.
        """
        with self._lock:
            function = self._functions.get(name)
        if function is None:
            raise StatementRefused(f"Could not find function {name} in catalog.")
        return function
