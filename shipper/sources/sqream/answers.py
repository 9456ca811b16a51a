"""What pysqream's errors mean, read from their texts, because their types do not tell.

A refused port and a hang-up in the middle of a result are both `ConnectionRefusedError`, and an error that the server
answered is a plain `Exception` with colour codes around raw JSON (pysqream 5.0.0 to 6.3.0).
"""

from __future__ import annotations

import json
import re

LONGEST_TEXT = 500
"""Characters of a foreign text that are worth keeping: an answer may quote whole statements."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ERROR_ANSWER = re.compile(r'"error"\s*:\s*"((?:[^"\\]|\\.)*)', re.DOTALL)
_WRITTEN_PASSWORD = re.compile(r'"password"\s*:\s*"(?:[^"\\]|\\.)*"?')
_LOGIN_FAILURE = "Error connecting to database:"

_HUNG_UP = "hung up"
_PLAIN_TEXTS = (
    ("connection interrupted", _HUNG_UP),
    ("perhaps wrong IP?", "refuses connections"),
    ("not a server picker port", "is not a server picker, and `clustered` is true"),
    # Said when the far end resets a TLS handshake: pysqream has the two cases the wrong way round.
    ("SSL port with use_ssl = False", "broke off the TLS handshake; `use_ssl` is true"),
    ("non ssl sqreamd port", "does not speak TLS, and `use_ssl` is true"),
    ("Name or service not known", "is not a host that can be found"),
    ("name resolution", "is not a host that can be found now"),
    ("No address associated", "is a host without an IPv4 address"),
    ("Address family for hostname", "is not an IPv4 address, and pysqream knows no other"),
)


def error_answer(error: BaseException) -> str | None:
    """Return what the server answered, or `None` when the error is none of its answers."""
    found = _ERROR_ANSWER.search(_COLOUR.sub("", str(error)))
    return None if found is None else _shortened(_unescaped(found[1])) or "an error without a text"


def plain_text(error: BaseException, far_end: str) -> str:
    """Return one sentence for a person, without colour codes and without a password."""
    text = _COLOUR.sub("", str(error)).strip().strip("'\"")
    if _LOGIN_FAILURE in text:
        reason = text.partition(_LOGIN_FAILURE)[2].strip()
        return f"{far_end} refuses the login: {_shortened(reason)}"
    if "Timeout when connecting" in text:
        return f"{far_end} does not answer"
    for fragment, sentence in _PLAIN_TEXTS:
        if fragment in text:
            return f"{far_end} {sentence}"
    if isinstance(error, ConnectionError):
        return f"{far_end} {_HUNG_UP}"
    return f"{far_end}: {type(error).__name__}: {_shortened(text)}"


def _unescaped(escaped: str) -> str:
    """Undo JSON's escapes; an answer that the driver cut in two may end inside one."""
    try:
        return str(json.loads(f'"{escaped}"', strict=False))
    except ValueError:
        return escaped


def _shortened(text: str) -> str:
    safe = _WRITTEN_PASSWORD.sub('"password":"***"', text)
    return safe if len(safe) <= LONGEST_TEXT else f"{safe[:LONGEST_TEXT]}..."
