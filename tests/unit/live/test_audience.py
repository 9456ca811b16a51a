"""Who looks at which lines, and what becomes of the messages of workers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pytest

from shipper.live import audience as module
from shipper.live.audience import Audience, Full
from shipper.live.channel import Seat
from tests.support.clock import FakeClock


class Rig:
    """An audience, and what it listens to."""

    def __init__(self, **more: Any) -> None:
        self.listened: list[tuple[bytes, bool]] = []
        self.audience = Audience(
            FakeClock(), lambda topic, wanted: self.listened.append((topic, wanted)), **more
        )

    def shipped(
        self, metric: str, first: int, *texts: str, pid: int = 7, old: bool = False
    ) -> None:
        lines = [orjson.dumps({"metric": metric, "line": text}) for text in texts]
        head = {"pid": pid, "first": first, "old": old, "runs": [(len(lines), 0)]}
        self.audience.take([metric.encode() + b"\0", orjson.dumps(head), b"\n".join(lines)])


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene())


def seen(seat: Seat) -> list[Any]:
    messages = [json.loads(message) for message in seat.take(1000)]
    return [message.get("lost") or message["line"] for message in messages]


def test_it_listens_to_what_somebody_looks_at_and_to_nothing_else() -> None:
    rig = Rig()

    async def scene() -> None:
        with rig.audience.seat("m"), rig.audience.seat("m", "x"), rig.audience.seat(None):
            pass

    run(scene)

    assert rig.listened == [(b"m\0", True), (b"", True)]


def test_it_stops_listening_some_time_after_the_last_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STAY_SECONDS", 0.0)
    rig = Rig()

    async def scene() -> None:
        with rig.audience.seat("m"):
            pass
        while len(rig.listened) < 2:
            await asyncio.sleep(0)

    run(scene)

    assert rig.listened == [(b"m\0", True), (b"m\0", False)]


def test_every_viewer_gets_what_passes_its_filter() -> None:
    rig = Rig()

    async def scene() -> None:
        with (
            rig.audience.seat("m") as one,
            rig.audience.seat(None) as every,
            rig.audience.seat(None, "YES") as matching,
        ):
            rig.shipped("m", 0, "yes", "no")
            rig.shipped("n", 0, "oh yes")
            assert (seen(one), seen(every)) == (["yes", "no"], ["yes", "no", "oh yes"])
            assert seen(matching) == ["yes", "oh yes"]

    run(scene)


def test_what_got_lost_is_known_by_the_numbers() -> None:
    rig = Rig()

    async def scene() -> None:
        with rig.audience.seat("m") as seat:
            rig.shipped("m", 5, "a")
            rig.shipped("m", 9, "b")
            assert seen(seat) == ["a", 3, "b"]

    run(scene)


def test_what_comes_again_is_shown_once() -> None:
    rig = Rig()

    async def scene() -> None:
        with rig.audience.seat("m") as seat:
            rig.shipped("m", 0, "a", "b")
            rig.shipped("m", 1, "b", "c")
            assert seen(seat) == ["a", "b", "c"]

    run(scene)


def test_a_worker_that_was_started_again_begins_to_count_anew() -> None:
    rig = Rig()

    async def scene() -> None:
        with rig.audience.seat("m") as seat:
            rig.shipped("m", 90, "a")
            rig.shipped("m", 0, "b", pid=8)
            assert seen(seat) == ["a", "b"]

    run(scene)


def test_who_comes_later_with_another_filter_finds_what_others_have_seen() -> None:
    rig = Rig()

    async def scene() -> None:
        with rig.audience.seat(None):
            rig.shipped("m", 0, "yes", "no")
            rig.shipped("n", 0, "yes")
            with rig.audience.seat("m", "yes") as seat:
                assert [json.loads(text)["metric"] for text in seat.opening(10)] == ["m"]

    run(scene)


def test_there_is_a_limit_and_places_become_free() -> None:
    rig = Rig(most_viewers=1)

    async def scene() -> None:
        with rig.audience.seat("m"), pytest.raises(Full), rig.audience.seat("m"):
            pass
        with rig.audience.seat("m"):
            assert rig.audience.viewers == 1

    run(scene)


def test_many_filters_share_the_room() -> None:
    rig = Rig()

    async def scene() -> None:
        with rig.audience.seat("m") as first:
            alone = first.channel.most_bytes
            with rig.audience.seat("m", "x"):
                assert first.channel.most_bytes == alone // 2

    run(scene)
