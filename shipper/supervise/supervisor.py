"""Applies the rules of `lifecycle` and `plan` to real processes: one per plan, started from a fork server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from logging import Logger
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from random import Random

from shipper.core.clock import Clock
from shipper.core.errors import ConfigError, EveryWorkerGaveUp
from shipper.supervise import lifecycle
from shipper.supervise.child import Child
from shipper.supervise.lifecycle import Phase, Policy, Sight, Step, Worker
from shipper.supervise.notify import Notifier, status_text
from shipper.supervise.plan import Replan, WorkerPlan, replan

TICK_SECONDS = 0.1
REPORT_SECONDS = 0.5
FAREWELL_SECONDS = 2.0
"""How much longer than it may deliver a worker has to say what it could not, and to end."""

STUCK_POLL_SECONDS = 3.0
"""How long a poll may go on after the order to stop, before its worker is killed."""


@dataclass(slots=True)
class Supervisor:
    """Keeps a set of workers alive, each alone: trouble in one is never trouble for another.

    Attributes:
        plans: What to keep running.
        replan: Called when a reload is asked for; returns what to keep running from then on. A `ConfigError` from
            it is told, and changes nothing.
        context: Where processes come from.
        clock: Time.
        random: Source of the jitter in back-offs.
        log: Where ends, restarts and reloads are told.
        notifier: Tells the service manager that started us.
        hung: Called with a worker's name after it was killed in the middle of a poll.
        report: Called about twice a second with what every worker is at, attendants left out, and the pids of
            those that live.
        policy: When to try again and when to stop trying.
        drain_seconds: How long workers may go on delivering after the order to stop.
    """

    plans: Sequence[WorkerPlan]
    replan: Callable[[], Sequence[WorkerPlan]]
    context: ForkServerContext
    clock: Clock
    random: Random
    log: Logger
    notifier: Notifier
    hung: Callable[[str], None]
    report: Callable[[Mapping[str, Worker], Mapping[str, int]], None]
    policy: Policy = field(default_factory=Policy)
    drain_seconds: float = 20.0
    workers: dict[str, Worker] = field(default_factory=dict)
    _running: dict[str, Child] = field(default_factory=dict)
    _leaving: dict[str, Child] = field(default_factory=dict)
    _reported_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.workers = {plan.name: Worker() for plan in self.plans}

    def run(self, words: list[str]) -> None:
        """Keep the workers alive until `words`, which signals add to, says `stop`, then stop them all.

        It also stops when no worker is left because they ended as ordered, all or some of them. The word `reload` makes
        it follow a new configuration.

        Raises:
            EveryWorkerGaveUp: No worker is left that could be started again.
        """
        try:
            while "stop" not in words:
                if "reload" in words:
                    self._reload(words)
                self.tick()
                self.notifier.ready()
                if self._all_are_over():
                    break
                self._sleep(TICK_SECONDS)
            self.shut_down(words)
        finally:
            for child in (*self._running.values(), *self._leaving.values()):
                child.end()

    def tick(self) -> None:
        """Look at every worker once and do what the rules say; never blocks."""
        self._see_off_leaving()
        for plan in self.plans:
            # Old and new process of one metric would share what it keeps on disk.
            if plan.name not in self._leaving:
                self._look_at(plan)
        self._show_life()

    def shut_down(self, words: Sequence[str]) -> None:
        """Stop all workers, attendants last; a second `stop` ends them at once."""
        self.notifier.stopping()
        self.log.info(
            "Stopping. Lines that wait are delivered for up to %(seconds)g s; a second signal ends that at once.",
            {"event": "stopping", "seconds": self.drain_seconds},
        )
        for attendants in (False, True):
            for plan in self.plans:
                if plan.attendant is attendants and plan.name in self._running:
                    self._dismiss(plan.name)
            if not self._all_left(words):
                return
            self._report()

    # Keeping them alive

    def _look_at(self, plan: WorkerPlan) -> None:
        name = plan.name
        sight = self._sight(name)
        if sight.exit_code is not None:
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
        child = self._running.get(name)
        return Sight(now, None, 0.0, 0.0, 0) if child is None else child.sight(now)

    def _start(self, plan: WorkerPlan) -> None:
        self._running[plan.name] = Child.start(plan, self.context)
        now = self.clock.monotonic_seconds()
        self.workers[plan.name] = lifecycle.started(self.workers[plan.name], now)

    def _kill(self, name: str) -> None:
        was_polling = self._sight(name).poll_began_seconds > 0
        self._running.pop(name).end()
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
        exit_code = self._running.pop(name).end()
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
            self.log.error(
                "Worker %(worker)s: %(reason)s. It is not started again.",
                {"event": "worker_given_up", "worker": name, "reason": worker.reason},
            )
            return
        if worker.phase is Phase.ENDED:
            self.log.info(
                "Worker %(worker)s: %(reason)s. It is not started again.",
                {"event": "worker_ended", "worker": name, "reason": worker.reason},
            )
            return
        wait_seconds = worker.due_seconds - self.clock.monotonic_seconds()
        self.log.warning(
            "Worker %(worker)s: %(reason)s. It is started again in %(seconds).1f s.",
            {
                "event": "worker_died",
                "worker": name,
                "reason": worker.reason,
                "seconds": wait_seconds,
            },
        )

    def _all_are_over(self) -> bool:
        """Tell whether no worker is left, and not all of them gave up.

        Raises:
            EveryWorkerGaveUp: All of them did.
        """
        phases = {worker.phase for worker in self._shown().values()}
        if not phases or not all(phase.is_final for phase in phases):
            return False
        if phases == {Phase.FAILED}:
            raise EveryWorkerGaveUp("every worker gave up; the log says why")
        self.log.info(
            "No worker is left to keep alive: all have come to their end.", {"event": "all_ended"}
        )
        return True

    # Following a new configuration

    def _reload(self, words: list[str]) -> None:
        # Several signals ask for one reload; one that comes from here on asks for another.
        while "reload" in words:
            words.remove("reload")
        self.notifier.reloading()
        try:
            wanted = self.replan()
        except ConfigError as error:
            fields = {"event": "reload_refused", "error": str(error)}
            self.log.error("Nothing was reloaded: %(error)s", fields)  # noqa: TRY400 - no traceback for operators
            return
        given_up = {name for name, each in self.workers.items() if each.phase.is_final}
        change = replan(self.plans, wanted, given_up=given_up)
        self._follow(change)
        self.log.info("Reloaded: %(summary)s.", {"event": "reloaded", "summary": change.summary()})

    def _follow(self, change: Replan) -> None:
        for name in (*change.removed, *change.changed):
            if name in self._running:
                self._dismiss(name)
        self.plans = change.plans
        before = self.workers
        self.workers = {plan.name: before.get(plan.name, Worker()) for plan in self.plans}
        for name in change.changed:
            self.workers[name] = lifecycle.afresh(before[name], "stopped by a reload")
        for name in change.revived:
            self.workers[name] = lifecycle.afresh(before[name], before[name].reason)
        for plan in self.plans:
            if plan.name in change.told and plan.name in self._running:
                self._tell_news(plan)

    def _tell_news(self, plan: WorkerPlan) -> None:
        try:
            self._running[plan.name].tell(plan.news)
        except BlockingIOError:
            # It is frozen. Its successor starts with the news.
            self._kill(plan.name)
        except OSError:
            self._tell_gone(plan.name)

    # Letting them go

    def _dismiss(self, name: str) -> None:
        """Tell a worker to stop; from then on it is one of those that leave."""
        child = self._running.pop(name)
        try:
            child.tell("stop")
        except OSError:
            self._tell_gone(name)
        child.told_seconds = self.clock.monotonic_seconds()
        self._leaving[name] = child

    def _all_left(self, words: Sequence[str]) -> bool:
        """Wait until everybody who was told to stop has ended; False when a second signal cut it short."""
        while self._leaving:
            if words.count("stop") > 1:
                self.log.warning(
                    "Stopped at once by a second signal; what waits on disk stays there for the next start.",
                    {"event": "stopped_at_once"},
                )
                return False
            self._see_off_leaving()
            self._show_life()
            self._sleep(TICK_SECONDS / 2)
        return True

    def _see_off_leaving(self) -> None:
        """Let go of those that ended, and kill those that do not."""
        now = self.clock.monotonic_seconds()
        for name, child in list(self._leaving.items()):
            sight = child.sight(now)
            if sight.exit_code is None:
                if not self._overstays(sight, now - child.told_seconds):
                    continue
                self.log.warning(
                    "Worker %(worker)s did not stop in time and was killed.",
                    {"event": "worker_killed", "worker": name},
                )
            self._leaving.pop(name).end()

    def _tell_gone(self, name: str) -> None:
        self.log.debug(
            "Worker %(worker)s is already gone.", {"event": "worker_gone", "worker": name}
        )

    def _overstays(self, sight: Sight, waited_seconds: float) -> bool:
        stuck = waited_seconds > STUCK_POLL_SECONDS and lifecycle.overdue(sight, STUCK_POLL_SECONDS)
        return stuck or waited_seconds > self.drain_seconds + FAREWELL_SECONDS

    # Telling others

    def _show_life(self) -> None:
        self.notifier.alive()
        self.notifier.status(status_text(self._shown()))
        now = self.clock.monotonic_seconds()
        if now - self._reported_seconds >= REPORT_SECONDS:
            self._reported_seconds = now
            self._report()

    def _report(self) -> None:
        children = {**self._leaving, **self._running}
        pids = {name: child.pid for name, child in children.items()}
        self.report(self._shown(), pids)

    def _shown(self) -> dict[str, Worker]:
        """Return the workers, attendants left out."""
        return {plan.name: self.workers[plan.name] for plan in self.plans if not plan.attendant}

    def _sleep(self, seconds: float) -> None:
        """Sleep, but wake when a process ends."""
        children = (*self._running.values(), *self._leaving.values())
        wait([child.sentinel for child in children], timeout=seconds)
