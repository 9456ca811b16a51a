"""The messages of the program, read from its source, with … where a value stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.docs.pages import ROOT

NOT_THE_OPERATORS = ("demo",)
TOLD = ("warning", "error", "exception")
NOT_TOLD = ("info", "debug")
STOPS = ("StartupError", "Unusable", "EveryWorkerGaveUp")

_PERCENT = re.compile(r"%(?:\(\w+\))?(?:\.\d+)?[sdfg]")
_LETTERS = re.compile(r"[A-Za-z]")


@cache
def texts() -> frozenset[str]:
    """Return every text in the source that has words in it."""
    found = (_text(node) for tree in _trees() for node in ast.walk(tree))
    return frozenset(text for text in found if text and _letters(text) >= 8)


@cache
def told() -> frozenset[str]:
    """Return every text that is logged as a warning or an error, or that stops a start or a command."""
    return frozenset(text for tree in _trees() for text in _told_in(tree) if _letters(text) >= 8)


def says(text: str, message: str) -> bool:
    """Return whether a text of the source can become a message, or the part of one that matters."""
    return 2 * _letters(text) >= _letters(message) and _pattern(text).fullmatch(message) is not None


@cache
def _pattern(text: str) -> re.Pattern[str]:
    words = ".+?".join(re.escape(part) for part in text.rstrip(".").split("…"))
    return re.compile(rf"(?:.*?: )?{words}[.]?")


@cache
def _letters(text: str) -> int:
    return len(_LETTERS.findall(text))


@cache
def _trees() -> tuple[ast.Module, ...]:
    room = ROOT / "shipper"
    paths = (
        path for path in sorted(room.rglob("*.py")) if not _is_left_out(path.relative_to(room))
    )
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in paths)


def _is_left_out(path: Path) -> bool:
    return path.parts[0] in NOT_THE_OPERATORS


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return _PERCENT.sub("…", text)
        case ast.JoinedStr(values=values):
            return "".join(_text(part) or "…" for part in values)
    return None


def _told_in(tree: ast.AST) -> Iterator[str]:
    """Yield what is told in each function; a variable stands for what is assigned to it there."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        named = {
            target.id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(function):
            if isinstance(call, ast.Call):
                given = (
                    named.get(each.id, each) if isinstance(each, ast.Name) else each
                    for each in call.args
                )
                yield from filter(None, map(_text, _told_by(_name(call.func), list(given))))


def _told_by(called: str, given: list[ast.expr]) -> list[ast.expr]:
    """Return which arguments of a call are told: the first, and templates that are told by way of something else."""
    if called in TOLD + STOPS:
        return given[:1]
    return [] if called in NOT_TOLD else [each for each in given if _is_template(each)]


def _is_template(given: ast.expr) -> bool:
    return isinstance(given, ast.Constant) and "%(" in str(given.value)


def _name(called: ast.expr) -> str:
    match called:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""
