"""Who listens is woken, gets turns with others, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from threading import Lock
from typing import Any

import pytest

from shipper.sources.zeromq.channels.history import Farewell, History
from shipper.sources.zeromq.channels.listeners import PORTION_RECORDS, Left, Listeners
from shipper.sources.zeromq.channels.server import ChannelServer
from shipper.sources.zeromq.channels.site import Site
from shipper.sources.zeromq.wire import Endpoint

IDLE_SECONDS = 60.0


class Rig:
    """Listeners to histories in the test's hands."""

    def __init__(self) -> None:
        self.histories: dict[str, History] = {}
        self.listeners = Listeners(self.histories.get, Lock())

    def history(self, name: str, count: int = 0, **given: Any) -> History:
        messages = deque(str(number) for number in range(count))
        self.histories[name] = History(1, name, messages=messages, **given)
        return self.histories[name]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_who_leaves_leaves_nothing_behind(rig: Rig) -> None:
    with rig.listeners.joined("job"), rig.listeners.joined("job"):
        pass

    assert rig.listeners._by_name == {}


def test_one_that_leaves_does_not_take_the_others_along(rig: Rig) -> None:
    with rig.listeners.joined("job") as stays:
        with rig.listeners.joined("job"):
            pass
        rig.listeners.wake(["job", "nobody listens"])

        assert asyncio.run(stays.more(IDLE_SECONDS)) is True


def test_two_clients_of_a_channel_are_two_listeners(rig: Rig) -> None:
    rig.history("job", 3)
    with rig.listeners.joined("job") as one, rig.listeners.joined("job") as other:
        first = rig.listeners.portion(one)

        assert (first, rig.listeners.portion(other)) == (["0", "1", "2"],) * 2
        assert rig.listeners.portion(one) is None


def test_who_comes_late_begins_with_what_is_still_there(rig: Rig) -> None:
    rig.history("job", 2, passed_over=5)
    with rig.listeners.joined("job") as late:
        assert rig.listeners.portion(late) == ["0", "1"]


def test_who_hears_a_life_stays_with_it_when_another_begins(rig: Rig) -> None:
    rig.history("job", 1, is_over=True)
    with rig.listeners.joined("job") as listener:
        rig.listeners.portion(listener)
        rig.history("job", 5)

        assert rig.listeners.portion(listener) is Farewell.FINISHED


def test_who_has_left_waits_no_more(rig: Rig) -> None:
    with rig.listeners.joined("job") as listener:
        listener.leave()

        with pytest.raises(Left):
            asyncio.run(listener.more(IDLE_SECONDS))


def test_who_waits_for_nobody_waits_for_so_long_only(rig: Rig) -> None:
    with rig.listeners.joined("job") as listener:
        assert asyncio.run(listener.more(0.0)) is False


def test_a_long_history_leaves_others_their_turn(rig: Rig) -> None:
    rig.history("job", 10 * PORTION_RECORDS, is_over=True)
    site = Site(Endpoint("127.0.0.1", 1))
    server = ChannelServer(site, rig.listeners, logging.getLogger("test.channels"))

    class Greedy:
        """Takes everything at once, so that nothing else makes the server pause."""

        async def send(self, _text: str) -> None:
            return

    async def turns_of_another() -> int:
        turns = 0
        with rig.listeners.joined("job") as listener:
            greedy: Any = Greedy()
            telling = asyncio.create_task(server._tell(greedy, listener))
            while not telling.done():
                turns += 1
                await asyncio.sleep(0)
        return turns

    assert asyncio.run(turns_of_another()) >= 10
