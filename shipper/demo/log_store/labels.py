"""Label sets: read from the selector text of a push, and printed as Loki prints them.

The parse errors carry the words and columns of Prometheus's parser, which Loki passes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from operator import itemgetter
from typing import Final

from shipper.demo.log_store.golang import quote, unquote

Labels = tuple[tuple[str, str], ...]
"""Pairs sorted by name, without empty values; a name can repeat when the push repeated it."""

LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)
      |(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)
      |(?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'|`[^`]*`)
      |(?P<mark>=~|!~|!=|[={},])""",
    re.VERBOSE,
)
_SERVICE_NAME = "service_name"
# The order of Loki 3.6's discover_service_name.
_SERVICE_SOURCES = (
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
)


class LabelSyntaxError(ValueError):
    """A text that is no label set; its words are those of Prometheus's parser."""


def format_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Return the selector text, such as {app="x", host="y"}."""
    return "{" + ", ".join(f"{name}={quote(value)}" for name, value in labels) + "}"


def tidy_labels(pairs: Iterable[tuple[str, str]]) -> Labels:
    """Return the pairs sorted and without empty values, `service_name` added when it is missing."""
    kept = sorted(((name, value) for name, value in pairs if value), key=itemgetter(0))
    # Of a name that is there twice Loki reads the first value.
    names = dict(reversed(kept))
    if _SERVICE_NAME in names:
        return tuple(kept)
    service = next((names[name] for name in _SERVICE_SOURCES if name in names), "unknown_service")
    return tuple(sorted([*kept, (_SERVICE_NAME, service)], key=itemgetter(0)))


def parse_labels(text: str) -> list[tuple[str, str]]:
    """Return the pairs of a label set in their written order; an empty text is an empty set.

    Raises:
        LabelSyntaxError: The text is no label set.
    """
    tokens = _Tokens(text)
    if tokens.at_end():
        return []
    pairs = _metric_name(tokens)
    if not tokens.at_end():
        tokens.expect("{", where="")
        pairs += _pairs_in_braces(tokens)
    if not tokens.at_end():
        raise tokens.unexpected("")
    return pairs


def _metric_name(tokens: _Tokens) -> list[tuple[str, str]]:
    if tokens.kind() != "name":
        return []
    return [("__name__", tokens.take())]


def _pairs_in_braces(tokens: _Tokens) -> list[tuple[str, str]]:
    pairs = []
    while not tokens.take_if("}"):
        pairs.append(_pair(tokens))
        if not tokens.take_if(","):
            tokens.expect("}", where=' in label set, expected "," or "}"')
            break
    return pairs


def _pair(tokens: _Tokens) -> tuple[str, str]:
    if tokens.kind() not in ("name", "string"):
        raise tokens.unexpected(' in label set, expected identifier or "}"')
    name = tokens.take_text()
    tokens.expect("=", where=' in label set, expected "="')
    if tokens.kind() != "string":
        raise tokens.unexpected(" in label set, expected string")
    value = tokens.take_text()
    if not LABEL_NAME.fullmatch(name):
        raise LabelSyntaxError(f"1:2: parse error: invalid label name {quote(name)}")
    return name, value


class _Tokens:
    """The words of a label set, read from left to right, with their columns."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._in_braces = False
        self._match: re.Match[str] | None = None
        self._advance()

    def at_end(self) -> bool:
        return self._match is None

    def kind(self) -> str | None:
        return self._match.lastgroup if self._match else None

    def take(self) -> str:
        if self._match is None:
            raise self.unexpected("")
        taken = self._match.group()
        self._in_braces = taken == "{" or (self._in_braces and taken != "}")
        self._position = self._match.end()
        self._advance()
        return taken

    def take_text(self) -> str:
        literal = self.kind() == "string"
        column = self._column()
        token = self.take()
        if not literal:
            return token
        try:
            return unquote(token)
        except ValueError as error:
            raise LabelSyntaxError(f"1:{column}: parse error: {error}") from error

    def take_if(self, mark: str) -> bool:
        if self._match is None or self._match.group() != mark:
            return False
        self.take()
        return True

    def expect(self, mark: str, *, where: str) -> None:
        if not self.take_if(mark):
            raise self.unexpected(where)

    def unexpected(self, where: str) -> LabelSyntaxError:
        match self.kind():
            case None:
                found = "end of input"
            case "name":
                found = f"identifier {quote(self._found())}"
            case "string":
                found = f"string {quote(self._found())}"
            case _:
                found = quote(self._found())
        return LabelSyntaxError(f"1:{self._column()}: parse error: unexpected {found}{where}")

    def _found(self) -> str:
        return self._match.group() if self._match else ""

    def _advance(self) -> None:
        match = _TOKEN.match(self._text, self._position)
        if match is not None and match.lastgroup == "blank":
            self._position = match.end()
            match = _TOKEN.match(self._text, self._position)
        if match is None and self._position < len(self._text):
            raise self._unreadable()
        self._match = match

    def _unreadable(self) -> LabelSyntaxError:
        character = self._text[self._position]
        if character in "\"'`":
            trouble = "unterminated quoted string"
        elif self._in_braces:
            trouble = f"unexpected character inside braces: '{character}'"
        else:
            trouble = f"unexpected character: '{character}'"
        return LabelSyntaxError(f"1:{self._column()}: parse error: {trouble}")

    def _column(self) -> int:
        return len(self._text[: self._position].encode()) + 1
