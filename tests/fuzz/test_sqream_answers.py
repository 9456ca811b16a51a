"""Whatever a SQreamDB answers, at any step: rows or one of our errors, on time, and afterwards it goes on."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from shipper.core.errors import ReadRefused, SourceError, SourceTimeout, SourceUnavailable
from shipper.core.ports import Source
from shipper.core.record import Batch
from shipper.demo.sqream import Column, SqreamEmulator, WireType
from shipper.pipeline.filing import Filing, FilingRules
from shipper.sources.sqream import SqreamSettings
from shipper.sources.sqream.connection import SqreamConnection
from tests.fuzz.examples import fuzzed
from tests.fuzz.garbled_sqream import Blow, Change, GarbledEmulator, Picker, Plan

SECONDS = 0.3
"""For a login and for a read; a far end that says nothing costs so much."""

HANGS_AFTER_SECONDS = 20.0
LATE_SECONDS = 5.0
"""How much later than its deadline a call may end on a busy machine."""

HEAD_BYTES = 10
PASSWORD = "sqream"  # noqa: S105 - what a fresh SQreamDB has
MESSAGES = 22
"""How many the emulator sends while a source is opened and read twice, the halves of a block counted each."""

COLUMNS = [
    Column("n", WireType.BIGINT),
    Column("a blank", WireType.TEXT),
    Column("v", WireType.VARCHAR, length_bytes=4),
    Column("ok", WireType.BOOL),
    Column("d", WireType.DATE),
    Column("at", WireType.DATETIME),
    Column("at2", WireType.DATETIME2),
    Column("p", WireType.NUMERIC, scale=2),
    Column("x", WireType.DOUBLE),
    Column("list", WireType.INT, array=True),
    Column("words", WireType.TEXT, array=True),
]
MOMENT = datetime(2024, 2, 29, 1, 2, 3, 4000, tzinfo=UTC)
ROWS = [
    (7, "zł", "ab", True, date(2024, 2, 29), MOMENT, MOMENT, Decimal("1.5"), 0.5, [1, None], ["x"]),
    (None, None, "cd", None, None, None, None, None, None, None, None),
    (9, "", None, False, date(1900, 1, 1), MOMENT, None, Decimal("-1.00"), 2.5, [], ["", None, "ABCDEFGHI"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def emulator() -> Iterator[GarbledEmulator]:
    running = GarbledEmulator()
    running.serve("fuzzed", COLUMNS, ROWS, chunk_rows=2)
    with running:
        yield running


ODD_TEXT = st.text(max_size=10) | st.sampled_from(
    ["", "\ud800", "\x1b[31m", "\n", '"', "error", "ftInt", "ftArray", "ftBlob", "x" * 100_000]
)
ODD_NUMBERS = st.sampled_from(
    [0, -1, 1, 2, 3, 2**28 + 1, 2**31, 2**40, 2**62, -(2**62), 10**30, 0.5, 1e308, float("nan")]
)
ODD_VALUES = st.recursive(
    st.none() | st.booleans() | ODD_NUMBERS | st.integers() | ODD_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["error", "connectionId", "version", "statementId", "statementPrepared", "local_file_read"]
) | st.sampled_from(
    ["local_file_write", "executed", "queryType", "queryTypeNamed", "colSzs", "rows"]
)
ADDRESSES = st.sampled_from(["127.0.0.1", "", None, 5, "x" * 300, "\ud800", ["127.0.0.1"]])
PORTS = st.sampled_from([0, -1, 1, 70_000, 2**40, "5000", None, [1]])


def message(payload: bytes, *, version: int = 8, length_bytes: int | None = None) -> bytes:
    length_bytes = len(payload) if length_bytes is None else length_bytes
    return struct.pack("<bbq", version, 1, length_bytes) + payload


def said(answer: object) -> Change:
    payload = json.dumps(answer, separators=(",", ":")).encode()
    return lambda _: message(payload)


def changed_json(change: Callable[[Any], Any]) -> Change:
    """Change the JSON of a message; what is none stays as it is."""

    def changed(content: bytes) -> bytes:
        try:
            answer = json.loads(content[HEAD_BYTES:])
        except ValueError:
            return content
        return message(json.dumps(change(answer), separators=(",", ":")).encode())

    return changed


@st.composite
def changed_values(draw: st.DrawFn) -> Change:
    """Change one value at any depth, or drop or add one."""
    steps, value = draw(st.lists(st.integers(0, 10), min_size=1, max_size=4)), draw(ODD_VALUES)
    drops, key = draw(st.booleans()), draw(st.none() | KEYS)

    def change(answer: Any) -> Any:
        inside, keys = answer, list(answer)
        for step in steps[:-1]:
            if not keys or not isinstance(inside[keys[step % len(keys)]], dict | list):
                break
            inside = inside[keys[step % len(keys)]]
            keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        if key is not None and isinstance(inside, dict):
            inside[key] = value
        elif keys and drops:
            del inside[keys[steps[-1] % len(keys)]]
        elif keys:
            inside[keys[steps[-1] % len(keys)]] = value
        return answer

    return changed_json(change)


@st.composite
def reconnects(draw: st.DrawFn) -> Change:
    more = {
        "reconnect": True,
        "ip": draw(ADDRESSES),
        "port": draw(PORTS),
        "listener_id": draw(ODD_VALUES),
    }
    return changed_json(lambda answer: {**answer, **more} if isinstance(answer, dict) else answer)


@st.composite
def other_bytes(draw: st.DrawFn) -> Change:
    place, noise = draw(st.integers(0, 400)), draw(st.binary(min_size=1, max_size=20))
    match draw(
        st.sampled_from(["flip", "cut", "extra", "before", "twice", "noise", "nothing", "zeros"])
    ):
        case "flip":
            return lambda content: _flipped(content, place)
        case "cut":
            return lambda content: content[: place % (len(content) + 1)]
        case "extra":
            return lambda content: content + noise
        case "before":
            return lambda content: noise + content
        case "twice":
            return lambda content: content + content
        case "noise":
            return lambda content: (noise * len(content))[: len(content)]
        case "zeros":
            return lambda content: content[:HEAD_BYTES] + bytes(len(content) - HEAD_BYTES)
        case _:
            return lambda _: b""


def _flipped(content: bytes, place: int) -> bytes:
    at = place % len(content) if content else 0
    return (
        content[:at]
        + bytes(byte ^ 1 << place % 8 for byte in content[at : at + 1])
        + content[at + 1 :]
    )


@st.composite
def other_heads(draw: st.DrawFn) -> Change:
    version = draw(st.sampled_from([8, 8, 8, 6, 5, 0, -1]))
    length = draw(st.sampled_from([0, -1, 5, 10**6, 2**28 + 1, 2**31, 2**40, 2**62, -(2**62)]))
    return lambda content: message(content[HEAD_BYTES:], version=version, length_bytes=length)


CHANGES = st.one_of(
    changed_values(),
    changed_values(),
    changed_values(),
    reconnects(),
    other_bytes(),
    other_bytes(),
    other_heads(),
    ODD_VALUES.map(said),
    ODD_TEXT.map(lambda text: said({"error": text})),
)
BLOWS = st.lists(
    st.builds(
        Blow,
        message=st.integers(0, MESSAGES - 1),
        change=CHANGES,
        then=st.sampled_from(["go on", "go on", "go on", "close", "hang"]),
    ),
    min_size=1,
    max_size=2,
)


def source_to(emulator: SqreamEmulator, **section: Any) -> Source:
    reach = {"host": "127.0.0.1", "port": emulator.port, "login_timeout_seconds": SECONDS}
    connection = SqreamConnection.model_validate(reach | section)
    settings = SqreamSettings(type="sqream", function="fuzzed")
    return settings.build("fuzzed", connection, Path())


def on_time(action: Callable[[], Any]) -> Any:
    """Do something that has `SECONDS`, and return what it returns or the source error it raises."""
    outcome: list[Any] = []

    def act() -> None:
        try:
            outcome.append(action())
        except SourceError as error:
            outcome.append(error)

    began_seconds = time.monotonic()
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(HANGS_AFTER_SECONDS)
    assert not thread.is_alive(), "it hangs"
    assert outcome, "it ended with an error that is none of ours"
    assert time.monotonic() - began_seconds < SECONDS + LATE_SECONDS
    return outcome[0]


def open_in_the_end(source: Source) -> None:
    """Open a source that has nothing against it, but on a busy machine little time."""
    until_seconds = time.monotonic() + HANGS_AFTER_SECONDS
    while True:
        try:
            return source.open()
        except SourceTimeout:
            assert time.monotonic() < until_seconds


def check_rows(batch: Batch) -> None:
    """See that every row, whatever is in it, becomes a line."""
    for rules in (
        FilingRules({"job": "m"}),
        FilingRules({}, label_fields=["n", "v"], metadata_fields=["at2"], time_field="at"),
        FilingRules({}, line="logfmt", time_field="n"),
    ):
        streams = Filing(rules, overflowed=lambda _field: None).streams(batch)
        lines = [line for stream in streams for line in stream.lines]
        assert len(lines) == len(batch.rows)
        assert not any(b"\n" in line for line in lines)


def check_outcome(outcome: Any) -> None:
    match outcome:
        case SourceError():
            assert str(outcome)
            assert f'"{PASSWORD}"' not in str(outcome)
            event(type(outcome).__name__)
        case Batch():
            check_rows(outcome)
            event("rows")


@fuzzed(0.4)
@given(blows=BLOWS)
@example([Blow(6, changed_json(lambda answer: _with_names(answer, [5, None])))])
@example([Blow(3, changed_json(lambda answer: {**answer, "local_file_read": "/etc/hostname"}))])
@example([Blow(0, lambda content: message(content[HEAD_BYTES:], length_bytes=2**31))])
def test_no_answer_upsets_the_source(emulator: GarbledEmulator, blows: list[Blow]) -> None:
    plan = emulator.plan = Plan(blows)
    source = source_to(emulator)
    outcome = on_time(source.open)
    check_outcome(outcome)
    for _ in range(2):
        if not isinstance(outcome, SourceUnavailable):
            outcome = on_time(lambda: source.read(SECONDS))
            assert isinstance(outcome, Batch | ReadRefused | SourceUnavailable)
            check_outcome(outcome)
    plan.over.set()
    on_time(source.close)

    emulator.plan = Plan()
    open_in_the_end(source)
    assert len(source.read(HANGS_AFTER_SECONDS).rows) == len(ROWS)
    source.close()


def _with_names(answer: Any, names: list[Any]) -> Any:
    for column, name in zip(answer.get("queryTypeNamed", []), names, strict=False):
        column["name"] = name
    return answer


@st.composite
def picked(draw: st.DrawFn) -> Callable[[int], bytes]:
    """Return what a picker may say, given the port of a worker."""
    host = draw(st.sampled_from([b"127.0.0.1", b"127.0.0.1", b"", b"\xff\xfe", b"\x00"]))
    length = draw(st.sampled_from([None, None, 0, -1, 3, 2**28 + 1, 2**31 - 1]))
    port = draw(st.sampled_from([None, None, 0, -1, 1, 70_000, 2**31 - 1]))
    cut = draw(st.sampled_from([None, None, 0, 3, 7, -1]))
    noise = draw(st.binary(max_size=5))
    return lambda worker: (
        struct.pack("<i", len(host) if length is None else length)
        + host
        + struct.pack("<i", worker if port is None else port)
        + noise
    )[:cut]


@fuzzed(0.2)
@given(content=picked(), closes=st.booleans())
def test_no_server_picker_upsets_the_source(
    emulator: GarbledEmulator, content: Callable[[int], bytes], closes: bool
) -> None:
    emulator.plan = Plan()
    picker = Picker(content(emulator.port), closes=closes)
    source = source_to(emulator, port=picker.port, clustered=True)
    outcome = on_time(source.open)
    assert outcome is None or isinstance(outcome, SourceUnavailable)
    check_outcome(outcome)
    on_time(source.close)
    picker.close()
