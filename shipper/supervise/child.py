"""The living process of a plan: how it is started, seen, spoken to, and ended."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from os import set_blocking

from shipper.supervise.lifecycle import Sight
from shipper.supervise.plan import WorkerPlan
from shipper.supervise.pulse import SharedPulse


@dataclass(slots=True)
class Child:
    """A process that lives, or ended and was not let go of yet.

    Attributes:
        told_seconds: When it was told to stop, on the monotonic clock; 0 before.
    """

    _process: ForkServerProcess
    _pulse: SharedPulse
    _orders: Connection
    told_seconds: float = 0.0

    @classmethod
    def start(cls, plan: WorkerPlan, context: ForkServerContext) -> Child:
        """Start the process of a plan."""
        pulse = SharedPulse.create(context)
        heard, orders = context.Pipe(duplex=False)
        # A frozen process reads nothing; whoever speaks to it must not freeze with it.
        set_blocking(orders.fileno(), False)
        process = context.Process(
            target=plan.target, args=(*plan.arguments, pulse, heard), name=plan.name
        )
        process.start()
        heard.close()
        return cls(process, pulse, orders)

    @property
    def pid(self) -> int:
        """Its number in the system."""
        return self._process.pid or 0

    @property
    def sentinel(self) -> int:
        """What can be waited for until it ends."""
        return self._process.sentinel

    def sight(self, now_seconds: float) -> Sight:
        """Return what is seen of it now."""
        beat, poll_began, polls = self._pulse.numbers
        return Sight(now_seconds, self._process.exitcode, beat, poll_began, int(polls))

    def tell(self, word: object) -> None:
        """Say `stop`, or the news of its plan; never waits.

        Raises:
            BlockingIOError: It did not read what it was told before (a pipe holds 64 KiB, pipe(7)); the
                connection is of no use any more.
            OSError: It is gone.
        """
        self._orders.send(word)

    def end(self) -> int:
        """Kill it, whatever it does, and return its exit code."""
        self._process.kill()
        self._process.join()
        self._orders.close()
        return self._process.exitcode or 0
