"""What was read and is not safe yet, with two sinks of which one may be behind."""

from __future__ import annotations

import logging
from random import Random

from shipper.core.record import Batch, Row
from shipper.pipeline.backoff import Backoff, OwnPace
from shipper.pipeline.custody import Custody
from shipper.pipeline.delivery import Delivery
from shipper.pipeline.filing import Filing, FilingRules
from shipper.pipeline.inputs import Inputs
from shipper.pipeline.outlet import Outlet
from shipper.pipeline.queue import DeliveryQueue
from shipper.pipeline.refusals import Refusals
from shipper.telemetry.tally import Tally
from tests.support.clock import FakeClock
from tests.support.sink import FakeSink

LOG = logging.getLogger("test.custody")
CLOCK = FakeClock()
TALLY = Tally()


def refusals_of(sink: str) -> Refusals:
    return Refusals(metric="m", sink=sink, tally=TALLY, log=LOG, clock=CLOCK)


def outlet(name: str, *, even_only: bool = False) -> Outlet:
    delivery = Delivery(
        metric="m",
        sink=FakeSink(),
        queue=DeliveryQueue(max_bytes=10**6, batch_bytes=10**5, clock=CLOCK),
        pace=OwnPace(backoff=Backoff(), clock=CLOCK, random=Random(1)),
        refusals=refusals_of(name),
        tally=TALLY,
        log=LOG,
        clock=CLOCK,
        settled=lambda: None,
        random=Random(1),
    )
    filing = Filing(FilingRules({"sink": name}), lambda _name: None)
    return Outlet([delivery], filing, is_even if even_only else None)


def is_even(row: Row) -> bool:
    return int(str(row["n"])) % 2 == 0


def custody_of(*outlets: Outlet) -> Custody:
    inputs = Inputs(refusals_of("source"), {})
    return Custody(metric="m", outlets=outlets, inputs=inputs, tally=TALLY, clock=CLOCK)


def batch(*numbers: int) -> Batch:
    rows = [{"n": number} for number in numbers]
    metadata = [{"id": str(number)} for number in numbers]
    return Batch(rows, 1, (numbers[-1],), metadata=metadata)


def settle(one: Outlet) -> None:
    one.deliveries[0].queue.take()
    one.deliveries[0].queue.settle()


def test_a_cursor_is_safe_when_every_sink_took_what_came_before_it() -> None:
    loki, store = outlet("loki"), outlet("store")
    custody = custody_of(loki, store)
    custody.take(batch(1))
    settle(loki)
    with_one_sink = custody.safe_cursor()
    settle(store)

    assert with_one_sink is None
    assert custody.safe_cursor() == (1,)


def test_a_cursor_is_told_once() -> None:
    custody = custody_of()
    custody.take(batch(1))
    custody.take(batch(2))

    assert [custody.safe_cursor(), custody.safe_cursor()] == [(2,), None]


def test_a_cursor_that_did_not_move_is_not_told_again() -> None:
    custody = custody_of()
    custody.take(batch(1))
    custody.safe_cursor()
    custody.take(batch(1))

    assert custody.safe_cursor() is None


def test_a_sink_gets_only_what_it_wants_with_what_is_known_about_it() -> None:
    store = outlet("store", even_only=True)
    put = custody_of(store).take(batch(1, 2, 3, 4))
    flight = store.deliveries[0].queue.take()

    assert put
    assert flight is not None
    assert flight.stream.lines == [b'{"n":2}', b'{"n":4}']
    assert flight.stream.metadata == [{"id": "2"}, {"id": "4"}]


def test_a_batch_that_no_sink_wants_is_safe_at_once() -> None:
    custody = custody_of(outlet("store", even_only=True))
    put = custody.take(batch(1, 3))

    assert not put
    assert custody.safe_cursor() == (3,)


def test_a_worker_without_sinks_is_always_safe() -> None:
    custody = custody_of()
    custody.take(batch(1))

    assert custody.safe
    assert custody.memory_seconds == 0
