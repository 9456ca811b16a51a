"""Every answer text here was given by a Loki 3.6.15, but for those marked as another server's."""

from __future__ import annotations

import pytest

from shipper.core.errors import BatchRefused, BatchToSplit, Blame, SinkUnavailable
from shipper.core.record import Stream
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.verdict import judge

NS = 1_000_000_000
# 2026-11-21 22:35:41.163406564 UTC
BEHIND_NS = 1_795_300_541_163_406_564

OLD = (
    'entry for stream \'{app="old", service_name="old"}\' has timestamp too old: '
    "2026-11-14T23:35:3%dZ, oldest acceptable timestamp is: 2026-11-14T23:35:42Z"
)
NEW = (
    'entry for stream \'{app="fut", service_name="fut"}\' has timestamp too new: '
    "2026-11-21T23:45:52Z"
)
LONG = (
    "max entry size '%d' bytes exceeded for stream '{app=\"big\"}' "
    "while adding an entry with length '%d' bytes"
)
BEHIND = (
    "entry with timestamp 2026-11-21 22:35:41.163406564 +0000 UTC ignored, reason: 'entry too far behind, "
    "entry timestamp is: 2026-11-21T22:35:41Z, oldest acceptable timestamp is: 2026-11-21T22:35:42Z',\n"
    'user \'fake\', total ignored: {} out of {} for stream: {{app="ooo", service_name="ooo"}}'
)
RATE = (
    "ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to ingest '1000' lines "
    "totaling '1002890' bytes, reduce log volume or contact your Loki administrator to see if the limit can be "
    "increased"
)
STREAM_RATE = (
    "entry with timestamp 2026-11-21 22:35:41 +0000 UTC ignored, reason: 'Per stream rate limit exceeded "
    "(limit: 3MB/sec) while attempting to ingest for stream '{app=\"pb\"}' totaling 1001B, consider splitting a stream "
    "via additional labels or contact your Loki administrator to see if the limit can be increased',\n"
    "user 'fake', total ignored: 1000 out of 1000 for stream: {app=\"pb\"}"
)
STREAMS = (
    'maximum active stream limit exceeded when trying to create stream {a="b"}, reduce the number of active streams '
    "(reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, "
    "user: 'fake'"
)


def stream_of(count: int = 6, *, line: bytes = b"x", first_ns: int = BEHIND_NS) -> Stream:
    return Stream({"app": "x"}, [first_ns + at * NS for at in range(count)], [line] * count)


def refused(text: str, stream: Stream | None = None) -> dict[int, str]:
    rejections = judge(Answer(400, text + "\n"), stream or stream_of())
    return {rejection.index: rejection.reason for rejection in rejections}


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_push_that_was_taken_has_no_rejections(status: int) -> None:
    assert judge(Answer(status), stream_of()) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(OLD % 2, {0: "too_old"}, id="one too old"),
        pytest.param(f"3 errors like: {OLD % 2}", dict.fromkeys(range(3), "too_old"), id="three"),
        pytest.param(NEW, {5: "too_new"}, id="one too new"),
        pytest.param(
            f"3 errors like: {OLD % 2}; 2 errors like: {NEW}",
            {0: "too_old", 1: "too_old", 2: "too_old", 4: "too_new", 5: "too_new"},
            id="both ends",
        ),
        pytest.param(
            f"1 errors like: {NEW}; 1 errors like: {OLD % 1}; 2 errors like: {OLD % 2}",
            {0: "too_old", 1: "too_old", 2: "too_old", 5: "too_new"},
            id="in any order",
        ),
    ],
)
def test_records_refused_for_their_time_are_counted_from_the_ends(
    text: str, expected: dict[int, str]
) -> None:
    assert refused(text) == expected


def test_lines_beyond_the_servers_own_limit_are_found_by_their_length() -> None:
    stream = Stream({}, [1, 2, 3], [b"short", b"x" * 101, b"x" * 100])

    assert refused(LONG % (100, 101), stream) == {1: "line_too_long"}


def test_an_old_line_that_is_too_long_counts_once() -> None:
    stream = Stream({}, [1, 2, 3], [b"x" * 101, b"x" * 101, b""])
    text = f"1 errors like: {OLD % 1}; 1 errors like: {LONG % (100, 101)}"

    assert refused(text, stream) == {0: "too_old", 1: "line_too_long"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "stream '{a=\"b\"}' has too many structured metadata labels: '3', limit: '2'. Please see",
            "too_many_pairs",
        ),
        (
            "stream '{a=\"b\"}' has structured metadata too large: '6' bytes, limit: '4' bytes. Please see",
            "metadata_too_large",
        ),
    ],
)
def test_metadata_beyond_the_servers_own_limit_is_found(text: str, reason: str) -> None:
    metadata = [{"a": "1"}, {"a": "1", "b": "2", "c": "3"}]

    assert refused(text, Stream({}, [1, 2], [b"", b""], metadata)) == {1: reason}


def test_records_with_metadata_are_found_where_none_is_allowed() -> None:
    text = "stream '{a=\"b\"}' includes structured metadata, but this feature is disallowed. Please see"

    assert refused(text, Stream({}, [1, 2], [b"", b""], [{}, {"a": "1"}])) == {
        1: "metadata_disallowed"
    }


def test_records_too_far_behind_are_the_oldest() -> None:
    assert refused(BEHIND.format(2, 6)) == {0: "too_far_behind", 1: "too_far_behind"}


def test_what_the_ingester_never_saw_was_too_old_or_too_new() -> None:
    stream = stream_of(first_ns=BEHIND_NS - 2 * NS)

    assert refused(BEHIND.format(1, 3), stream) == {
        0: "too_old",
        1: "too_old",
        2: "too_far_behind",
        5: "too_new",
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("something new", id="unknown"),
        pytest.param("unexpected EOF", id="cut short"),
        pytest.param("snappy: corrupt input", id="not snappy"),
        pytest.param(BEHIND.format(2, 60), id="more than were sent"),
        pytest.param(BEHIND.format(7, 6), id="more refused than seen"),
        pytest.param("total ignored: 1 out of 3 for stream: {}", id="no time to begin with"),
        pytest.param(f"70 errors like: {OLD % 1}", id="more too old than were sent"),
        pytest.param(LONG % (100, 101), id="no line is as long as it says"),
        pytest.param(
            f"1 errors like: {OLD % 1}; 1 errors like: {LONG % (100, 101)}", id="only one is found"
        ),
    ],
)
def test_where_the_text_does_not_tell_which_the_push_is_to_be_split(text: str) -> None:
    with pytest.raises(BatchToSplit) as caught:
        refused(text)

    assert caught.value.reason == "bad_request"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("EOF", id="empty"),
        pytest.param(
            "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: , error found in #10 byte of",
            id="cut short",
        ),
        pytest.param("readObjectStart: expect { or n, but found [, error", id="no object"),
        pytest.param(
            "ReadObjectCB: Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol",
            id="a lone surrogate",
        ),
        pytest.param(
            "timestamp: &types.Timestamp{Seconds: 1,\nNanos: 1000000000,\n}: nanos not in range [0, 1e9)",
            id="a time that is none",
        ),
        pytest.param("gzip: invalid header", id="not gzip"),
    ],
)
def test_a_body_that_cannot_be_decoded_is_to_be_split(text: str) -> None:
    with pytest.raises(BatchToSplit) as caught:
        refused(text)

    assert caught.value.reason == "bad_request"


def test_a_record_that_is_refused_alone_without_a_name_is_still_to_be_split() -> None:
    with pytest.raises(BatchToSplit):
        refused("something new", stream_of(1))


def test_a_text_that_was_not_read_to_its_end_is_not_counted_in() -> None:
    with pytest.raises(BatchToSplit):
        judge(Answer(400, OLD % 2, whole=False), stream_of())


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("text/html; charset=utf-8", "<html>Bad Request</html>"),
        ("application/xml", "<Error><Code>InvalidRequest</Code></Error>"),
        ("application/json", '{"error":"no handler found for uri [/loki/api/v1/push]"}'),
    ],
)
def test_a_400_that_is_not_plain_text_is_not_from_loki(content_type: str, text: str) -> None:
    with pytest.raises(SinkUnavailable) as caught:
        judge(Answer(400, text, {"content-type": content_type}), stream_of())

    assert (caught.value.reason, caught.value.blame) == ("not_loki", Blame.DESTINATION)


def test_an_http_answer_of_nginx_at_an_https_port_is_about_tls() -> None:
    page = "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>"

    with pytest.raises(SinkUnavailable) as caught:
        judge(Answer(400, page, {"content-type": "text/html"}), stream_of())
    assert caught.value.reason == "tls"


def test_refused_records_are_named_whatever_a_gateway_calls_the_text() -> None:
    answer = Answer(400, OLD % 2, {"content-type": "application/json"})

    assert [one.index for one in judge(answer, stream_of())] == [0]


def test_a_rejection_carries_what_loki_said() -> None:
    (rejection,) = judge(Answer(400, OLD % 2), stream_of())

    assert "oldest acceptable timestamp" in rejection.answer


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (
            400,
            'entry for stream \'{l00="v", service_name="unknown_service"}\' has 16 label names; limit 15',
            "too_many_labels",
        ),
        (400, "stream '{a=\"b\"}' has label name too long: 'a'", "label_name_too_long"),
        (400, "stream '{a=\"b\"}' has label value too long: 'b'", "label_value_too_long"),
        (400, "stream '{app=\"a\", app=\"b\"}' has duplicate label name: 'app'", "duplicate_label"),
        (
            400,
            "couldn't parse labels: 1:3: parse error: unexpected character inside braces: '.'",
            "bad_labels",
        ),
        (
            260,
            "ingestion blocked for user fake until '2099-01-01T00:00:00Z' with status code '260'",
            "ingestion_blocked",
        ),
        (
            456,
            "ingestion blocked for user fake until '2099-01-01T00:00:00Z' with status code '456'",
            "ingestion_blocked",
        ),
        (260, "", "ingestion_blocked"),
    ],
)
def test_what_never_gets_better_is_refused(status: int, text: str, reason: str) -> None:
    with pytest.raises(BatchRefused) as caught:
        judge(Answer(status, text), stream_of())

    assert caught.value.reason == reason


def test_422_is_to_be_split() -> None:
    text = "error at least one valid stream is required for ingestion"

    with pytest.raises(BatchToSplit) as caught:
        judge(Answer(422, text), stream_of())
    assert caught.value.reason == "bad_request"


@pytest.mark.parametrize(
    "text",
    ['normalization for label name "é" resulted in invalid name "_"', "label name is empty"],
)
def test_a_500_about_one_records_metadata_is_to_be_split(text: str) -> None:
    with pytest.raises(BatchToSplit) as caught:
        judge(Answer(500, text), stream_of())

    assert caught.value.reason == "bad_metadata_name"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            500,
            "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (4202961 vs. 4194304)",
        ),
        (
            413,
            "request body too large: message size too large than max (106804415 vs 104857600)",
        ),
        pytest.param(413, "<html>413 Request Entity Too Large</html>", id="nginx"),
        pytest.param(
            400, "message size too large than max (1 vs 0)", id="an older Loki says it with 400"
        ),
    ],
)
def test_what_is_too_large_is_to_be_split(status: int, text: str) -> None:
    with pytest.raises(BatchToSplit) as caught:
        judge(Answer(status, text), stream_of())

    assert caught.value.reason == "too_large"


@pytest.mark.parametrize(
    ("status", "text", "reason", "blame"),
    [
        (301, "", "redirected", Blame.DESTINATION),
        (307, "", "redirected", Blame.DESTINATION),
        (401, "no org id", "unauthorized", Blame.DESTINATION),
        (402, "", "forbidden", Blame.DESTINATION),
        (403, "", "forbidden", Blame.DESTINATION),
        (404, "404 page not found", "not_found", Blame.DESTINATION),
        (405, "", "not_found", Blame.DESTINATION),
        (407, "", "unauthorized", Blame.DESTINATION),
        (408, "", "timeout", Blame.DESTINATION),
        (499, "", "connection_lost", Blame.DESTINATION),
        (400, "multiple org IDs present", "bad_tenant", Blame.DESTINATION),
        (
            400,
            "tenant ID 'a b/c' contains unsupported character ' '",
            "bad_tenant",
            Blame.DESTINATION,
        ),
        (400, "tenant ID is '.' or '..'", "bad_tenant", Blame.DESTINATION),
        (400, "tenant ID is too long: max 150 characters", "bad_tenant", Blame.DESTINATION),
        (400, "Client sent an HTTP request to an HTTPS server.", "tls", Blame.DESTINATION),
        (418, "", "bad_request", Blame.UNKNOWN),
        (429, RATE, "rate_limited", Blame.DESTINATION),
        (429, "slow down", "rate_limited", Blame.DESTINATION),
        (429, STREAM_RATE, "per_stream_rate_limited", Blame.STREAM),
        (429, STREAMS, "stream_limited", Blame.LIMIT),
        (500, "empty ring", "not_ready", Blame.DESTINATION),
        (500, "Ingester is shutting down", "not_ready", Blame.DESTINATION),
        (
            500,
            "at least 2 live replicas required, could only find 1",
            "not_ready",
            Blame.DESTINATION,
        ),
        (500, "too many unhealthy instances in the ring", "not_ready", Blame.DESTINATION),
        (500, "rpc error: code = Unavailable desc = x", "not_ready", Blame.DESTINATION),
        (500, "something else", "server_error", Blame.UNKNOWN),
        (502, "Bad Gateway", "not_ready", Blame.DESTINATION),
        (503, "", "not_ready", Blame.DESTINATION),
        (504, "", "not_ready", Blame.DESTINATION),
        (599, "", "server_error", Blame.UNKNOWN),
    ],
)
def test_what_may_get_better_is_unavailable(
    status: int, text: str, reason: str, blame: Blame
) -> None:
    with pytest.raises(SinkUnavailable) as caught:
        judge(Answer(status, text), stream_of())

    assert (caught.value.reason, caught.value.blame) == (reason, blame)
    assert str(status) in str(caught.value)


def test_a_web_page_is_no_loki() -> None:
    with pytest.raises(SinkUnavailable) as caught:
        judge(Answer(200, "<html>", {"content-type": "text/html; charset=utf-8"}), stream_of())

    assert caught.value.reason == "not_loki"


@pytest.mark.parametrize(
    ("text", "line_bytes", "reason"),
    [(RATE, 4_200_000, "rate_limited"), (STREAM_RATE, 3_200_000, "per_stream_rate_limited")],
)
def test_a_push_above_the_rate_is_split_and_a_single_record_not_tried_for_ever(
    text: str, line_bytes: int, reason: str
) -> None:
    with pytest.raises(BatchToSplit) as split:
        judge(Answer(429, text), stream_of(2, line=b"x" * (line_bytes // 2)))
    with pytest.raises(SinkUnavailable) as alone:
        judge(Answer(429, text), stream_of(1, line=b"x" * line_bytes))

    assert (split.value.reason, alone.value.reason) == (reason, reason)
    assert alone.value.blame is Blame.LIMIT


def test_the_wait_that_was_asked_for_is_passed_on() -> None:
    with pytest.raises(SinkUnavailable) as caught:
        judge(Answer(503, "", {"retry-after": "12"}), stream_of())

    assert caught.value.retry_after_seconds == 12


def test_a_redirect_says_where_it_points_but_not_the_query() -> None:
    with pytest.raises(SinkUnavailable, match=r"https://other/x: nothing$"):
        judge(Answer(302, "", {"location": "https://other/x?token=secret"}), stream_of())
