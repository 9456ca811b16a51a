"""Anything done with a spool in any order: it always agrees with a list of what waits."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule

from shipper.pipeline.spool import Parcel
from tests.unit.pipeline.spool.parcels import (
    Site,
    parcel,
    put_ns_of,
    recounted,
    written,
)


class AnySteps(RuleBasedStateMachine):
    """Does anything in any order, and compares the spool with a list."""

    kept = Bundle("kept")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.site = Site(Path(self.folder.name))
        self.spool = self.site.spool()
        self.waiting: dict[str, list[Parcel]] = {"loki": [], "other": []}
        self.next_number = 0

    @rule(
        sink=st.sampled_from(["loki", "other"]),
        jobs=st.lists(st.sampled_from("ab"), min_size=1, max_size=5),
    )
    def keep(self, sink: str, jobs: list[str]) -> None:
        some = [parcel(self.next_number + place, job=job) for place, job in enumerate(jobs)]
        self.next_number += len(some)
        kept = self.spool.keep(sink, some)
        assert kept is not None
        self.waiting[sink] += kept

    @rule(
        sink=st.sampled_from(["loki", "other"]), max_weight_bytes=st.sampled_from([1, 250, 10**6])
    )
    def take_and_forget(self, sink: str, max_weight_bytes: int) -> None:
        some = self.take(sink, max_weight_bytes)
        self.spool.forget(sink, some)
        self.waiting[sink] = [each for each in self.waiting[sink] if each not in some]

    @rule(sink=st.sampled_from(["loki", "other"]))
    def take_and_leave_some(self, sink: str) -> None:
        some = self.take(sink, 250)
        if some:
            left = parcel(self.next_number, job=some[0].stream.labels["job"], lines=1)
            self.next_number += 1
            self.spool.forget(sink, some, left=left)
            place = self.waiting[sink].index(some[0])
            remains = [each for each in self.waiting[sink] if each not in some]
            back = Parcel(left.stream, left.weight_bytes, left.put_ns, some[0].number)
            self.waiting[sink] = [*remains[:place], back, *remains[place:]]

    @rule(sink=st.sampled_from(["loki", "other"]), share=st.floats(0, 1))
    def make_room(self, sink: str, share: float) -> None:
        max_bytes = int(self.spool.size_bytes(sink) * share)
        lines = self.spool.make_room(sink, max_bytes, spared=())
        while lines > 0:
            lines -= len(self.waiting[sink].pop(0).stream)
        assert lines == 0
        assert self.spool.size_bytes(sink) <= max_bytes

    @rule()
    def open_again(self) -> None:
        self.spool.close()
        self.spool = self.site.spool()

    @rule()
    def compare(self) -> None:
        for sink, some in self.waiting.items():
            assert self.spool.lines(sink) == sum(len(each.stream) for each in some)
        if self.site.path.exists():
            assert recounted(self.site.path) == written(self.site.path)

    def take(self, sink: str, max_weight_bytes: int) -> list[Parcel]:
        some = list(self.spool.oldest(sink, max_weight_bytes=max_weight_bytes))
        waiting = self.waiting[sink]
        equals = [each for each in waiting if each.stream.labels == waiting[0].stream.labels]
        fits = max(1, max_weight_bytes // 100)
        assert put_ns_of(some) == put_ns_of(equals[:fits])
        return [each for each in waiting if each.number in {one.number for one in some}]

    def teardown(self) -> None:
        self.compare()
        self.spool.close()
        assert self.site.log.errors == []
        self.folder.cleanup()


TestAnySteps = AnySteps.TestCase
TestAnySteps.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
