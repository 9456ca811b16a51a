"""Performs the acts of the script on a running program and its far ends, and keeps count of them."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import SqreamEmulator
from tests.prove.program import Program
from tests.prove.scenes import (
    STOP_SECONDS,
    Act,
    Begin,
    End,
    FillDisk,
    FreeDisk,
    Freeze,
    Hangup,
    Kill,
    Start,
    StartSource,
    StartStore,
    StopSource,
    StopStore,
    Terminate,
    UntilDrained,
    UntilUp,
    Victim,
    Wait,
)
from tests.prove.small_disk import SmallDisk
from tests.support.chaos_proxy import ChaosProxy, name_of

DRAIN_SECONDS = 90.0
LOOK_SECONDS = 0.6
TIMES_SEEN = 2
VICTIM_SECONDS = 3.0
TRIES = 3


class Hopeless(Exception):
    """The program cannot be proved, because it does not run."""


@dataclass(slots=True)
class Performer:
    """Performs acts, one after the other.

    Attributes:
        program: What is to be proved.
        proxy: What stands between it and Loki.
        store: Our own Loki; `None` when a real one is used.
        emulator: The database.
        disk: Where the state lies.
        tell: Told every act in a line.
        kills: Kills by victim.
        processes_killed: How many processes they hit.
        outages: Troubles by kind.
        findings: What the program did that it must never do.
    """

    program: Program
    proxy: ChaosProxy
    store: LogStore | None
    emulator: SqreamEmulator
    disk: SmallDisk
    tell: Callable[[str], None]
    kills: Counter[str] = field(default_factory=Counter)
    processes_killed: int = 0
    outages: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    _disk_is_full: bool = False

    def perform(self, act: Act) -> None:
        """Perform one act."""
        match act:
            case Wait(seconds):
                self._pass_time(seconds)
            case Kill(victim, metric):
                self._kill(victim, metric)
            case Begin() | End() | FillDisk() | FreeDisk():
                self._trouble(act)
            case StopStore() | StartStore() | StopSource() | StartSource():
                self._far_end(act)
            case UntilDrained():
                self.until_drained()
            case _:
                self._order(act)

    def until_up(self) -> None:
        """Wait until everything runs; a program that ended by itself is a finding and is started again.

        Raises:
            Hopeless: It ends by itself again and again.
        """
        began = time.monotonic()
        for _ in range(TRIES):
            if self.program.until_up():
                return
            code = self.program.exit_code()
            if code is None:
                self._find(f"not every worker ran after {time.monotonic() - began:.0f} s")
                return
            self._find(f"it ended by itself with exit code {code}")
            self.program.kill_everything()
            self._start()
        raise Hopeless(
            f"it ends by itself again and again; the last time it said\n{self.program.said()}"
        )

    def until_drained(self, is_all_confirmed: Callable[[], bool] = lambda: True) -> bool:
        """Wait until every metric said twice that nothing waits for Loki; False and a finding when it takes too long.

        Metrics need not say so at the same moment: what waited at the beginning is delivered when one did.
        """
        began = time.monotonic()
        empty: Counter[str] = Counter()
        while not empty or min(empty.values()) < TIMES_SEEN:
            if time.monotonic() - began > DRAIN_SECONDS:
                self._find(f"not drained after {DRAIN_SECONDS:g} s: {self.program.waiting()}")
                return False
            time.sleep(LOOK_SECONDS)
            if is_all_confirmed():
                empty.update({name: not lines for name, lines in self.program.waiting().items()})
        self.tell(f"drained after {time.monotonic() - began:.1f} s")
        return True

    def terminate(self, patience_seconds: float = STOP_SECONDS) -> None:
        """Ask the program to stop; any end but a good one is a finding, unless there was no patience to see it."""
        self.program.look()
        began = time.monotonic()
        code = self.program.terminate(patience_seconds)
        took = f"after {time.monotonic() - began:.1f} s"
        if code is None:
            self.kills[Victim.SESSION] += 1
            self.tell(f"SIGTERM, and kill everything {took}")
        else:
            self.tell(f"SIGTERM: ended {took} with exit code {code}")
        if code != 0 and not (code is None and patience_seconds < STOP_SECONDS):
            self._find(f"it did not end well {took} of SIGTERM: exit code {code}")

    def make_well(self) -> None:
        """End every trouble that an interrupted script left behind."""
        self.proxy.mend()
        self._free_disk()
        if self.store is not None:
            self.store.stop()
            self.store.start()
        self.emulator.stop()
        self.emulator.start()
        if self.program.exit_code() is not None:
            self._start()
        self.until_up()

    def _order(self, act: Act) -> None:
        """Do what an operator does."""
        match act:
            case Start():
                self._start()
            case UntilUp():
                self.until_up()
            case Terminate(patience_seconds):
                self.terminate(patience_seconds)
            case Hangup():
                self.tell("SIGHUP")
                self.program.signal(signal.SIGHUP)
            case Freeze(metric, seconds):
                self._freeze(metric, seconds)

    def _trouble(self, act: Begin | End | FillDisk | FreeDisk) -> None:
        match act:
            case Begin(trouble):
                name = name_of(trouble)
                self.outages[name] += 1
                self.tell(f"Loki: {name}")
                self.proxy.suffer(trouble)
            case End():
                self.tell("Loki: well again")
                self.proxy.mend()
            case FillDisk():
                self._fill_disk()
            case FreeDisk():
                self._free_disk()

    def _far_end(self, act: StopStore | StartStore | StopSource | StartSource) -> None:
        match act:
            case StopStore() if self.store is not None:
                self.outages["store stopped"] += 1
                self.tell("log store: stopped")
                self.store.stop()
            case StartStore() if self.store is not None:
                self.tell("log store: started")
                self.store.start()
            case StopSource():
                self.outages["database stopped"] += 1
                self.tell("database: stopped")
                self.emulator.stop()
            case StartSource():
                self.tell("database: started")
                self.emulator.start()

    def _pass_time(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
            if self._disk_is_full:
                self.disk.fill()
            self.program.look()

    def _kill(self, victim: Victim, metric: str) -> None:
        self.program.look()
        match victim:
            case Victim.SUPERVISOR:
                self._kill_supervisor()
            case Victim.SESSION:
                self._count_kill(victim, len(self.program.processes()))
                self.program.kill_everything()
            case Victim.WORKER:
                self._kill_processes(victim, lambda: self.program.workers([metric]), metric)
            case Victim.WORKERS:
                self._kill_processes(victim, self.program.workers)
            case Victim.WEB:
                self._kill_processes(victim, self.program.web)
            case Victim.FORK_SERVER:
                self._kill_processes(victim, self.program.fork_server)

    def _kill_supervisor(self) -> None:
        self._count_kill(Victim.SUPERVISOR, 1)
        survivors = self.program.kill_supervisor()
        if survivors:
            self._find(f"{survivors} processes outlived the supervisor")

    def _kill_processes(
        self, victim: Victim, find: Callable[[], Sequence[int]], metric: str = ""
    ) -> None:
        """Kill whoever is found; one that is just being started again is waited for."""
        deadline = time.monotonic() + VICTIM_SECONDS
        while not (pids := find()) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not pids:
            self.tell(f"kill {victim} {metric}".rstrip() + ": nobody is there")
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._count_kill(victim, len(pids), metric)

    def _count_kill(self, victim: Victim, processes: int, metric: str = "") -> None:
        self.kills[victim] += 1
        self.processes_killed += processes
        self.tell(f"kill {victim} {metric}".rstrip())

    def _start(self) -> None:
        self.program.start()
        self.tell(f"start {self.program.starts}")

    def _freeze(self, metric: str, seconds: float) -> None:
        pids = self.program.workers([metric])
        self.tell(f"freeze {metric} for {seconds:.1f} s")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        self._pass_time(seconds)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _fill_disk(self) -> None:
        if not self.disk.is_small:
            self.tell("disk full: left out, a small disk may not be mounted here")
            return
        self.outages["disk full"] += 1
        self.tell("disk: full")
        self._disk_is_full = True
        self.disk.fill()

    def _free_disk(self) -> None:
        if self._disk_is_full:
            self.tell("disk: free again")
        self._disk_is_full = False
        self.disk.free()

    def _find(self, text: str) -> None:
        self.findings.append(text)
        self.tell(f"FOUND: {text}")
