"""How the URL of a database is written in a file: always kept as a secret, because it may have a password in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from shipper.config.secret import HOW_TO_WRITE_ONE, Secret

TEXT = {"type": "string", "minLength": 1}

URL_SCHEMA = {
    "description": f"A SQLAlchemy URL; for one with a password, {HOW_TO_WRITE_ONE}.",
    "anyOf": [
        TEXT,
        *(
            {
                "type": "object",
                "properties": {key: TEXT},
                "required": [key],
                "additionalProperties": False,
            }
            for key in ("env", "file")
        ),
    ],
}


def _hidden(written: object) -> object:
    """Make a secret of a URL as well: it may have a password in it."""
    return Secret("literal", written) if isinstance(written, str) and written else written


DatabaseUrl = Annotated[Secret, BeforeValidator(_hidden), WithJsonSchema(URL_SCHEMA)]
"""A SQLAlchemy URL, or `{"env": "NAME"}` or `{"file": "PATH"}` where to find it."""
