"""The parameters of a query request, from the URL and from a posted form, in Loki's notations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl

from starlette.requests import Request

from shipper.demo.log_store.golang import NS_PER_SECOND, quote
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.tokens import parse_duration_ns

_CATEGORIZE = "categorize-labels"
_SECONDS_DIGITS = 10
_DEFAULT_STEPS = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a query request asks for; `now_ns` is the end where none is given."""

    values: Mapping[str, list[str]]
    now_ns: int
    categorize: bool = False

    def text(self, name: str, default: str = "") -> str:
        """Return the first value of a parameter."""
        return self.values.get(name, [default])[0]

    def time_ns(self, name: str, default_ns: int) -> int:
        """Return a time given in ns, in seconds (up to ten digits, or with a point) or RFC 3339.

        Raises:
            Refused: The value is none of these.
        """
        text = self.text(name)
        if not text:
            return default_ns
        try:
            return _time_ns(text)
        except (ValueError, OverflowError):
            raise Refused(400, f"could not parse '{name}' parameter: {quote(text)}") from None

    def whole(self, name: str, default: int) -> int:
        """Return a whole number.

        Raises:
            Refused: The value is none.
        """
        text = self.text(name)
        try:
            return int(text) if text else default
        except ValueError:
            raise Refused(400, f"could not parse '{name}' parameter: {quote(text)}") from None

    def step_ns(self, start_ns: int, end_ns: int) -> int:
        """Return the distance of a range query's instants; by default about 250 of them.

        Raises:
            Refused: It is no duration, not positive, or makes more than 11,000 instants.
        """
        text = self.text("step")
        step_ns = _step_ns(text) if text else _default_step_ns(start_ns, end_ns)
        if step_ns <= 0:
            raise Refused(
                400,
                "zero or negative query resolution step widths are not accepted. "
                "Try a positive integer",
            )
        if (end_ns - start_ns) / step_ns > 11_000:
            raise Refused(
                400,
                "exceeded maximum resolution of 11,000 points per time series. "
                "Try increasing the value of the step parameter",
            )
        return step_ns


async def asked_of(request: Request, *, now_ns: int) -> Asked:
    """Return what a GET or a posted form asks for; the form goes before the URL."""
    values: dict[str, list[str]] = {}
    if request.method == "POST":
        body = (await request.body()).decode("utf-8", errors="replace")
        for name, value in parse_qsl(body, keep_blank_values=True):
            values.setdefault(name, []).append(value)
    for name, value in request.query_params.multi_items():
        values.setdefault(name, []).append(value)
    flags = request.headers.get("x-loki-response-encoding-flags", "")
    categorize = _CATEGORIZE in (flag.strip() for flag in flags.split(","))
    return Asked(values=values, now_ns=now_ns, categorize=categorize)


def _time_ns(text: str) -> int:
    if "." in text and "T" not in text:
        return round(float(text) * NS_PER_SECOND)
    if text.lstrip("-").isdigit():
        return int(text) * (NS_PER_SECOND if len(text) <= _SECONDS_DIGITS else 1)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return (
        int(moment.replace(microsecond=0).timestamp()) * NS_PER_SECOND + moment.microsecond * 1000
    )


def _step_ns(text: str) -> int:
    try:
        return int(float(text) * NS_PER_SECOND)
    except ValueError:
        pass
    try:
        return parse_duration_ns(text)
    except ValueError as error:
        raise Refused(400, f"cannot parse {quote(text)} to a valid duration") from error


def _default_step_ns(start_ns: int, end_ns: int) -> int:
    seconds = (end_ns - start_ns) / NS_PER_SECOND
    return max(1, math.floor(seconds / _DEFAULT_STEPS)) * NS_PER_SECOND
