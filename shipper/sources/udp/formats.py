"""Makes rows of datagrams: JSON objects, envelopes of the pysmurf publisher, or text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from operator import itemgetter
from typing import Literal

from shipper.core.json_object import Unreadable, json_object, json_objects, utf8
from shipper.core.record import Row
from shipper.sources.udp.field_names import field_name
from shipper.sources.udp.losses import Sequences

Format = Literal["json", "pysmurf", "text"]

MAX_DATAGRAM_BYTES = 64_000
"""The pysmurf publisher sends nothing longer; UDP itself ends at 65,507 bytes (IPv4)."""

PYSMURF_LABEL_FIELDS = ("pub_id", "stream_id")

ENVELOPE: Mapping[str, Sequence[type]] = {
    "host": (str,),
    "id": (str,),
    "script": (str,),
    "time": (float, int),
    "seq_no": (int,),
    "type": (str,),
    "payload": (),
}
"""What every message of the pysmurf publisher has, and of which type; none: of any."""

_TYPED = [key for key, kinds in ENVELOPE.items() if kinds]
_typed_values = itemgetter(*_TYPED)
# All that is allowed, so that one look at the types of a message is enough.
_ALLOWED = frozenset(product(*(ENVELOPE[key] for key in _TYPED)))


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes rows of datagrams of one form.

    Attributes:
        row: Makes a row of a datagram, or raises `Unreadable`.
        row_of_object: Makes a row of the JSON object that a datagram holds, or raises `Unreadable`; `None` for a form
            that is no JSON.
    """

    row: Callable[[memoryview], Row]
    row_of_object: Callable[[dict[str, object]], Row] | None

    def objects(self, datagrams: Sequence[memoryview]) -> Sequence[dict[str, object]] | None:
        """Return the objects of all datagrams; `None` where they have to be looked at one by one."""
        if self.row_of_object is None or max(map(len, datagrams), default=0) > MAX_DATAGRAM_BYTES:
            return None
        return json_objects(datagrams)


def reader(form: Format, sequences: Sequences) -> Reader:
    """Return what makes rows of datagrams of this form; numbers of senders are told to `sequences`."""
    match form:
        case "json":
            return Reader(json_row, lambda found: found)
        case "text":
            return Reader(text_row, None)
        case "pysmurf":
            return Reader(
                partial(pysmurf_row, sequences=sequences),
                partial(envelope_row, sequences=sequences),
            )


def json_row(datagram: memoryview) -> dict[str, object]:
    """Return the JSON object that a datagram holds.

    Raises:
        Unreadable: It is no JSON, no object, too long, or nested too deep.
    """
    _refuse_too_long(datagram)
    return json_object(datagram)


def text_row(datagram: memoryview) -> Row:
    """Return the text of a datagram, without the line end behind it.

    Raises:
        Unreadable: It is not UTF-8, or too long.
    """
    _refuse_too_long(datagram)
    return {"message": utf8(datagram).removesuffix("\n").removesuffix("\r")}


def pysmurf_row(datagram: memoryview, sequences: Sequences) -> dict[str, object]:
    """Return the envelope that a datagram holds, with the fields that its labels are made of.

    Raises:
        Unreadable: It is no JSON object, or no envelope.
    """
    return envelope_row(json_row(datagram), sequences)


def envelope_row(envelope: dict[str, object], sequences: Sequences) -> dict[str, object]:
    """Return an envelope with the fields that its labels are made of.

    `pub_id` is its `id`; `stream_id` what comes after the first colon of it, or all of it. A message about a register
    has its name in a feed, `field`, as well. Nothing else is asked of a payload.

    Raises:
        Unreadable: It is none.
    """
    try:
        values = _typed_values(envelope)
    except KeyError as error:
        raise Unreadable("not_an_envelope", f"no {error.args[0]}") from None
    if tuple(map(type, values)) not in _ALLOWED or "payload" not in envelope:
        raise Unreadable("not_an_envelope", _fault(envelope))
    host, publisher, script, _, number, kind = values
    envelope["pub_id"] = publisher
    envelope["stream_id"] = publisher.partition(":")[2] or publisher
    if kind == "metadata":
        _name_the_register(envelope)
    sequences.follow((host, publisher, script), number)
    return envelope


def _name_the_register(envelope: dict[str, object]) -> None:
    payload = envelope["payload"]
    path = payload.get("path") if isinstance(payload, dict) else None
    if isinstance(path, str):
        envelope["field"] = field_name(path)


def _refuse_too_long(datagram: memoryview) -> None:
    if len(datagram) > MAX_DATAGRAM_BYTES:
        raise Unreadable("too_long", f"{len(datagram)} bytes, at most {MAX_DATAGRAM_BYTES}")


def _fault(envelope: Mapping[str, object]) -> str:
    """Say what is wrong with an envelope."""
    wrong = (
        f"{key} is no {kinds[0].__name__}"
        for key, kinds in ENVELOPE.items()
        if kinds and type(envelope[key]) not in kinds
    )
    return next(wrong, "no payload")
