"""The chaos as a script: which acts follow each other, decided by a seed and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TypeAlias

from tests.support.chaos_proxy import (
    Canned,
    CutAnswer,
    LoseAnswer,
    Refuse,
    ResetRequest,
    Silence,
    Slow,
    Trickle,
    Trouble,
)

STOP_SECONDS = 60.0
"""Long after it promises to have ended."""

HTML = b"<html><head><title>400 Bad Request</title></head><body>nginx</body></html>\n"


class Victim(StrEnum):
    """Who is killed, without a word of warning."""

    WORKER = "one worker"
    WORKERS = "all workers"
    WEB = "the web process"
    FORK_SERVER = "the fork server"
    SUPERVISOR = "the supervisor"
    SESSION = "everything"


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill somebody; when it was the supervisor, the others have to end by themselves."""

    victim: Victim
    metric: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Start:
    """Start the program, which has ended."""


@dataclass(frozen=True, slots=True)
class UntilUp:
    """Wait until every worker's process runs."""


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask the program to stop, with SIGTERM, and kill everything when it does not end in time."""

    patience_seconds: float = STOP_SECONDS


@dataclass(frozen=True, slots=True)
class Hangup:
    """Send SIGHUP to the supervisor."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """Stop a worker's process for a while, with SIGSTOP."""

    metric: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Begin:
    """Let trouble with Loki begin."""

    trouble: Trouble


@dataclass(frozen=True, slots=True)
class End:
    """Let trouble with Loki end."""


@dataclass(frozen=True, slots=True)
class StopStore:
    """Stop the log store itself, if it is ours."""


@dataclass(frozen=True, slots=True)
class StartStore:
    """Start the log store again."""


@dataclass(frozen=True, slots=True)
class StopSource:
    """Stop the database; all its sessions end."""


@dataclass(frozen=True, slots=True)
class StartSource:
    """Start the database again."""


@dataclass(frozen=True, slots=True)
class FillDisk:
    """Take the last free byte of the disk that the state lies on."""


@dataclass(frozen=True, slots=True)
class FreeDisk:
    """Give the disk back."""


@dataclass(frozen=True, slots=True)
class UntilDrained:
    """Wait until nothing waits for Loki: what was held in memory while the disk was full is safe then."""


Act: TypeAlias = (
    Kill
    | Wait
    | Start
    | UntilUp
    | Terminate
    | Hangup
    | Freeze
    | Begin
    | End
    | StopStore
    | StartStore
    | StopSource
    | StartSource
    | FillDisk
    | FreeDisk
    | UntilDrained
)
Scene: TypeAlias = list[Act]


@dataclass(frozen=True, slots=True)
class Troubles:
    """Makes scenes.

    Attributes:
        random: Decides.
        metrics: Whose workers there are.
        longest_outage_seconds: How long Loki is away at most.
    """

    random: Random
    metrics: Sequence[str]
    longest_outage_seconds: float

    def script(self) -> Iterator[Scene]:
        """Yield scenes without end, all kinds in a round before the next; what a scene breaks is mended at its end."""
        while True:
            scenes = self.scenes()
            self.random.shuffle(scenes)
            for scene in scenes:
                yield [*scene(), self._pause(0.5, 2)]

    def scenes(self) -> list[Callable[[], Scene]]:
        """Return one round of scenes; what happens most in life comes most."""
        outages = [lambda make=make: self.outage(make()) for make in self._troubles()]
        return [
            *[self.workers_killed] * 6,
            *[self.all_workers_killed] * 2,
            lambda: self.program_killed(Victim.SUPERVISOR),
            lambda: self.program_killed(Victim.SESSION),
            lambda: [Kill(Victim.WEB)],
            lambda: [Kill(Victim.FORK_SERVER), Wait(1), UntilUp()],
            self.killed_while_starting,
            lambda: [Terminate(), Start(), UntilUp()],
            lambda: [Hangup(), self._pause(0.5, 2), UntilUp()],
            self.freeze,
            self.store_restart,
            self.source_outage,
            self.full_disk,
            self.full_disk_while_loki_is_away,
            *outages,
        ]

    def workers_killed(self) -> Scene:
        """Kill one worker after the other."""
        return [act for _ in range(3) for act in (self._kill_one(), self._pause(0.2, 1.5))]

    def all_workers_killed(self) -> Scene:
        """Kill all workers at the same moment."""
        return [Kill(Victim.WORKERS), self._pause(0.5, 2), UntilUp()]

    def program_killed(self, victim: Victim) -> Scene:
        """Kill so much that the program has to be started again."""
        return [Kill(victim), self._pause(0, 1), Start(), UntilUp()]

    def killed_while_starting(self) -> Scene:
        """Kill the program, and kill it again before it got anywhere."""
        return [
            Kill(Victim.SESSION),
            Start(),
            self._pause(0.3, 2),
            Kill(Victim.SESSION),
            Start(),
            UntilUp(),
        ]

    def freeze(self) -> Scene:
        """Let a worker stand still."""
        return [Freeze(self.random.choice(self.metrics), self.random.uniform(1, 4))]

    def outage(self, trouble: Trouble) -> Scene:
        """Let Loki be in trouble, and let more go wrong meanwhile and just after."""
        seconds = self.random.uniform(1, self.longest_outage_seconds)
        return [
            Begin(trouble),
            Wait(seconds / 2),
            *self._one_more_thing(),
            Wait(seconds / 2),
            End(),
            self._pause(0, 1),
            self._kill_one(),
            self._pause(0.2, 1),
            self._kill_one(),
            UntilUp(),
        ]

    def store_restart(self) -> Scene:
        """Let the log store itself stop and come back, with a kill in between."""
        return [StopStore(), self._pause(0.5, 2), self._kill_one(), StartStore()]

    def source_outage(self) -> Scene:
        """Let the database stop and come back."""
        return [StopSource(), self._pause(0.2, 2), StartSource(), self._pause(1, 2)]

    def full_disk(self) -> Scene:
        """Let the disk be full.

        What is polled then is promised only as far as memory goes, so nobody is killed before it has drained.
        """
        return [FillDisk(), self._while_full(), FreeDisk(), UntilDrained()]

    def full_disk_while_loki_is_away(self) -> Scene:
        """Let the disk be full when it is needed most."""
        return [
            Begin(Refuse()),
            self._pause(0.5, 2),
            FillDisk(),
            self._while_full(),
            FreeDisk(),
            self._pause(0.5, 2),
            End(),
            UntilDrained(),
        ]

    def _while_full(self) -> Wait:
        return self._pause(2, 2 + self.longest_outage_seconds / 2)

    def _one_more_thing(self) -> Scene:
        choices: list[Callable[[], Scene]] = [
            lambda: [self._kill_one()],
            lambda: [self._kill_one(), self._pause(0.2, 1), self._kill_one()],
            lambda: [Kill(Victim.WORKERS)],
            lambda: [Kill(Victim.SUPERVISOR), Start()],
            lambda: [Kill(Victim.SESSION), Start()],
            lambda: [Terminate(), Start()],
            lambda: [Terminate(self.random.uniform(0, 3)), Start()],
        ]
        weights = [6, 6, 4, 2, 2, 1, 1]
        return self.random.choices(choices, weights)[0]()

    def _troubles(self) -> list[Callable[[], Trouble]]:
        random = self.random
        return [
            Refuse,
            Silence,
            lambda: Slow(random.uniform(0.2, 1.5)),
            lambda: Trickle(piece_bytes=8, pause_seconds=0.05),
            ResetRequest,
            LoseAnswer,
            CutAnswer,
            lambda: Canned(500, b"something went wrong\n"),
            lambda: Canned(502, HTML.replace(b"400 Bad Request", b"502 Bad Gateway")),
            lambda: Canned(503, b"Service Unavailable\n"),
            lambda: Canned(429, b"too many requests\n", {"Retry-After": "1"}),
            lambda: Canned(400, HTML, {"Content-Type": "text/html"}),
        ]

    def _kill_one(self) -> Kill:
        return Kill(Victim.WORKER, self.random.choice(self.metrics))

    def _pause(self, least_seconds: float, most_seconds: float) -> Wait:
        return Wait(round(self.random.uniform(least_seconds, most_seconds), 2))
