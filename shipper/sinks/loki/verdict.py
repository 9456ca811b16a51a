"""Says what an answer to a push means, for every answer Loki 3.6 was seen to give.

| answer | meaning |
| --- | --- |
| 200 to 299 | delivered; but 260 is Loki's "ingestion blocked", and a web page in HTML is not Loki |
| 3xx, 401, 403, 404, 405, 407, 410 | an operator has to mend something: wait, lose nothing |
| 400 naming records | those are rejected, the others are stored |
| 400 about the labels | all are rejected |
| 400 that is not plain text | it is not Loki's: wait, lose nothing |
| 400 otherwise, 422 | some record is at fault: to be split until it stands alone |
| 413, or a message "larger than max" | to be split |
| 429 | wait; a push above the rate of a second is to be split; for the limit of streams do not wait for ever |
| 500 about a metadata name | nothing was stored for the sake of one record: to be split |
| other 500 | wait, but not for ever: some of Loki's are permanent |
| 502, 503, 504, and 500 of an ingester that is starting or stopping | wait |
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shipper.core.errors import BatchRefused, BatchToSplit, Blame, SinkError, SinkUnavailable
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.refused import refused_records

INGESTION_BLOCKED_STATUS = 260

_FIXABLE_STATUS = {
    401: "unauthorized",
    402: "forbidden",
    403: "forbidden",
    404: "not_found",
    405: "not_found",
    407: "unauthorized",
    408: "timeout",
    410: "not_found",
    425: "not_ready",
    451: "forbidden",
    499: "connection_lost",
}

# Beginnings of a 400 that say something about the settings and nothing about the records.
_FIXABLE_TEXT = (
    ("multiple org ids present", "bad_tenant"),
    ("tenant id", "bad_tenant"),
    ("client sent an http request to an https server", "tls"),  # Go
    ("<html>\r\n<head><title>400 the plain http request was sent to https port", "tls"),  # nginx
)

_TOO_LARGE_TEXT = ("received message larger than max", "message size too large than max")

# A 400 about the whole stream: nothing of it was stored.
_WHOLE_STREAM_TEXT = (
    ("label names; limit", "too_many_labels"),
    ("label name too long", "label_name_too_long"),
    ("label value too long", "label_value_too_long"),
    ("duplicate label name", "duplicate_label"),
    ("couldn't parse labels", "bad_labels"),
)

_PERMANENT_500_TEXT = ("normalization for label name", "label name is empty")

# A 500 that passes by itself, at a start, a stop or a roll-out.
_PASSING_500_TEXT = (
    "empty ring",
    "shutting down",
    "live replicas required",
    "unhealthy instances in the ring",
    "context deadline exceeded",
    "context canceled",
    "code = unavailable",
    "connection refused",
)
_PASSING_STATUS = (502, 503, 504)

_RATE_LIMIT = re.compile(
    r"limit: (?P<number>\d+(?:\.\d+)?) ?(?P<unit>bytes|[kmgt]?b)/sec", re.IGNORECASE
)
_UNIT_BYTES = {"bytes": 1, "b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}


def judge(answer: Answer, stream: Stream) -> Sequence[Rejection]:
    """Return the records of a push that were refused; all others are delivered.

    Args:
        answer: What Loki answered.
        stream: The records as they were sent, in order of time.

    Raises:
        SinkUnavailable: To be tried again; `blame` says for how long.
        BatchToSplit: To be split: it is too large, or the text does not name the records at fault.
        BatchRefused: Nothing was stored and nothing ever will be.
    """
    if "ingestion blocked for user" in answer.text or answer.status == INGESTION_BLOCKED_STATUS:
        raise BatchRefused(_sentence(answer), reason="ingestion_blocked")
    if answer.status == 413 or _says(answer, _TOO_LARGE_TEXT):
        raise BatchToSplit(_sentence(answer), reason="too_large")
    match answer.status:
        case status if status in (400, 422):
            return _refused(answer, stream)
        case status if 200 <= status < 300 and not _is_page(answer):
            return ()
        case 429:
            raise _limited(answer, stream)
        case status if status >= 500:
            raise _broken(answer)
        case _:
            raise _misdirected(answer)


def _refused(answer: Answer, stream: Stream) -> Sequence[Rejection]:
    """Name the records of a 400."""
    beginning = answer.text.lstrip().lower()
    for text, reason in _FIXABLE_TEXT:
        if beginning.startswith(text):
            raise _unavailable(answer, reason)
    if found := refused_records(answer, stream):
        return found
    for text, reason in _WHOLE_STREAM_TEXT:
        if text in answer.text:
            raise BatchRefused(_sentence(answer), reason=reason)
    if not _may_be_loki(answer):
        raise _unavailable(answer, "not_loki")
    raise BatchToSplit(_sentence(answer), reason="bad_request")


def _limited(answer: Answer, stream: Stream) -> SinkError:
    text = answer.text.lower()
    if "maximum active stream limit exceeded" in text:
        return _unavailable(answer, "stream_limited", Blame.LIMIT)
    if "per stream rate limit" in text:
        reason, blame = "per_stream_rate_limited", Blame.STREAM
    else:
        reason, blame = "rate_limited", Blame.DESTINATION
    if not _above_rate(text, stream):
        return _unavailable(answer, reason, blame)
    if len(stream) > 1:
        return BatchToSplit(_sentence(answer), reason=reason)
    return _unavailable(answer, reason, Blame.LIMIT)


def _above_rate(text: str, stream: Stream) -> bool:
    """Say whether the push is larger than what Loki lets through in a second, and so perhaps than it ever will.

    The burst, which decides, is not in the text; it is at least the rate in any sensible configuration.
    """
    limit = _RATE_LIMIT.search(text)
    if limit is None:
        return False
    limit_bytes = float(limit["number"]) * _UNIT_BYTES[limit["unit"]]
    return sum(map(len, stream.lines)) > limit_bytes


def _broken(answer: Answer) -> SinkError:
    if _says(answer, _PERMANENT_500_TEXT):
        return BatchToSplit(_sentence(answer), reason="bad_metadata_name")
    if answer.status in _PASSING_STATUS or _says(answer, _PASSING_500_TEXT):
        return _unavailable(answer, "not_ready")
    return _unavailable(answer, "server_error", Blame.UNKNOWN)


def _misdirected(answer: Answer) -> SinkUnavailable:
    """Judge answers that say something about the address, the way there or who we are."""
    match answer.status:
        case status if 300 <= status < 400:
            return _unavailable(answer, "redirected")
        case status if 200 <= status < 300:
            return _unavailable(answer, "not_loki")
        case status if status in _FIXABLE_STATUS:
            return _unavailable(answer, _FIXABLE_STATUS[status])
        case _:
            return _unavailable(answer, "bad_request", Blame.UNKNOWN)


def _unavailable(answer: Answer, reason: str, blame: Blame = Blame.DESTINATION) -> SinkUnavailable:
    return SinkUnavailable(
        _sentence(answer),
        reason=reason,
        retry_after_seconds=answer.retry_after_seconds,
        blame=blame,
    )


def _sentence(answer: Answer) -> str:
    towards = answer.headers.get("location", "").partition("?")[0]
    direction = f" and points to {towards}" if towards else ""
    return f"Loki answered {answer.status}{direction}: {answer.gist or 'nothing'}"


def _says(answer: Answer, texts: Sequence[str]) -> bool:
    said = answer.text.lower()
    return any(text in said for text in texts)


def _is_page(answer: Answer) -> bool:
    return "text/html" in answer.headers.get("content-type", "")


def _may_be_loki(answer: Answer) -> bool:
    """Say whether a refusal may be Loki's own: those of Loki 3.6 are plain text."""
    return answer.headers.get("content-type", "text/plain").lower().startswith("text/plain")
