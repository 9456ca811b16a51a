"""What came back over HTTP, kept apart from the library that fetched it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

MAX_WAIT_SECONDS = 3600.0
"""A far end that asks for more is asked again after an hour all the same."""

GIST_CHARS = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer.

    Attributes:
        status: The status code.
        text: The body, as text.
        headers: The headers, with names in lower case.
        whole: False when the body was longer than what is read of it.
    """

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True

    @property
    def gist(self) -> str:
        """The beginning of the body on one line, for a message or a dead letter."""
        line = " ".join(self.text[: 2 * GIST_CHARS].split())
        return line if len(line) <= GIST_CHARS else f"{line[:GIST_CHARS]}..."

    @property
    def retry_after_seconds(self) -> float | None:
        """How long to wait, from `Retry-After` as seconds or as a date; `None` when it does not say.

        A date is compared with the answer's own `Date`, so that two clocks that differ do no harm.
        """
        wanted = self.headers.get("retry-after", "").strip()
        seconds = float(wanted) if _is_number(wanted) else self._seconds_until(wanted)
        if seconds is None:
            return None
        return min(max(seconds, 0.0), MAX_WAIT_SECONDS)

    def _seconds_until(self, date: str) -> float | None:
        try:
            then = parsedate_to_datetime(date)
            now = parsedate_to_datetime(self.headers.get("date", ""))
            return (then - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            # Not a date, no date, or one with a zone beside one without.
            return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdigit()
