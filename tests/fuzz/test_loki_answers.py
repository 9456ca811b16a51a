"""Whatever comes back instead of Loki's answer: every line is delivered, a dead letter, or still waiting."""

from __future__ import annotations

import gzip
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, event, example, given
from hypothesis import strategies as st

from shipper.core.errors import SinkError
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.dead_letter import DeadLetters
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.refusals import Refusals, TooOld
from shipper.pipeline.spool import Shelf, Spool
from shipper.sinks.loki.answer import MAX_WAIT_SECONDS, Answer
from shipper.sinks.loki.settings import LokiSettings
from shipper.sinks.loki.verdict import judge
from shipper.telemetry import families
from shipper.telemetry.tally import Tally
from tests.fuzz.examples import fuzzed
from tests.fuzz.raw_loki import TAKEN, RawLoki, Reply, Then
from tests.support.clock import RecordingEvent, TickingClock
from tests.support.tally import counted

USUALLY: Sequence[Then] = ("keep",) * 6 + ("close",) * 3 + ("reset", "drip", "hang", "repeat")

LOG = logging.getLogger("test.fuzz")
PATIENCE_SECONDS = 20.0
CONNECT_SECONDS = 0.05
READ_SECONDS = 0.05
INTERIM = (100, 103)

TEXTS = [
    "entry for stream '{app=\"old\"}' has timestamp too old: 2026-11-14T23:35:32Z, oldest acceptable timestamp is: 2",
    "entry for stream '{app=\"fut\"}' has timestamp too new: 2026-11-21T23:45:52Z",
    "2 errors like: entry for stream '{app=\"old\"}' has timestamp too old: 2026-11-14T23:35:32Z",
    "max entry size '12' bytes exceeded for stream '{app=\"big\"}' while adding an entry with length '262145' bytes",
    "stream '{app=\"x\"}' has too many structured metadata labels: '3', limit: '1'. Please see",
    "stream '{app=\"x\"}' has structured metadata too large: '6' bytes, limit: '4' bytes. Please see",
    "stream '{app=\"x\"}' includes structured metadata, but this feature is disallowed. Please see",
    "entry with timestamp 2026-11-21 22:35:41.163406564 +0000 UTC ignored, reason: 'entry too far behind',\n",
    "user 'fake', total ignored: 2 out of 4 for stream: {app=\"ooo\"}",
    "ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to ingest '1000' lines",
    "Per stream rate limit exceeded (limit: 3MB/sec) while attempting to ingest for stream '{app=\"pb\"}'",
    'maximum active stream limit exceeded when trying to create stream {a="b"}, reduce the number of active streams',
    "ingestion blocked for user fake until '2099-01-01T00:00:00Z' with status code '260'",
    "has 16 label names; limit 15",
    "couldn't parse labels: 1:3: parse error: unexpected character inside braces: '.'",
    "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (4202961 vs. 4194304)",
    'normalization for label name "é" resulted in invalid name "_"',
    "empty ring",
    "no org id",
    "tenant ID 'a b/c' contains unsupported character ' '",
    "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>",
    "unexpected EOF",
]
"""What Loki 3.6 was seen to answer, in part, and one page of nginx."""

BEHIND = "".join(TEXTS[7:9])

NUMBERS = st.sampled_from(
    ["0", "1", "2", "3", "99", "9" * 19, "9" * 400, "9" * 5000, "-1", "\u0663", "1.5", "99-99"]
)
STATUSES = st.sampled_from(
    [100, 101, 103, 200, 204, 260, 299, 301, 304, 400, 401, 404, 408, 413, 422, 429, 456, 500, 503]
)
WAITS = st.sampled_from(
    ["0", "3", "0.5", "1e9", "9" * 400, "-1", "inf", "nan", "soon", ".", "\u0661", "0 0 0 0 0 0 0"]
) | st.sampled_from(
    [
        "Fri, 21 Nov 2026 23:00:00 GMT",
        "Fri, 21 Nov 2026 23:00:00",
        "Fri, 21 Nov 9999999999999999999999 23:00:00 GMT",
        "Fri, 99 Nov 2026 23:00:00 +9999999999",
    ]
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Return real texts, one after the other, with other numbers in them, or cut, or none at all."""
    chosen = draw(st.lists(st.sampled_from([*TEXTS, BEHIND]), min_size=1, max_size=3))
    text = draw(st.sampled_from(["; ", "\n", "", "' "])).join(chosen)
    match draw(st.sampled_from(["as it is", "numbers", "cut", "twisted", "other"])):
        case "numbers":
            other = draw(st.lists(NUMBERS, min_size=1, max_size=4))
            texts_left = iter(other * (len(text) // len(other) + 1))
            return re.sub(r"\d+", lambda _: next(texts_left), text)
        case "cut":
            return text[draw(st.integers(0, len(text))) :][: draw(st.integers(0, len(text)))]
        case "twisted":
            at = draw(st.integers(0, len(text)))
            return text[:at] + draw(st.text(max_size=10)) + text[at:]
        case "other":
            return draw(st.text(max_size=60))
        case _:
            return text


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(
            ["text/plain; charset=utf-8", "text/html", "application/json", "", "é"]
        ),
        "retry-after": WAITS,
        "date": WAITS,
        "location": st.sampled_from(["https://elsewhere/?token=x", "?", ""]),
    },
)
ANSWERS = st.builds(
    Answer,
    status=STATUSES | st.integers(100, 999),
    text=texts(),
    headers=HEADERS,
    whole=st.sampled_from([True, True, True, False]),
)
PAIRS = st.dictionaries(st.sampled_from("abc"), st.text(max_size=5), max_size=3)


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Return some records as a sink sends them: in order of time."""
    count = draw(st.integers(1, 6))
    around_ns = draw(st.sampled_from([0, 1_795_300_541_163_406_564]))
    times_ns = sorted(around_ns + draw(st.integers(0, 10)) * 10**9 for _ in range(count))
    lines = draw(st.lists(st.binary(max_size=30), min_size=count, max_size=count))
    metadata = draw(st.none() | st.lists(PAIRS, min_size=count, max_size=count))
    return Stream({"app": "x"}, times_ns, lines, metadata)


@fuzzed(4)
@given(answer=ANSWERS, stream=streams())
@example(Answer(400, "9" * 5000 + f" errors like: {TEXTS[0]}"), Stream({}, [1], [b""]))
@example(Answer(400, BEHIND.replace("11-21", "99-21")), Stream({}, [1, 2, 3, 4], [b""] * 4))
@example(Answer(400, "entry for stream '" * 20_000), Stream({}, [1], [b""]))
@example(Answer(400, "9" * 100_000), Stream({}, [1], [b""]))
@example(
    Answer(503, "", {"retry-after": f"1 Jan {9 * 10**25} 00:00:00", "date": "1 Jan 2020 00:00:00"}),
    Stream({}, [1], [b""]),
)
def test_every_answer_is_judged(answer: Answer, stream: Stream) -> None:
    outcome = judged(answer, stream)

    match outcome:
        case SinkError():
            wait_seconds = getattr(outcome, "retry_after_seconds", None) or 0
            assert 0 <= wait_seconds <= MAX_WAIT_SECONDS
            assert outcome.reason
            assert str(answer.status) in str(outcome)
        case rejections:
            indices = [one.index for one in rejections]
            assert indices == sorted(set(indices) & set(range(len(stream))))
            assert all(one.reason for one in rejections)


def judged(answer: Answer, stream: Stream) -> Sequence[Rejection] | SinkError:
    """Return what is made of an answer; anything but our errors fails the test."""
    try:
        return judge(answer, stream)
    except SinkError as error:
        return error


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    status = draw(STATUSES)
    body = draw(texts()).encode("utf-8", "replace")
    lines = [draw(status_lines(status))]
    lines += [f"{name}: {value}".encode() for name, value in draw(HEADERS).items()]
    match draw(
        st.sampled_from(["length", "no length", "chunked", "bad chunks", "bad length", "gzip"])
    ):
        case "length":
            lines.append(b"Content-Length: %d" % len(body))
        case "chunked":
            lines.append(b"Transfer-Encoding: chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        case "bad chunks":
            lines.append(b"Transfer-Encoding: chunked")
            body = draw(
                st.sampled_from([b"-5", b"-1", b"zz", b"", b"7fffffffffffffff", b"0x5", b";"])
            )
            body += b"\r\nabcde\r\n0\r\n\r\n"
        case "bad length":
            length = draw(st.sampled_from(["-1", "x", "", "9" * 30, "9" * 5000, "5, 5"]))
            lines.append(b"Content-Length: " + length.encode())
        case "gzip":
            body = gzip.compress(body)
            lines += [b"Content-Encoding: gzip", b"Content-Length: %d" % len(body)]
    lines += draw(st.lists(ODD_HEADERS, max_size=2))
    then = draw(st.sampled_from(USUALLY))
    content = b"\r\n".join([*lines, b"", b""]) + body
    if draw(st.integers(0, 5)) == 0:
        content = content[: draw(st.integers(0, len(content)))]
    # What comes later than the answer cannot be told from the next answer, so it must not say that a push was taken.
    late = TAKEN if status in INTERIM else draw(st.sampled_from([b"", b"", b"", b"\r\n", b"noise"]))
    return Reply(content, then, late)


def status_lines(status: int) -> st.SearchStrategy[bytes]:
    usual = st.just(b"HTTP/1.1 %d Whatever" % status)
    odd = st.sampled_from(
        [b"HTTP/1.0 %d", b"HTTP/1.1 %d", b"HTTP/9.9 %d ?", b"ICY %d OK", b"HTTP/1.1  %d", b"%d"]
    ).map(lambda line: line % status)
    none = st.sampled_from(
        [b"", b"HTTP/1.1", b"HTTP/1.1 x", b"HTTP/1.1 -204 ?", b"\x16\x03\x01\x02"]
    )
    return st.one_of(usual, usual, usual, odd, none)


ODD_HEADERS = st.sampled_from(
    [
        b": no name",
        b"no colon",
        b"Connection: close",
        b"Connection: keep-alive, close",
        b" folded",
        b"X: " + b"x" * 70_000,
        b"\x00\xff: \xfe",
        b"\r\n".join(b"X-%d: y" % number for number in range(150)),
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
    ]
)


@dataclass
class Rig:
    """A delivery with a queue, a spool and dead letters, in front of a far end."""

    folder: Path
    port: int
    encoding: str
    too_old: TooOld
    tally: Tally = field(default_factory=Tally)
    clock: TickingClock = field(default_factory=TickingClock)

    def __post_init__(self) -> None:
        clock = self.clock
        self.spool = Spool(self.folder / "m.db", clock=clock, log=LOG, damaged=lambda _lines: None)
        shelf = Shelf(self.spool, "loki", max_bytes=10**7)
        self.queue = DeliveryQueue(max_bytes=10**7, batch_bytes=500, clock=clock, shelf=shelf)
        self.delivery = Delivery(
            metric="m",
            sink=LokiSettings.model_validate(
                {
                    "url": f"http://127.0.0.1:{self.port}",
                    "encoding": self.encoding,
                    "connect_timeout_seconds": CONNECT_SECONDS,
                    "read_timeout_seconds": READ_SECONDS,
                }
            ).build(),
            queue=self.queue,
            pace=OwnPace(backoff=Backoff(0, 0), clock=clock, random=Random(1)),
            refusals=Refusals(
                metric="m",
                sink="loki",
                tally=self.tally,
                log=LOG,
                clock=clock,
                too_old=self.too_old,
                letterbox=DeadLetters(self.folder / "m.jsonl", max_bytes=10**7, clock=clock),
            ),
            tally=self.tally,
            log=LOG,
            clock=clock,
            settled=lambda: None,
            random=Random(1),
            backoff=Backoff(0, 0),
            _stop=RecordingEvent(clock),
        )

    def dead(self) -> set[str]:
        path = self.folder / "m.jsonl"
        return {json.loads(line)["line"] for line in path.open()} if path.exists() else set()

    def waiting(self) -> Iterator[str]:
        while parcels := self.spool.oldest("loki", max_weight_bytes=10**6):
            yield from (line.decode() for each in parcels for line in each.stream.lines)
            self.spool.forget("loki", parcels)

    def count(self, family: families.Family) -> float:
        return counted(self.tally, family, "m")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    LOG.setLevel(logging.CRITICAL)
    yield
    LOG.setLevel(logging.NOTSET)


BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
EARLY_HINTS = Reply(b"HTTP/1.1 103 Early Hints\r\n\r\n", late=TAKEN)
FULL_BUFFER = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 8132\r\n\r\n" + 8132 * b"x"
ONE_TOO_MANY = Reply(FULL_BUFFER + TAKEN)
"""Python reads 8192 bytes at once; what comes behind is still there at the next push."""


@fuzzed(0.5)
@example(
    [EARLY_HINTS, *map(Reply, [BROKEN, TAKEN, TAKEN, BROKEN])],
    [3] * 4,
    "json",
    "restamp",
    False,
    20.0,
)
@example(
    [ONE_TOO_MANY, *map(Reply, [BROKEN, TAKEN, TAKEN, BROKEN])],
    [3] * 4,
    "json",
    "restamp",
    False,
    20.0,
)
@given(
    script=st.lists(replies(), min_size=1, max_size=12),
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    encoding=st.sampled_from(["protobuf", "json"]),
    too_old=st.sampled_from(["dead_letter", "restamp"]),
    kept=st.booleans(),
    drain_seconds=st.sampled_from([PATIENCE_SECONDS, PATIENCE_SECONDS, 0.0]),
)
def test_no_answer_loses_a_line(
    script: list[Reply],
    sizes: list[int],
    encoding: str,
    too_old: TooOld,
    kept: bool,
    drain_seconds: float,
) -> None:
    assume(sum(reply.then in ("hang", "drip") for reply in script) <= 1)
    loki = RawLoki(script)
    with TemporaryDirectory() as folder:
        rig = Rig(Path(folder), loki.port, encoding, too_old)
        put = set()
        for number, size in enumerate(sizes):
            lines = [f"line {number}.{place} {'x' * 40}" for place in range(size)]
            put.update(lines)
            times_ns = [rig.clock.now_ns() + place for place in range(size)]
            rig.queue.put(Stream({"job": "ab"[number % 2]}, times_ns, [*map(str.encode, lines)]))
        if kept:
            rig.queue.keep()
        rig.delivery.start()
        left = rig.delivery.finish(drain_seconds)
        loki.close()

        waiting = set(rig.waiting())
        assert left.memory_lines == 0
        assert rig.dead() | loki.maybe_stored | waiting == put
        if drain_seconds:
            assert waiting == set()
        assert len(put) == len(waiting) + rig.count(families.LINES_DELIVERED) + rig.count(
            families.LINES_REJECTED
        )
        event(f"{len(rig.dead())} dead letters, {len(waiting)} waiting")
        rig.spool.close()
