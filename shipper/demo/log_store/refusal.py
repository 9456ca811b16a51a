"""The one error of the log store: a request that is answered with a status and a sentence."""

from __future__ import annotations


class Refused(Exception):
    """A request that is not (wholly) taken; `text` is the body without its final newline."""

    def __init__(self, status: int, text: str, *, closes: bool = False) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text
        self.closes = closes
