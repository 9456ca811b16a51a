"""One poll of one metric, from a source and into a sink that the test owns."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from shipper.core.errors import ConfigError, SourceUnavailable, StartupError
from shipper.core.ports import Rejection
from shipper.core.record import Batch, RefusedInput
from shipper.pipeline.delivery import Delivery
from shipper.sinks.loki.settings import LokiSettings
from shipper.sources.sqream import SqreamSettings
from shipper.wiring import once
from shipper.wiring.once import poll_once
from shipper.wiring.settings import RunSettings
from tests.support.configuration import written
from tests.support.logging import logging_put_back
from tests.support.sink import FakeSink
from tests.support.source import FakeSource

ADVICE = "list it under metadata_fields instead of label_fields"
READ_AT_NS = 1_700_000_000_000_000_000
ROWS = [{"db": "a", "n": 1}, {"db": "b", "n": 2}, {"db": "c", "n": 3}]


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with logging_put_back():
        yield


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    made = FakeSource([Batch(ROWS, READ_AT_NS)])
    monkeypatch.setattr(SqreamSettings, "build", lambda *_arguments: made)
    return made


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> FakeSink:
    made = FakeSink()
    monkeypatch.setattr(LokiSettings, "build", lambda _settings: made)
    return made


def polled(folder: Path, metric: str = "show_locks", *, dry_run: bool = False, **keys: Any) -> str:
    path = written(folder, {"metrics": {"show_locks": keys}})
    out = io.StringIO()
    settings = RunSettings(path, (), folder / "state")
    poll_once(settings, metric, dry_run=dry_run, console=Console(file=out, width=60))
    return out.getvalue()


def test_what_the_poll_brought_is_delivered(
    tmp_path: Path, source: FakeSource, sink: FakeSink
) -> None:
    shown = polled(tmp_path)

    assert shown == "3 rows polled, 3 lines delivered.\n"
    assert sink.taken[0] == b'{"db":"a","n":1}'
    assert (source.opened, source.closed) == (1, 1)


def test_a_metric_that_is_not_shipped_is_only_polled(
    tmp_path: Path, source: FakeSource, sink: FakeSink
) -> None:
    shown = polled(tmp_path, ship=False)

    assert shown == "3 rows polled; this metric is not shipped.\n"
    assert sink.written == []


def test_a_dry_run_delivers_nothing_and_shows_everything(
    tmp_path: Path, source: FakeSource, sink: FakeSink
) -> None:
    shown = polled(
        tmp_path,
        dry_run=True,
        label_fields=["db"],
        max_label_values=2,
        labels={"instance": "[x]"},
        metrics=[{"name": "locks", "value": "n", "labels": ["db"]}],
    )

    assert sink.written == []
    assert shown.splitlines() == [
        "show_locks: 3 rows in 3 streams; nothing was delivered.",
        "",
        'stream job="show_locks", service_name="sqream", instance="[x]", db="a"',
        '  1700000000000000000 {"db":"a","n":1}',
        "",
        'stream job="show_locks", service_name="sqream", instance="[x]", db="b"',
        '  1700000000000000001 {"db":"b","n":2}',
        "",
        'stream job="show_locks", service_name="sqream", instance="[x]"',
        '  1700000000000000002 {"db":"c","n":3}  {\'db\': \'c\'}',
        "",
        "streams of this poll: 3, one for each combination of labels (Loki takes 5000 of a tenant by default)",
        "  job: 1 value",
        "  service_name: 1 value",
        "  instance: 1 value",
        "  db: 3 values",
        f"  warning: db has more values than max_label_values (2), and the others became metadata: {ADVICE}",
        "",
        "Prometheus samples:",
        '  shipper_polls_total{metric="show_locks",result="ok"} 1.0',
        '  shipper_rows_total{metric="show_locks"} 3.0',
        '  locks{db="a"} 1.0',
        '  locks{db="b"} 2.0',
        '  locks{db="c"} 3.0',
    ]


def test_a_dry_run_says_when_the_metric_is_not_shipped(tmp_path: Path, source: FakeSource) -> None:
    shown = polled(tmp_path, dry_run=True, ship=False)

    assert "(not shipped: its `ship` is false); nothing was delivered." in shown


def test_an_unknown_metric_is_refused_with_the_nearest_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        polled(tmp_path, "show_lock")

    assert str(caught.value) == (
        f"{tmp_path / 'monitor_input.json'}: there is no metric show_lock; "
        'did you mean "show_locks"?'
    )


def test_a_source_that_cannot_be_read_is_told_and_closed(
    tmp_path: Path, source: FakeSource
) -> None:
    source.open_errors = [SourceUnavailable("connection refused")]

    with pytest.raises(StartupError, match=r"^show_locks could not be polled: connection refused$"):
        polled(tmp_path)
    assert source.closed == 1


def test_lines_that_loki_does_not_take_are_told(
    tmp_path: Path, source: FakeSource, sink: FakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "DELIVER_SECONDS", 0)
    monkeypatch.setattr(Delivery, "start", lambda _delivery: None)

    with pytest.raises(StartupError, match=r"^fake did not take 3 lines within 0 s$"):
        polled(tmp_path)


def test_lines_that_loki_refuses_are_not_counted_as_delivered(
    tmp_path: Path, source: FakeSource, sink: FakeSink
) -> None:
    sink.outcomes = [[Rejection(1, "too_old")]]

    with pytest.raises(StartupError, match=r"1 line refused for good: see .*show_locks\.jsonl"):
        polled(tmp_path)


def test_a_function_that_changes_the_server_is_not_polled_just_to_look(
    tmp_path: Path, source: FakeSource
) -> None:
    with pytest.raises(StartupError, match="changes the server"):
        polled(tmp_path, dry_run=True, function="reset_leveldb_stats")

    assert source.opened == 0


def test_a_read_is_acknowledged_once_it_is_delivered(
    tmp_path: Path, source: FakeSource, sink: FakeSink
) -> None:
    source.answers = [Batch(ROWS, READ_AT_NS, (7,))]
    polled(tmp_path)

    assert source.acknowledged == [(7,)]


def test_a_dry_run_acknowledges_nothing(tmp_path: Path, source: FakeSource, sink: FakeSink) -> None:
    source.answers = [Batch(ROWS, READ_AT_NS, (7,))]
    polled(tmp_path, dry_run=True)

    assert source.acknowledged == []


def test_a_read_of_which_something_was_refused_is_acknowledged_with_that_as_dead_letters(
    tmp_path: Path, source: FakeSource, sink: FakeSink
) -> None:
    source.answers = [Batch(ROWS, READ_AT_NS, (7,))]
    sink.outcomes = [[Rejection(1, "too_old")]]
    with pytest.raises(StartupError, match="1 line refused for good"):
        polled(tmp_path)

    assert source.acknowledged == [(7,)]
    assert "too_old" in (tmp_path / "state" / "dead_letter" / "show_locks.jsonl").read_text()


def test_what_is_no_row_is_shown_by_a_dry_run_and_is_a_dead_letter_of_a_poll(
    tmp_path: Path, source: FakeSource, sink: FakeSink
) -> None:
    batch = Batch([], READ_AT_NS, refused=[RefusedInput("not_json", b"{", {"sender": "a"})])
    source.answers = [batch, batch]
    dry = polled(tmp_path, dry_run=True)
    wet = polled(tmp_path)
    path = tmp_path / "state" / "dead_letter" / "show_locks.jsonl"

    assert "no row (not_json): {  {'sender': 'a'}" in dry
    assert wet == f"0 rows polled, 1 dead letter in {path}, 0 lines delivered.\n"
    assert '"reason":"not_json"' in path.read_text()
