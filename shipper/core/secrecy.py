"""The last line of defence: secrets that this process has used are struck out of whatever it says.

Every place that uses a secret takes care not to tell it. This is for what none of them thought of, like a driver that
quotes its connection string in an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

MASK = "***"

SHORTEST = 6
"""Shorter secrets are not struck out here: `123` or `wrong` stands in too many messages that tell nothing."""

SHORTEST_INSIDE_WORDS = 8
"""Shorter ones are struck out as whole words only: the password `server` does not garble `show_server_status`."""

NO_SECRETS = frozenset({"sqream"})
"""The password that SQreamDB comes with, which is printed in its manual, and is a word of many messages."""

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SECRET_PARAMETERS = re.compile("pass|pwd|secret|token", re.IGNORECASE)

_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def conceal(secret: str) -> None:
    """Strike a secret out from now on, in every notation it may be quoted in; of a URL, the secrets within."""
    global _pattern  # noqa: PLW0603 - what a process knows is known in all of it
    new = {each for part in _parts(secret.strip()) for each in _notations(part)} - _known
    if new:
        _known.update(new)
        _pattern = _compiled(_known)


def redacted(text: str) -> str:
    """Return a text with `***` in the place of every secret that this process has used."""
    return text if _pattern is None else _pattern.sub(MASK, text)


def _parts(secret: str) -> Iterator[str]:
    """Yield what is secret: of a URL, its password and what is named like one; of anything else, all of it."""
    if not _URL.match(secret):
        yield secret
        return
    try:
        url = urlsplit(secret)
    except ValueError:
        yield secret
        return
    if url.password:
        yield url.password
        yield unquote(url.password)
    for name, value in parse_qsl(url.query):
        if _SECRET_PARAMETERS.search(name):
            yield value


def _notations(secret: str) -> Iterator[str]:
    if len(secret) < SHORTEST or secret in NO_SECRETS:
        return
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield repr(secret)[1:-1]


def _compiled(secrets: set[str]) -> re.Pattern[str]:
    # The longest first: one may begin with another.
    ordered = sorted(secrets, key=lambda each: (-len(each), each))
    return re.compile("|".join(map(_expression, ordered)))


def _expression(secret: str) -> str:
    escaped = re.escape(secret)
    return escaped if len(secret) >= SHORTEST_INSIDE_WORDS else rf"(?<!\w){escaped}(?!\w)"
