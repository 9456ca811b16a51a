"""Delivers streams to Loki, one push for each.

One push for each, because of several streams in a push Loki 3.6 reports only what its ingester refused of the last: a
204 to a push of several can hide lines that were thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from shipper.core.errors import BatchToSplit
from shipper.core.ports import Rejection
from shipper.core.record import Stream
from shipper.core.words import size
from shipper.sinks.loki.client import PUSH_PATH, Client
from shipper.sinks.loki.encode import encode_json, encode_protobuf
from shipper.sinks.loki.prepare import Preparer, Push
from shipper.sinks.loki.verdict import judge

Encoding = Literal["protobuf", "json"]

_PROTOBUF_HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
_JSON_HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


class LokiSink:
    """A Loki to write to.

    Attributes:
        name: The sink's name in counters, spool and dead letters.
        max_batch_bytes: The most a stream may weigh in one write, before compression: its lines, its metadata and 24
            bytes a record. A record alone always fits, because lines and metadata are cut.
        bytes_sent: Bytes of the bodies that Loki gave an answer to; only grows.
        lines_cut: Lines that were delivered without their end; only grows.
        pairs_cut: Pairs of structured metadata that were left out of records that were delivered; only grows.
    """

    def __init__(
        self, client: Client, *, encoding: Encoding, max_batch_bytes: int, name: str = "loki"
    ) -> None:
        self.name = name
        self.max_batch_bytes = max_batch_bytes
        self.bytes_sent = 0
        self.lines_cut = 0
        self.pairs_cut = 0
        self._client = client
        self._encoding = encoding
        self._preparer = Preparer()

    def write(self, stream: Stream) -> Sequence[Rejection]:
        if not stream.lines:
            return ()
        push = self._preparer.prepare(stream)
        if push.size_bytes > self.max_batch_bytes and len(stream) > 1:
            raise BatchToSplit(
                f"{size(push.size_bytes)} are more than the {size(self.max_batch_bytes)} of a batch",
                reason="too_large",
                asked=False,
            )
        rejections = self._send(push)
        self.lines_cut += push.lines_cut
        self.pairs_cut += push.pairs_cut
        return push.in_asked_order(rejections)

    def close(self) -> None:
        self._client.close()

    def _send(self, push: Push) -> Sequence[Rejection]:
        if self._encoding == "protobuf":
            body, headers = encode_protobuf(push.selector, push.stream), _PROTOBUF_HEADERS
        else:
            body, headers = encode_json(push.stream), _JSON_HEADERS
        answer = self._client.request("POST", PUSH_PATH, body=body, headers=headers)
        self.bytes_sent += len(body)
        return judge(answer, push.stream)
