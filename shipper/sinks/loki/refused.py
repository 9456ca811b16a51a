"""Finds out which records of a push Loki refused, from the text of its 400.

A push is one stream in order of time, so what is refused for its time stands at one of the ends, and how many is all
that has to be known. The texts are those of Loki 3.6; the distributor's, where the same text comes once with the number
of times it applies, and the ingester's, which hides the distributor's when both have something to say:

```text
3 errors like: entry for stream '{...}' has timestamp too old: T, oldest acceptable timestamp is: T; 2 errors like: ...
entry with timestamp T ignored, reason: 'entry too far behind, ...', ... total ignored: 12 out of 12 for stream: {...}
```
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.metadata import metadata_bytes

_NS_PER_SECOND = 1_000_000_000
_MAX_DIGITS = 20

# A search begins anew at every stream and at every number, so none may run on into the next: in an answer of megabytes
# that would take hours.
_LABELS = r"'(?:(?!stream ').)*?'"
_SENTENCE = re.compile(
    r"(?:(?<!\d)(?P<times>\d++) errors like: )?(?:"
    rf"entry for stream {_LABELS} has timestamp too (?P<end>old|new): "
    r"|max entry size '(?P<line_bytes>\d+)' bytes exceeded for stream "
    rf"|stream {_LABELS} has too many structured metadata labels: '\d+', limit: '(?P<pairs>\d+)'"
    rf"|stream {_LABELS} has structured metadata too large: '\d+' bytes, limit: '(?P<pairs_bytes>\d+)'"
    rf"|stream {_LABELS} includes structured metadata, but this feature is disallowed(?P<any_pairs>)"
    r")",
    re.IGNORECASE | re.DOTALL,
)
_BEHIND = re.compile(
    r"total ignored: (?P<refused>\d+) out of (?P<seen>\d+) for stream", re.IGNORECASE
)
_FIRST_BEHIND = re.compile(
    r"entry with timestamp (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,9}))? \+0000 UTC ignored"
)


def refused_records(answer: Answer, stream: Stream) -> Sequence[Rejection]:
    """Return the records that the answer says were refused, in order.

    The result is empty when the text does not allow to tell.
    """
    if not answer.whole:
        return ()
    if (behind := _BEHIND.search(answer.text)) is not None:
        refused, seen = _number(behind["refused"]), _number(behind["seen"])
        reasons = _behind(answer.text, stream, refused, seen)
    else:
        reasons = _invalid(answer.text, stream)
    return [Rejection(index, reason, answer.gist) for index, reason in sorted(reasons.items())]


def _behind(text: str, stream: Stream, refused: int, seen: int) -> dict[int, str]:
    """Find what the ingester refused: the oldest of the records it saw.

    When it saw fewer than were sent, the distributor had refused some before: those older than the first it names
    were too old, and the others, being newer than everything it saw, too new.
    """
    first_ns = _first_behind_ns(text)
    if seen > len(stream) or refused > seen or (first_ns is None and seen < len(stream)):
        return {}
    unseen = len(stream) - seen
    too_old = min(unseen, sum(time_ns < (first_ns or 0) for time_ns in stream.times_ns))
    too_new = unseen - too_old
    return {
        **dict.fromkeys(range(too_old), "too_old"),
        **dict.fromkeys(range(too_old, too_old + refused), "too_far_behind"),
        **dict.fromkeys(range(len(stream) - too_new, len(stream)), "too_new"),
    }


def _first_behind_ns(text: str) -> int | None:
    """Read the first time named; Go prints it with the fraction only as long as it has to be."""
    found = _FIRST_BEHIND.search(text)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * _NS_PER_SECOND + int((found[2] or "0").ljust(9, "0"))


def _invalid(text: str, stream: Stream) -> dict[int, str]:
    """Find what the distributor refused; it looks at the time first, then at the line, then at the metadata."""
    sentences = [(_number(found["times"] or "1"), found) for found in _SENTENCE.finditer(text)]
    too_old = sum(times for times, found in sentences if (found["end"] or "").lower() == "old")
    too_new = sum(times for times, found in sentences if (found["end"] or "").lower() == "new")
    if too_old + too_new > len(stream):
        return {}
    reasons: dict[int, str] = {}
    for _, found in sentences:
        reasons.update(_beyond_limit(found, stream))
    reasons.update(dict.fromkeys(range(len(stream) - too_new, len(stream)), "too_new"))
    reasons.update(dict.fromkeys(range(too_old), "too_old"))
    # Fewer than Loki counted means that its rule is not the one we know, and we cannot tell.
    return reasons if len(reasons) >= sum(times for times, _ in sentences) else {}


def _beyond_limit(sentence: re.Match[str], stream: Stream) -> dict[int, str]:
    """Find the records that break the rule of a sentence, which comes with the limit that is in force."""
    metadata = enumerate(stream.metadata or ())
    if (limit := sentence["line_bytes"]) is not None:
        lines = enumerate(stream.lines)
        return {index: "line_too_long" for index, line in lines if len(line) > _number(limit)}
    if (limit := sentence["pairs"]) is not None:
        most = _number(limit)
        return {index: "too_many_pairs" for index, pairs in metadata if len(pairs) > most}
    if (limit := sentence["pairs_bytes"]) is not None:
        most = _number(limit)
        return {
            index: "metadata_too_large" for index, pairs in metadata if metadata_bytes(pairs) > most
        }
    if sentence["any_pairs"] is not None:
        return {index: "metadata_disallowed" for index, pairs in metadata if pairs}
    return {}


def _number(digits: str) -> int:
    """Read a count or a limit; of one that nobody means, only as much as Python reads."""
    return int(digits[:_MAX_DIGITS])
