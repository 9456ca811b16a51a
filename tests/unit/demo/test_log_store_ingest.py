from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipper.demo.log_store.catalog import Catalog
from shipper.demo.log_store.counters import Counters
from shipper.demo.log_store.evaluate import Evaluator
from shipper.demo.log_store.ingest import Ingester
from shipper.demo.log_store.limits import Limits, TokenBucket
from shipper.demo.log_store.logql import parse_selector
from shipper.demo.log_store.pushed import AcceptedEntry, AcceptedStream, Entry, PushedStream
from shipper.demo.log_store.refusal import Refused
from shipper.demo.log_store.storage import Storage, StoredLine
from shipper.demo.log_store.tenants import tenant_of
from shipper.demo.log_store.wire_size import message_bytes

SECOND_NS = 1_000_000_000
START_NS = 1_795_304_123 * SECOND_NS


class FakeClock:
    def __init__(self) -> None:
        self.now_ns = START_NS

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND_NS)


class Bench:
    """An ingester on a file of its own, with what it stored and counted."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.clock = FakeClock()
        self.counters = Counters()
        self.heard: list[str] = []
        self.storage = Storage(path)
        catalog = Catalog(self.storage.streams())
        self.evaluator = Evaluator(catalog, self.storage)
        self._ingester = Ingester(
            self.storage,
            catalog,
            limits=limits,
            counters=self.counters,
            clock=self.clock,
            listener=self._hear,
        )

    def push(self, *streams: PushedStream) -> None:
        self._ingester.push("fake", list(streams))

    def refusal(self, *streams: PushedStream) -> Refused:
        with pytest.raises(Refused) as caught:
            self.push(*streams)
        return caught.value

    def stored(self) -> list[StoredLine]:
        return self.evaluator.stored_lines("fake", parse_selector("{}"))

    def lines(self) -> list[str]:
        return [entry.line for entry in self.stored()]

    def _hear(self, tenant: str, stream: AcceptedStream, kept: list[AcceptedEntry]) -> None:
        self.heard += [f"{tenant} {stream.text} {entry.line}" for entry in kept]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    yield from _benches(tmp_path, Limits())


def _benches(folder: Path, limits: Limits) -> Iterator[Bench]:
    made = Bench(folder / "logs.db", limits)
    yield made
    made.storage.close()


def stream(app: str, *lines: tuple[float, str]) -> PushedStream:
    entries = [Entry(START_NS + round(seconds * SECOND_NS), line, ()) for seconds, line in lines]
    return PushedStream((("app", app), ("service_name", app)), entries)


def with_metadata(**metadata: str) -> PushedStream:
    entry = Entry(START_NS, "x", tuple(metadata.items()))
    return PushedStream((("app", "m"), ("service_name", "m")), [entry])


def limited(tmp_path: Path, limits: Limits) -> Bench:
    return Bench(tmp_path / "limited.db", limits)


def test_good_entries_are_stored_with_their_level_and_heard(bench: Bench) -> None:
    bench.push(stream("x", (0, "level=warn")))

    assert bench.stored() == [
        StoredLine(
            START_NS,
            "level=warn",
            {"app": "x", "service_name": "x"},
            {"detected_level": "warn"},
        )
    ]
    assert bench.heard == ['fake {app="x", service_name="x"} level=warn']


def test_a_push_without_streams_is_refused(bench: Bench) -> None:
    assert bench.refusal().status == 422


def test_a_stream_without_entries_is_skipped(bench: Bench) -> None:
    bench.push(stream("x"))

    assert bench.lines() == []


def test_metadata_names_are_normalised_and_broken_values_get_blanks(bench: Bench) -> None:
    bench.push(with_metadata(**{"a.b": "1", "été": "2", "__x": "3", "1": "a\ufffdb"}))

    found = dict(bench.stored()[0].metadata)
    del found["detected_level"]
    assert found == {"a_b": "1", "_t_": "2", "_x": "3", "key_1": "a b"}


def test_a_metadata_name_of_nothing_but_underscores_refuses_the_whole_push(bench: Bench) -> None:
    refusal = bench.refusal(stream("good", (0, "good")), with_metadata(é="v"))

    assert refusal.status == 500
    assert bench.lines() == []


def test_a_last_line_is_a_duplicate_even_after_its_block_was_cut(tmp_path: Path) -> None:
    bench = limited(tmp_path, Limits(head_block_bytes=2))
    bench.push(stream("x", (0, "abc")))
    bench.push(stream("x", (0, "abc")))

    assert bench.lines() == ["abc"]
    bench.storage.close()


def test_an_older_line_is_stored_twice_once_its_block_was_cut(tmp_path: Path) -> None:
    bench = limited(tmp_path, Limits(head_block_bytes=2))
    bench.push(stream("x", (0, "a"), (1, "b")))
    bench.push(stream("x", (0, "a"), (1, "b")))

    assert bench.lines() == ["a", "a", "b", "b"]
    bench.storage.close()


def test_an_older_line_of_the_same_block_is_dropped(bench: Bench) -> None:
    bench.push(stream("x", (0, "a"), (1, "b")))
    bench.push(stream("x", (0, "a"), (1, "b")))

    assert bench.lines() == ["a", "b"]


def test_the_text_for_entries_too_far_behind_is_lokis(bench: Bench) -> None:
    refusal = bench.refusal(stream("ooo", (0, "new"), (-3601.5, "old")))

    assert refusal.text == (
        "entry with timestamp 2026-11-21 22:35:21.5 +0000 UTC ignored, reason: 'entry too far "
        "behind, entry timestamp is: 2026-11-21T22:35:21Z, oldest acceptable timestamp is: "
        "2026-11-21T22:35:23Z',\nuser 'fake', total ignored: 1 out of 2 for stream: "
        '{app="ooo", service_name="ooo"}'
    )
    assert bench.counters.discarded["too_far_behind", "fake"] == 1


def test_the_order_of_a_stream_is_known_after_the_file_was_opened_again(tmp_path: Path) -> None:
    first = limited(tmp_path, Limits())
    first.push(stream("x", (0, "new")))
    first.storage.close()
    second = limited(tmp_path, Limits())

    second.push(stream("x", (0, "new")))
    refusal = second.refusal(stream("x", (-3700, "old")))

    assert (refusal.status, second.lines()) == (400, ["new"])
    second.storage.close()


def test_the_tenant_rate_refuses_a_whole_push_until_tokens_are_back(tmp_path: Path) -> None:
    bench = limited(tmp_path, Limits(tenant_rate_bytes=10, tenant_burst_bytes=20))
    bench.push(stream("x", (0, "a" * 15)))

    refusal = bench.refusal(stream("x", (1, "b" * 10)))
    bench.clock.advance(1)
    bench.push(stream("x", (1, "c" * 10)))

    assert refusal.status == 429
    assert (
        "(limit: 10 bytes/sec) while attempting to ingest '1' lines totaling '10'" in refusal.text
    )
    assert bench.lines() == ["a" * 15, "c" * 10]
    bench.storage.close()


def test_the_stream_rate_refuses_all_entries_of_the_stream(tmp_path: Path) -> None:
    bench = limited(tmp_path, Limits(stream_rate_bytes=1024, stream_burst_bytes=20))

    refusal = bench.refusal(stream("light", (0, "ok")), stream("pb", (0, "a" * 15), (1, "b" * 6)))

    assert refusal.status == 429
    assert (
        "reason: 'Per stream rate limit exceeded (limit: 1KB/sec) while attempting to ingest for "
        'stream \'{app="pb", service_name="pb"}\' totaling 15B, consider'
    ) in refusal.text
    assert refusal.text.endswith(
        'total ignored: 2 out of 2 for stream: {app="pb", service_name="pb"}'
    )
    assert bench.lines() == ["ok"]
    bench.storage.close()


def test_a_stream_refusal_before_the_last_stream_is_lost(tmp_path: Path) -> None:
    bench = limited(tmp_path, Limits(stream_burst_bytes=5))

    bench.push(stream("heavy", (0, "a" * 15)), stream("light", (0, "ok")))

    assert bench.lines() == ["ok"]
    assert bench.counters.discarded["per_stream_rate_limit", "fake"] == 1
    bench.storage.close()


def test_the_stream_limit_refuses_new_streams_until_others_are_idle(tmp_path: Path) -> None:
    bench = limited(tmp_path, Limits(max_active_streams=1, stream_idle_seconds=60))
    bench.push(stream("old", (0, "a")))

    refusal = bench.refusal(stream("old", (1, "b")), stream("new", (0, "c")))
    bench.clock.advance(61)
    bench.push(stream("new", (0, "d")))

    assert refusal.status == 429
    assert refusal.text.startswith(
        "maximum active stream limit exceeded when trying to create stream "
        '{app="new", service_name="new"}, reduce'
    )
    assert bench.lines() == ["a", "d", "b"]
    bench.storage.close()


def test_blocked_ingestion_answers_260_and_stores_nothing(tmp_path: Path) -> None:
    bench = limited(tmp_path, Limits(blocked_until=datetime(2099, 1, 1, tzinfo=UTC)))

    refusal = bench.refusal(stream("x", (0, "a")))

    assert refusal.status == 260
    assert refusal.text == (
        "ingestion blocked for user fake until '2099-01-01T00:00:00Z' with status code '260'"
    )
    assert bench.lines() == []
    bench.storage.close()


def test_an_ingester_refusal_hides_the_distributors(bench: Bench) -> None:
    refusal = bench.refusal(stream("x", (-700_000, "ancient"), (0, "new"), (-3700, "behind")))

    assert "too old" not in refusal.text
    assert "total ignored: 1 out of 2" in refusal.text


def test_lines_and_refusals_are_counted_by_reason(bench: Bench) -> None:
    bench.refusal(stream("x", (-700_000, "old"), (700, "new"), (0, "x" * 262_145), (0, "good")))

    assert bench.counters.lines_received["fake"] == 4
    assert bench.counters.discarded == {
        ("greater_than_max_sample_age", "fake"): 1,
        ("too_far_in_future", "fake"): 1,
        ("line_too_long", "fake"): 1,
    }


def test_the_message_size_is_that_of_the_encoded_protobuf() -> None:
    entry = AcceptedEntry(START_NS + 1, "x" * 300, (("detected_level", "info"),), 300, 300)

    # 2 timestamp + 10, 3 line + 300, 2 pair + 16 + 6; 3 entry, 2 labels + 9, hash 11; 3 stream
    assert message_bytes([AcceptedStream((), '{app="x"}', [entry])]) == (
        3 + (2 + 9) + 11 + 3 + (2 + 6 + 2) + (3 + 300) + (2 + 16 + 6)
    )


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    clock = FakeClock()
    bucket = TokenBucket(rate_bytes=10, burst_bytes=20, clock=clock)
    clock.advance(100)

    assert not bucket.take(21)
    assert bucket.take(20)
    assert not bucket.take(1)


@pytest.mark.parametrize(
    ("header", "status", "text"),
    [
        ("", 401, "no org id"),
        ("a|b", 400, "multiple org IDs present"),
        ("a b/c", 400, "tenant ID 'a b/c' contains unsupported character ' '"),
        ("..", 400, "tenant ID is '.' or '..'"),
        ("x" * 151, 400, "tenant ID is too long: max 150 characters"),
    ],
    ids=["empty", "two", "character", "dots", "long"],
)
def test_a_wrong_tenant_is_refused(header: str, status: int, text: str) -> None:
    with pytest.raises(Refused) as caught:
        tenant_of({"x-scope-orgid": header}, auth_enabled=True)

    assert (caught.value.status, caught.value.text) == (status, text)


def test_without_authentication_the_tenant_header_is_ignored() -> None:
    assert tenant_of({"x-scope-orgid": ".."}, auth_enabled=False) == "fake"


def test_metadata_is_refused_where_it_is_not_allowed(tmp_path: Path) -> None:
    bench = limited(tmp_path, Limits(allow_metadata=False))
    refusal = bench.refusal(with_metadata(a="b"), stream("x", (0, "bare")))

    assert refusal.status == 400
    assert "includes structured metadata, but this feature is disallowed" in refusal.text
    assert bench.lines() == ["bare"]
