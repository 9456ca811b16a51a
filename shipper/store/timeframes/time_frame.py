"""Makes a Time Frame of a message, or says why it is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from shipper.core.record import Row
from shipper.store.table_set import Arrival
from shipper.store.timeframes.limits import FILE_ID_CHARACTERS, LARGEST, SMALLEST

DIGITS = re.compile(r"-?[0-9]{1,30}", re.ASCII)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL stores no NUL, and nobody stores halves of characters."""

SHOWN_CHARACTERS = 100

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unfit(ValueError):
    """A message that is no Time Frame.

    Attributes:
        reason: One word or two for a counter's label.
        answer: Which field, which value, which rule.
    """

    def __init__(self, reason: str, answer: str) -> None:
        super().__init__(answer)
        self.reason = reason
        self.answer = answer


class TimeFrame(NamedTuple):
    """A row of `tf_metadata`; its attributes are the columns. A tuple, because drivers want tuples by the thousand."""

    file_id: str
    run_number: int
    tf_number: int | None
    file_url: str | None
    file_size_bytes: int | None
    checksum: str | None
    status: str | None
    created_at: datetime | None
    received_at: datetime
    metadata_json: str


def time_frame(arrival: Arrival, unreadable: Callable[[object], object]) -> TimeFrame:
    """Return the Time Frame that a message is; `unreadable` is told a time that is none.

    Raises:
        Unfit: It is none.
    """
    row = arrival.row
    return TimeFrame(
        file_id=_file_id(row),
        run_number=_run_number(row),
        tf_number=_number(row, "tf_number"),
        file_url=_text(row, "file_url"),
        file_size_bytes=_number(row, "file_size_bytes"),
        checksum=_text(row, "checksum"),
        status=_text(row, "status"),
        created_at=_moment(row.get("created_at"), unreadable),
        received_at=EPOCH + timedelta(microseconds=arrival.received_ns // 1000),
        metadata_json=arrival.line.decode(),
    )


def _file_id(row: Row) -> str:
    file_id = _text(row, "file_id")
    if not file_id:
        raise Unfit("no_file_id", f"file_id is {_shown(row.get('file_id'))}")
    if len(file_id) > FILE_ID_CHARACTERS:
        raise Unfit(
            "too_long", f"file_id has {len(file_id)} characters, more than {FILE_ID_CHARACTERS}"
        )
    return file_id


def _run_number(row: Row) -> int:
    run_number = _number(row, "run_number")
    if run_number is None:
        raise Unfit("no_run_number", "run_number is missing or null")
    return run_number


def _number(row: Row, field: str) -> int | None:
    """Return a whole number, also of text with nothing but digits, as the client took it."""
    match row.get(field):
        case None:
            return None
        case bool() as value:
            raise Unfit("wrong_type", f"{field} is {_shown(value)}, not a number")
        case int() as value:
            number = value
        case float() as value if value.is_integer():
            number = int(value)
        case str() as value if DIGITS.fullmatch(value):
            number = int(value)
        case value:
            raise Unfit("wrong_type", f"{field} is {_shown(value)}, not a whole number")
    if not SMALLEST <= number <= LARGEST:
        raise Unfit("out_of_range", f"{field} is {_shown(number)}, which does not fit into 64 bits")
    return number


def _text(row: Row, field: str) -> str | None:
    """Return a text; numbers become one, as they did in the client."""
    match row.get(field):
        case None:
            return None
        case str() as value:
            text = value
        case bool() | list() | dict() as value:
            raise Unfit("wrong_type", f"{field} is {_shown(value)}, not text")
        case value:
            text = str(value)
    if not text.isprintable() and UNSTORABLE.search(text):
        raise Unfit("bad_text", f"{field} is {_shown(text)}, which no database stores")
    return text


def _moment(written: object, unreadable: Callable[[object], object]) -> datetime | None:
    """Return the moment in UTC, of which also is what has no zone."""
    if written is None or written == "":
        return None
    try:
        moment = datetime.fromisoformat(str(written) if isinstance(written, str) else "")
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        unreadable(written)
        return None


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
