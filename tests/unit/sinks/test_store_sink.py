"""The sink of the store, with rules that a test owns."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy.engine import URL, Connection

from shipper.core.errors import BatchToSplit, Blame, ConfigError, SinkUnavailable
from shipper.core.ports import Rejection
from shipper.core.record import Row, Stream
from shipper.sinks.store.sink import StoreSink
from shipper.store.errors import RowsRefused, StoreError, StoreUnavailable, StoreUndecided
from shipper.store.table_set import Arrival, Readied

LOG = logging.getLogger("store sink under test")


class Rules:
    """Remembers what it is given; every record with `later` gets ready in a turn of its own."""

    branch: ClassVar[str] = "tf"

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.written: list[list[Row]] = []
        self.troubles: list[StoreError] = []

    @staticmethod
    def wants(row: Row) -> bool:
        return row.get("type") != "other"

    def ready(self, arrivals: Sequence[Arrival]) -> Iterator[Readied[Row]]:
        self.arrivals.extend(arrivals)
        rejections = [Rejection(each.index, "bad") for each in arrivals if "bad" in each.row]
        good = [each.row for each in arrivals if "bad" not in each.row]
        yield Readied([row for row in good if "later" not in row], rejections)
        yield Readied([row for row in good if "later" in row], ())

    def write(self, connection: Connection, rows: Sequence[Row]) -> None:
        assert connection.in_transaction()
        if self.troubles:
            raise self.troubles.pop(0)
        self.written.append(list(rows))


@pytest.fixture
def rules() -> Rules:
    return Rules()


Opened = Callable[..., StoreSink]


@pytest.fixture
def opened(rules: Rules, tmp_path: Path) -> Iterator[Opened]:
    """Make sinks to a file, closed at the end."""
    sinks: list[StoreSink] = []

    def address() -> URL:
        return URL.create("sqlite", database=str(tmp_path / "store.db"))

    def opened_sink(address: Callable[[], URL] = address, **limits: int) -> StoreSink:
        written = {"max_batch_bytes": 1000, "max_batch_records": 10, **limits}
        sinks.append(
            StoreSink(
                address,
                rules,
                log=LOG,
                connect_timeout_seconds=1,
                statement_timeout_seconds=1,
                **written,
            )
        )
        return sinks[-1]

    yield opened_sink
    for sink in sinks:
        sink.close()


def stream(*lines: bytes) -> Stream:
    return Stream({"store": "x"}, [10**18 + at for at in range(len(lines))], lines)


def test_rules_get_fields_line_and_time_of_every_record(opened: Opened, rules: Rules) -> None:
    opened().write(stream(b'{"n": 1}', b'{"n": 2}'))

    assert rules.arrivals == [
        Arrival(0, {"n": 1}, b'{"n": 1}', 10**18),
        Arrival(1, {"n": 2}, b'{"n": 2}', 10**18 + 1),
    ]


def test_what_is_ready_together_is_written_together(opened: Opened, rules: Rules) -> None:
    opened().write(stream(b'{"n": 1}', b'{"later": 1}', b'{"n": 2}'))

    assert rules.written == [[{"n": 1}, {"n": 2}], [{"later": 1}]]


def test_what_is_no_record_for_these_tables_is_passed_over(opened: Opened, rules: Rules) -> None:
    assert list(opened().write(stream(b'{"type": "other"}', b'{"n": 1}'))) == []
    assert rules.written == [[{"n": 1}]]


def test_rejections_come_in_the_order_of_the_stream(opened: Opened, rules: Rules) -> None:
    rejections = opened().write(stream(b'{"bad": 1}', b"nonsense", b'{"n": 1}', b"[1]", b"1"))

    assert [(each.index, each.reason) for each in rejections] == [
        (0, "bad"),
        (1, "not_json"),
        (3, "not_an_object"),
        (4, "not_an_object"),
    ]
    assert rules.written == [[{"n": 1}]]


def test_halves_of_characters_are_read(opened: Opened, rules: Rules) -> None:
    assert list(opened().write(stream(rb'{"n": "\ud800"}'))) == []
    assert rules.written == [[{"n": "\ud800"}]]


@pytest.mark.parametrize("limits", [{"max_batch_records": 2}, {"max_batch_bytes": 20}], ids=str)
def test_more_than_a_transaction_holds_is_to_be_split(
    limits: dict[str, int], opened: Opened, rules: Rules
) -> None:
    sink = opened(**limits)
    lines = [b'{"n": 1}', b'{"n": 2}', b'{"n": 3}']
    with pytest.raises(BatchToSplit) as caught:
        sink.write(stream(*lines))
    for line in lines:
        sink.write(stream(line))

    assert not caught.value.asked
    assert rules.written == [[{"n": 1}], [{"n": 2}], [{"n": 3}]]


def test_one_record_is_never_too_large(opened: Opened, rules: Rules) -> None:
    opened(max_batch_bytes=1).write(stream(b'{"n": 1}'))

    assert rules.written == [[{"n": 1}]]


def test_rows_at_fault_split_the_batch(opened: Opened, rules: Rules) -> None:
    rules.troubles = [RowsRefused("too wide", reason="wrong_value")]

    with pytest.raises(BatchToSplit, match="too wide") as caught:
        opened().write(stream(b'{"n": 1}'))
    assert (caught.value.reason, caught.value.asked) == ("wrong_value", True)


@pytest.mark.parametrize(
    ("trouble", "blame"),
    [
        (StoreUnavailable("gone", reason="connection_lost"), Blame.DESTINATION),
        (StoreUndecided("slow", reason="timeout"), Blame.UNKNOWN),
    ],
    ids=["unavailable", "undecided"],
)
def test_a_database_at_fault_is_tried_again_over_a_new_connection(
    trouble: StoreError, blame: Blame, opened: Opened, rules: Rules
) -> None:
    sink = opened()
    rules.troubles = [trouble]
    with pytest.raises(SinkUnavailable) as caught:
        sink.write(stream(b'{"n": 1}'))
    sink.write(stream(b'{"n": 1}'))

    assert (caught.value.blame, caught.value.reason) == (blame, trouble.reason)
    assert rules.written == [[{"n": 1}]]


def test_an_address_that_cannot_be_looked_up_is_asked_for_again(
    opened: Opened, rules: Rules, tmp_path: Path
) -> None:
    answers: list[URL | None] = [None, URL.create("sqlite", database=str(tmp_path / "x.db"))]

    def address() -> URL:
        answer = answers.pop(0)
        if answer is None:
            raise ConfigError("the environment variable X is not set")
        return answer

    sink = opened(address)
    with pytest.raises(SinkUnavailable) as caught:
        sink.write(stream(b'{"n": 1}'))
    sink.write(stream(b'{"n": 1}'))

    assert caught.value.reason == "secret"
    assert rules.written == [[{"n": 1}]]


def test_that_tables_were_made_is_told_once(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOG.name)
    sink = opened()
    sink.write(stream(b'{"n": 1}'))
    sink.close()
    sink.write(stream(b'{"n": 1}'))

    told = [record.getMessage() for record in caplog.records if record.name == LOG.name]
    assert len(told) == 1
    assert "are at version tf_0002 now" in told[0]


def test_tables_are_made_before_anything_comes(opened: Opened, tmp_path: Path) -> None:
    opened().prepare()

    with sqlite3.connect(tmp_path / "store.db") as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert {"runs", "tf_metadata"} <= names


def test_a_database_that_is_away_at_first_is_no_fault(opened: Opened) -> None:
    def nowhere() -> URL:
        raise ConfigError("not set")

    sink = opened(nowhere)
    sink.prepare()

    with pytest.raises(SinkUnavailable, match="not set"):
        sink.write(Stream({}, [1], [b"{}"]))
