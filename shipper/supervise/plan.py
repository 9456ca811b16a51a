"""What is to be kept running, and what a new list of plans makes of the old one: values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What one worker does.

    Attributes:
        name: The metric's name; it names the process.
        target: Called in the new process with the arguments, a `SharedPulse`, and a connection that says `stop`,
            or closes when the supervisor is gone.
        arguments: Anything that can be pickled.
        timeout_seconds: Deadline of one poll.
        attendant: True for a process that serves the others, like the web process: it is stopped last, and never
            counts when every worker gave up.
        fingerprint: What the plan says, without what differs at every making of it, like the time of the first
            poll. Two plans of one name with equal fingerprints are the same plan.
        news: What a running process is told over its connection when its plan changes, so that it can go on;
            `None` for one that is stopped, and started again with the new arguments.
    """

    name: str
    target: Callable[..., None]
    arguments: tuple[Any, ...]
    timeout_seconds: float = float("inf")
    attendant: bool = False
    fingerprint: object = None
    news: object = None


@dataclass(frozen=True, slots=True)
class Replan:
    """What to do about every name when plans are replaced by others.

    Attributes:
        plans: What to keep running from now on; what did not change keeps its old plan.
        added: To be started.
        removed: To be stopped.
        changed: To be stopped, and started with the new plan.
        revived: Given up or ended, and to be started once more although the plan says the same.
        told: To be told the new plan's `news`.
        unchanged: To be left alone.
    """

    plans: tuple[WorkerPlan, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    revived: tuple[str, ...]
    told: tuple[str, ...]
    unchanged: tuple[str, ...]

    def summary(self) -> str:
        """Return what happens to the workers, like `1 added (x), 1 changed (z), 3 unchanged`."""
        attendants = {plan.name for plan in self.plans if plan.attendant}
        named = {
            "added": self.added,
            "removed": self.removed,
            "changed": self.changed,
            "tried once more": self.revived,
        }
        parts = [
            f"{len(metrics)} {verb} ({', '.join(metrics)})"
            for verb, names in named.items()
            if (metrics := [name for name in names if name not in attendants])
        ]
        unchanged = sum(name not in attendants for name in self.unchanged)
        return ", ".join([*parts, f"{unchanged} unchanged"])


def replan(
    old: Sequence[WorkerPlan], new: Sequence[WorkerPlan], *, given_up: Collection[str] = ()
) -> Replan:
    """Return what turns the `old` plans into the `new` ones, of which none shares its name with another.

    Args:
        old: What is kept running now.
        new: What is wanted.
        given_up: Names that are not started again by themselves.
    """
    before = {plan.name: plan for plan in old}
    wanted = {plan.name for plan in new}
    fates = {plan.name: _fate(before.get(plan.name), plan, given_up) for plan in new}

    def named(fate: str) -> tuple[str, ...]:
        return tuple(name for name, each in fates.items() if each == fate)

    return Replan(
        plans=tuple(before[plan.name] if fates[plan.name] == "unchanged" else plan for plan in new),
        added=named("added"),
        removed=tuple(name for name in before if name not in wanted),
        changed=named("changed"),
        revived=named("revived"),
        told=named("told"),
        unchanged=named("unchanged"),
    )


def _fate(old: WorkerPlan | None, new: WorkerPlan, given_up: Collection[str]) -> str:
    if old is None:
        return "added"
    same = old.fingerprint == new.fingerprint
    if new.name in given_up:
        return "revived" if same else "changed"
    if same:
        return "unchanged"
    return "changed" if new.news is None else "told"
