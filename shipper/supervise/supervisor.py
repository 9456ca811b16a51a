"""Applies the rules of `lifecycle` to real processes: one per plan, started from a fork server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from logging import Logger
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from random import Random
from typing import Any

from shipper.core.clock import Clock
from shipper.core.errors import EveryWorkerGaveUp
from shipper.supervise import lifecycle
from shipper.supervise.lifecycle import Phase, Policy, Sight, Step, Worker
from shipper.supervise.pulse import SharedPulse

TICK_SECONDS = 0.1
REPORT_SECONDS = 0.5
FAREWELL_SECONDS = 2.0
"""How much longer than it may deliver a worker has to say what it could not, and to end."""

STUCK_POLL_SECONDS = 3.0
"""How long a poll may go on after the order to stop, before its worker is killed."""


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What one worker does.

    Attributes:
        name: The metric's name; it names the process.
        target: Called in the new process with the arguments, a `SharedPulse`, and a connection that says `stop`,
            or closes when the supervisor is gone.
        arguments: Anything that can be pickled.
        timeout_seconds: Deadline of one poll.
        required: Whether readiness waits for it.
        attendant: True for a process that serves the others, like the web process: it is stopped last, and never
            counts when every worker gave up.
    """

    name: str
    target: Callable[..., None]
    arguments: tuple[Any, ...]
    timeout_seconds: float = float("inf")
    required: bool = True
    attendant: bool = False


@dataclass(slots=True)
class _Running:
    """The living process of a worker, how to see it, and how to speak to it."""

    child: ForkServerProcess
    pulse: SharedPulse
    orders: Connection

    def end(self) -> int:
        """Kill the process, whatever it does, and return its exit code."""
        self.child.kill()
        self.child.join()
        self.orders.close()
        return self.child.exitcode or 0


@dataclass(slots=True)
class Supervisor:
    """Keeps a set of workers alive, each alone: trouble in one is never trouble for another.

    Attributes:
        plans: What to keep running.
        context: Where processes come from.
        clock: Time.
        random: Source of the jitter in back-offs.
        log: Where ends and restarts are told.
        hung: Called with a worker's name after it was killed in the middle of a poll.
        report: Called about twice a second with what every worker is at, and its pid (0: none).
        policy: When to try again and when to stop trying.
        drain_seconds: How long workers may go on delivering after the order to stop.
    """

    plans: Sequence[WorkerPlan]
    context: ForkServerContext
    clock: Clock
    random: Random
    log: Logger
    hung: Callable[[str], None]
    report: Callable[[Mapping[str, Worker], Mapping[str, int]], None]
    policy: Policy = field(default_factory=Policy)
    drain_seconds: float = 20.0
    workers: dict[str, Worker] = field(default_factory=dict)
    _running: dict[str, _Running] = field(default_factory=dict)
    _reported_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.workers = {plan.name: Worker() for plan in self.plans}

    def run(self, words: list[str]) -> None:
        """Keep the workers alive until `words`, which signals add to, says `stop`, then stop them all.

        Raises:
            EveryWorkerGaveUp: No worker is left that could be started again.
        """
        try:
            while "stop" not in words:
                if "reload" in words:
                    words.remove("reload")
                    self.log.warning(
                        "SIGHUP changes nothing: the configuration is read at the start."
                    )
                self.tick()
                self._raise_if_all_gave_up()
                self._sleep(TICK_SECONDS)
            self.shut_down(words)
        finally:
            for name in list(self._running):
                self._end(name)

    def tick(self) -> None:
        """Look at every worker once and do what the rules say; never blocks."""
        for plan in self.plans:
            self._look_at(plan)
        now = self.clock.monotonic_seconds()
        if now - self._reported_seconds >= REPORT_SECONDS:
            self._reported_seconds = now
            self._report()

    def shut_down(self, words: Sequence[str]) -> None:
        """Stop all workers, attendants last; a second `stop` ends them at once."""
        self.log.info(
            "Stopping. Lines that wait are delivered for up to %g s; a second signal ends that at once.",
            self.drain_seconds,
        )
        for attendants in (False, True):
            names = [
                plan.name
                for plan in self.plans
                if plan.attendant is attendants and plan.name in self._running
            ]
            if not self._drain(names, words):
                return
            self._report()

    def _look_at(self, plan: WorkerPlan) -> None:
        name = plan.name
        sight = self._sight(name)
        if sight.exit_code is not None and name in self._running:
            self._bury(name, sight)
            return
        if name in self._running:
            self.workers[name] = lifecycle.observe(self.workers[name], sight, self.policy)
        step = lifecycle.next_step(
            self.workers[name], sight, timeout_seconds=plan.timeout_seconds, policy=self.policy
        )
        match step:
            case Step.START:
                self._start(plan)
            case Step.KILL:
                self._kill(name)
            case Step.NOTHING:
                pass

    def _sight(self, name: str) -> Sight:
        now = self.clock.monotonic_seconds()
        running = self._running.get(name)
        if running is None:
            return Sight(now, None, 0.0, 0.0, 0)
        beat, poll_began, polls = running.pulse.numbers
        return Sight(now, running.child.exitcode, beat, poll_began, int(polls))

    def _start(self, plan: WorkerPlan) -> None:
        pulse = SharedPulse.create(self.context)
        heard, orders = self.context.Pipe(duplex=False)
        child = self.context.Process(
            target=plan.target, args=(*plan.arguments, pulse, heard), name=plan.name
        )
        child.start()
        heard.close()
        self._running[plan.name] = _Running(child, pulse, orders)
        now = self.clock.monotonic_seconds()
        self.workers[plan.name] = lifecycle.started(self.workers[plan.name], now)

    def _kill(self, name: str) -> None:
        was_polling = self._sight(name).poll_began_seconds > 0
        self._end(name)
        self.workers[name] = lifecycle.hung(
            self.workers[name],
            self.clock.monotonic_seconds(),
            jitter=self.random.random(),
            policy=self.policy,
        )
        if was_polling:
            self.hung(name)
        self._tell_end(name)

    def _bury(self, name: str, sight: Sight) -> None:
        exit_code = self._end(name)
        self.workers[name] = lifecycle.died(
            self.workers[name],
            exit_code,
            sight.now_seconds,
            jitter=self.random.random(),
            policy=self.policy,
        )
        self._tell_end(name)

    def _tell_end(self, name: str) -> None:
        worker = self.workers[name]
        if worker.phase is Phase.FAILED:
            self.log.error("Worker %s: %s. It is not started again.", name, worker.reason)
            return
        wait_seconds = worker.due_seconds - self.clock.monotonic_seconds()
        self.log.warning(
            "Worker %s: %s. It is started again in %.1f s.", name, worker.reason, wait_seconds
        )

    def _end(self, name: str) -> int:
        return self._running.pop(name).end()

    def _raise_if_all_gave_up(self) -> None:
        working = [plan.name for plan in self.plans if not plan.attendant]
        if working and all(self.workers[name].phase is Phase.FAILED for name in working):
            raise EveryWorkerGaveUp("every worker gave up; the log says why")

    def _drain(self, names: Sequence[str], words: Sequence[str]) -> bool:
        """Tell workers to stop and wait for their end; False when a second signal cut it short."""
        began = self.clock.monotonic_seconds()
        for name in names:
            self._order_stop(name)
        while any(name in self._running for name in names):
            if words.count("stop") > 1:
                self.log.warning("Stopped at once by a second signal; lines that waited are lost.")
                return False
            waited = self.clock.monotonic_seconds() - began
            for name in [name for name in names if name in self._running]:
                self._see_off(name, waited)
            self._sleep(TICK_SECONDS / 2)
        return True

    def _see_off(self, name: str, waited_seconds: float) -> None:
        """Let go of a worker that ended, and kill one that does not."""
        sight = self._sight(name)
        stuck = waited_seconds > STUCK_POLL_SECONDS and lifecycle.overdue(sight, STUCK_POLL_SECONDS)
        if sight.exit_code is not None:
            self._end(name)
        elif stuck or waited_seconds > self.drain_seconds + FAREWELL_SECONDS:
            self.log.warning("Worker %s did not stop in time and was killed.", name)
            self._end(name)

    def _order_stop(self, name: str) -> None:
        try:
            self._running[name].orders.send("stop")
        except OSError:
            self.log.debug("Worker %s is already gone.", name)

    def _report(self) -> None:
        pids = {name: running.child.pid or 0 for name, running in self._running.items()}
        self.report(self.workers, pids)

    def _sleep(self, seconds: float) -> None:
        """Sleep, but wake when a process ends."""
        wait([running.child.sentinel for running in self._running.values()], timeout=seconds)
