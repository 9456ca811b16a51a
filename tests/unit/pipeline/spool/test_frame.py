"""A stream as bytes: everything comes back, and what was damaged is told from what was not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.core.record import Stream
from shipper.pipeline.spool.frame import FrameDamaged, checksum, labels_text, pack, unpack

TIMES_NS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8"))
PAIRS = st.dictionaries(TEXTS, TEXTS, max_size=4)
STREAM = Stream({"job": "m"}, [1, 2], [b"one", b"two"])


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    lines = draw(st.lists(st.binary(max_size=200), max_size=20))
    some = st.lists(PAIRS, min_size=len(lines), max_size=len(lines))
    times_ns = draw(st.lists(TIMES_NS, min_size=len(lines), max_size=len(lines)))
    return Stream(draw(PAIRS), times_ns, lines, draw(st.none() | some))


@given(streams())
def test_what_is_packed_comes_back_the_same(stream: Stream) -> None:
    assert unpack(pack(stream), labels_text(stream.labels)) == stream


def test_times_may_be_a_range() -> None:
    stream = Stream({}, range(5, 7), [b"one", b"two"])

    assert unpack(pack(stream), "{}").times_ns == [5, 6]


def test_a_line_of_many_megabytes_comes_back() -> None:
    stream = Stream({}, [1], [b"0123456789abcdef" * 300_000])

    assert unpack(pack(stream), "{}") == stream


def test_lone_surrogates_become_escapes() -> None:
    stream = Stream({"a\ud800": "b\udfff"}, [1], [b""], [{"c\udc00": "d\ud83d"}])
    back = unpack(pack(stream), labels_text(stream.labels))

    assert back.labels == {"a\\ud800": "b\\udfff"}
    assert back.metadata == [{"c\\udc00": "d\\ud83d"}]


def test_equal_labels_have_the_same_text() -> None:
    assert labels_text({"b": "1", "a": "2"}) == labels_text({"a": "2", "b": "1"})


def test_a_time_beyond_64_bits_is_refused() -> None:
    with pytest.raises(Exception, match="out of range"):
        pack(Stream({}, [2**63], [b""]))


@given(st.binary(max_size=200))
def test_other_bytes_are_told_from_a_frame(body: bytes) -> None:
    try:
        stream = unpack(body, "{}")
    except FrameDamaged:
        return

    # Bytes that happen to be a frame are read as one.
    assert unpack(pack(stream), "{}") == stream


def test_a_frame_that_was_cut_is_told() -> None:
    with pytest.raises(FrameDamaged):
        unpack(pack(STREAM)[:-1], "{}")


@pytest.mark.parametrize("labels", ["", "{", "\ud800"])
def test_labels_that_cannot_be_read_are_told(labels: str) -> None:
    with pytest.raises(FrameDamaged):
        unpack(pack(STREAM), labels)


@pytest.mark.parametrize(
    ("body", "beside"),
    [(b"bodz", ("loki", 7)), (b"body", ("lokj", 7)), (b"body", ("loki", 8)), (b"body", ("loki",))],
    ids=["body", "text", "number", "less"],
)
def test_the_checksum_covers_the_body_and_what_is_beside_it(
    body: bytes, beside: tuple[str | int, ...]
) -> None:
    assert checksum(body, *beside) != checksum(b"body", "loki", 7)
