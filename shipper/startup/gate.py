"""Runs startup checks side by side, each with a deadline, in a process that can be ended whatever a driver does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from threading import Lock, Thread
from time import sleep

from shipper.core.checks import Check, Finding, Outcome
from shipper.core.clock import Clock
from shipper.core.secrecy import redacted

CHECK_SECONDS = 15.0
"""How long one check may take; a silent far end is told apart from a slow one within this time."""

RETRY_SECONDS = 1.0
"""How long the gate waits before it tries failed checks again."""

TELL_SECONDS = 30.0

LISTEN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found, and how long it took."""

    check: Check
    finding: Finding
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether this alone is a reason not to run."""
        return self.finding.outcome is Outcome.FAILED


@dataclass(frozen=True, slots=True)
class Gate:
    """Tries all checks at once, and failed ones again for as long as it may wait.

    Attributes:
        context: Where the process for the checks comes from.
        clock: Time.
        stopped: Tells whether the operator has lost patience; the gate then ends early.
        check_seconds: Deadline of every single check.
        not_yet: Told twice a minute what has failed so far, and for how many more seconds it is tried.
    """

    context: ForkServerContext
    clock: Clock
    stopped: Callable[[], bool]
    check_seconds: float = CHECK_SECONDS
    not_yet: Callable[[Sequence[Verdict], float], None] = lambda _failed, _seconds: None

    def verdicts(self, checks: Sequence[Check], *, wait_seconds: float) -> list[Verdict]:
        """Return one verdict per check, in order; failed ones were tried for at least `wait_seconds`."""
        until = self.clock.monotonic_seconds() + wait_seconds
        verdicts = self._try(checks)
        tell_seconds = 0.0
        while (
            any(each.failed for each in verdicts)
            and self.clock.monotonic_seconds() < until
            and not self.stopped()
        ):
            now = self.clock.monotonic_seconds()
            if now >= tell_seconds:
                self.not_yet([each for each in verdicts if each.failed], until - now)
                tell_seconds = now + TELL_SECONDS
            sleep(RETRY_SECONDS)
            again = iter(self._try([each.check for each in verdicts if each.failed]))
            verdicts = [next(again) if each.failed else each for each in verdicts]
        return verdicts

    def _try(self, checks: Sequence[Check]) -> list[Verdict]:
        if not checks:
            return []
        began = self.clock.monotonic_seconds()
        answers, answering = self.context.Pipe(duplex=False)
        child = self.context.Process(
            target=_attempt_all,
            args=(checks, self.check_seconds, answering),
            name="startup checks",
        )
        child.start()
        answering.close()
        try:
            findings = self._collect(answers, len(checks), began)
        finally:
            child.kill()
            child.join()
            answers.close()
        return [
            _verdict(check, *findings.get(index, _silence(self.check_seconds)))
            for index, check in enumerate(checks)
        ]

    def _collect(
        self, answers: Connection, count: int, began: float
    ) -> dict[int, tuple[Finding, float]]:
        findings: dict[int, tuple[Finding, float]] = {}
        # A second more than a check has, so that its own words arrive before ours.
        until = began + self.check_seconds + 1.0
        while len(findings) < count and not self.stopped():
            if self.clock.monotonic_seconds() > until:
                break
            if not answers.poll(LISTEN_SECONDS):
                continue
            try:
                index, finding = answers.recv()
            except EOFError:
                break
            findings[index] = (finding, self.clock.monotonic_seconds() - began)
        return findings


def _attempt_all(checks: Sequence[Check], check_seconds: float, answers: Connection) -> None:
    """Try every check in a thread of its own and send each finding as soon as it is there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_leave_with_parent, daemon=True).start()
    lock = Lock()

    def attempt(index: int, check: Check) -> None:
        try:
            finding = check.attempt(check_seconds)
        except Exception as error:  # noqa: BLE001 - a fault of ours in one check must not hide the others
            finding = Finding(Outcome.FAILED, f"the check itself failed: {error!r}")
        told = replace(finding, text=redacted(finding.text), hint=redacted(finding.hint))
        with lock:
            answers.send((index, told))

    threads = [
        Thread(target=attempt, args=(index, check), daemon=True)
        for index, check in enumerate(checks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _leave_with_parent() -> None:
    """End this process when the one that started it is gone."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _silence(check_seconds: float) -> tuple[Finding, float]:
    text = f"no answer within {check_seconds:g} s"
    hint = "is the far end overloaded, or is a firewall swallowing the packets?"
    return Finding(Outcome.FAILED, text, hint), check_seconds


def _verdict(check: Check, finding: Finding, seconds: float) -> Verdict:
    if finding.outcome is Outcome.FAILED and not check.required:
        finding = Finding(Outcome.NOTED, finding.text, finding.hint)
    return Verdict(check, finding, seconds)
