"""A small invented database cluster whose state goes on as time does.

Statements arrive, prepare, queue for a worker, run and end; those that write hold locks meanwhile;
the metadata store counts its calls; heartbeats come; the data grow. The same seed and the same
readings of the clock give the same history.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

WARM_UP_SECONDS = 120
LONGEST_CATCH_UP_SECONDS = 600

_ARRIVALS_PER_SECOND = 0.14
_STOPPED_SHARE = 0.1
_ORPHANED_LOCK_SHARE = 0.15
_ORPHANED_LOCK_SECONDS = 8
_MOST_WAITING = 20
_GROWTH_GB_PER_SECOND = 0.02
# Kinds of messages to the metadata store, as SQreamDB's health check names them.
_MESSAGES = ("NodeHeartbeatMsg", "CheckLocksMsg", "KeysAndValuesNMsg", "KeysWithPrefixMsg")


class Status(StrEnum):
    """How far a statement is; the words are those of `show_server_status`."""

    PREPARING = "Preparing"
    QUEUED = "In queue"
    INITIALIZING = "Initializing"
    EXECUTING = "Executing"
    STOPPING = "Stopping"


@dataclass(frozen=True, slots=True)
class Node:
    """A worker of the cluster."""

    instance_id: str
    ip: str
    port: int
    connection_id: int
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """Something a user of the cluster runs now and then."""

    username: str
    service: str
    sql: str
    typical_seconds: float
    locks: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Running:
    """A statement on its way through the cluster; times are seconds since the epoch."""

    statement_id: int
    connection_id: int
    client_ip: str
    work: Work
    started_at: int
    status: Status = Status.PREPARING
    status_since: int = 0
    node: Node | None = None
    ends_at: float = 0.0


@dataclass(slots=True)
class Lock:
    """A lock; it may outlive its statement for some seconds, as an orphan."""

    running: Running
    locked_object: str
    mode: str
    taken_at: int
    released_at: float | None = None

    @property
    def is_orphan(self) -> bool:
        """Whether its statement has ended."""
        return self.released_at is not None


@dataclass(slots=True)
class CallStats:
    """Response times of one kind of message since the last reset, in milliseconds."""

    count: int = 0
    average: float = 0.0
    longest: float = 0.0
    longest_at: int | None = None
    _squares: float = field(default=0.0, repr=False)

    @property
    def variance(self) -> float:
        """The variance of the response times."""
        return self._squares / self.count if self.count else 0.0

    def add(self, milliseconds: float, now: int) -> None:
        """Take one call into account, with Welford's recurrence."""
        self.count += 1
        distance = milliseconds - self.average
        self.average += distance / self.count
        self._squares += distance * (milliseconds - self.average)
        if milliseconds > self.longest:
            self.longest, self.longest_at = milliseconds, now


NODES = (
    Node("node_9383", "192.168.4.25", 5000, 3, ("monitor",)),
    Node("node_9384", "192.168.4.25", 5001, 4, ("sqream", "etl")),
    Node("node_9385", "192.168.4.26", 5001, 5, ("sqream",)),
)
_INSERT_LOCKS = (
    ("database$master", "Inclusive"),
    ("globalpermission$", "Inclusive"),
    ("schema$master$public", "Inclusive"),
    ("table$master$public$trips$Insert", "Inclusive"),
)
_DDL_LOCKS = (
    ("database$master", "Inclusive"),
    ("globalpermission$", "Exclusive"),
    ("table$master$public$trips_daily", "Exclusive"),
)
WORKS = (
    Work("anna", "sqream", "select count(*) from trips where city = 'Gdańsk'", 3.0),
    Work("anna", "sqream", 'select "zone", avg(fare)\nfrom trips\ngroup by "zone"', 7.0),
    Work("report", "sqream", "select * from trips_daily where note = 'it''s late'", 2.0),
    Work("report", "sqream", "select t.city, z.name from trips t join zones z using (id)", 9.0),
    Work("etl", "etl", "insert into trips select * from staging_trips", 8.0, _INSERT_LOCKS),
    Work("etl", "etl", "create or replace table trips_daily as select 1", 4.0, locks=_DDL_LOCKS),
)


class World:
    """The state of the cluster; read it inside `moment`.

    Attributes:
        running: Statements that have not ended, oldest first.
        locks: Locks held, orphans among them.
        calls: Response times by worker and kind of message.
        last_heartbeats: When each worker last gave a sign of life, seconds since the epoch.
        compressed_gb: Size of the data as stored.
    """

    def __init__(self, rng: Random, clock: Callable[[], float]) -> None:
        """Make a world that has been busy for two minutes.

        Args:
            rng: The source of all chance; not to be used by anybody else.
            clock: Returns seconds since the Unix epoch.
        """
        self._rng = rng
        self._clock = clock
        self._turn = threading.Lock()
        self._lived_until = int(clock()) - WARM_UP_SECONDS
        self._next_statement_id = 2_484_923
        self.running: list[Running] = []
        self.locks: list[Lock] = []
        self.calls: dict[tuple[Node, str], CallStats] = {}
        self.last_heartbeats = dict.fromkeys(NODES, self._lived_until)
        self.compressed_gb = 412.0
        self._forget_calls()
        self._catch_up()

    @contextmanager
    def moment(self) -> Iterator[int]:
        """Bring the world to the present, hold it there, and yield the time in seconds."""
        with self._turn:
            self._catch_up()
            yield self._lived_until

    def reset_calls(self) -> None:
        """Start counting the metadata store's calls anew."""
        with self.moment():
            self._forget_calls()

    def _catch_up(self) -> None:
        now = int(self._clock())
        self._lived_until = max(self._lived_until, now - LONGEST_CATCH_UP_SECONDS)
        while self._lived_until < now:
            self._lived_until += 1
            self._live_one_second(self._lived_until)

    def _forget_calls(self) -> None:
        self.calls = {(node, message): CallStats() for node in NODES for message in _MESSAGES}

    def _live_one_second(self, now: int) -> None:
        self.compressed_gb += self._rng.uniform(0, 2 * _GROWTH_GB_PER_SECOND)
        for node in NODES:
            if self._rng.random() < 0.5:
                self.last_heartbeats[node] = now
        for stats in self.calls.values():
            for _ in range(self._rng.randrange(3)):
                stats.add(self._rng.lognormvariate(0.5, 0.8), now)
        self.locks = [
            lock for lock in self.locks if lock.released_at is None or lock.released_at > now
        ]
        for running in list(self.running):
            self._move_on(running, now)
        if self._rng.random() < _ARRIVALS_PER_SECOND and len(self.running) < _MOST_WAITING:
            self._arrive(now)

    def _arrive(self, now: int) -> None:
        self._next_statement_id += 1
        work = self._rng.choice(WORKS)
        self.running.append(
            Running(
                statement_id=self._next_statement_id,
                connection_id=self._rng.randrange(100, 400),
                client_ip=f"192.168.0.{self._rng.randrange(10, 30)}",
                work=work,
                started_at=now,
                status_since=now,
            )
        )

    def _move_on(self, running: Running, now: int) -> None:
        match running.status:
            case Status.PREPARING:
                self._become(running, Status.QUEUED, now)
            case Status.QUEUED:
                running.node = self._free_node(running.work.service)
                if running.node is not None:
                    self._become(running, Status.INITIALIZING, now)
            case Status.INITIALIZING:
                self._execute(running, now)
            case Status.EXECUTING if now >= running.ends_at:
                if self._rng.random() < _STOPPED_SHARE:
                    self._become(running, Status.STOPPING, now)
                else:
                    self._end(running, now)
            case Status.STOPPING:
                self._end(running, now)

    def _become(self, running: Running, status: Status, now: int) -> None:
        running.status, running.status_since = status, now

    def _free_node(self, service: str) -> Node | None:
        """Return a worker of `service` that runs nothing: a worker runs one statement at a time."""
        busy = {running.node for running in self.running}
        free = [node for node in NODES if service in node.services and node not in busy]
        return self._rng.choice(free) if free else None

    def _execute(self, running: Running, now: int) -> None:
        self._become(running, Status.EXECUTING, now)
        running.ends_at = now + running.work.typical_seconds * self._rng.lognormvariate(0, 0.6)
        self.locks += [Lock(running, name, mode, now) for name, mode in running.work.locks]

    def _end(self, running: Running, now: int) -> None:
        self.running.remove(running)
        orphaned = self._rng.random() < _ORPHANED_LOCK_SHARE
        released_at = now + (_ORPHANED_LOCK_SECONDS if orphaned else 0)
        for lock in self.locks:
            if lock.running is running:
                lock.released_at = released_at
