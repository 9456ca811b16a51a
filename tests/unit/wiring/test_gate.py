"""How the gate tells of what it took hold of, and of checks that another one's failure kept from being tried."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from shipper.core.checks import Check, Finding, Outcome
from shipper.startup.gate import Gate, Verdict
from shipper.wiring.gate import _checks, _take_surroundings, _tried
from shipper.wiring.settings import RunSettings
from tests.support.configuration import configuration

MIB = 1024 * 1024
NOT_TRIED = "not tried: Loki cannot be reached"


def judged(*findings: Finding) -> list[Verdict]:
    check = Check("check", lambda _deadline_seconds: findings[0])
    return [Verdict(check, finding, 0.0) for finding in findings]


def tried(folder: Path, verdicts: Sequence[Verdict]) -> list[Finding]:
    gate = cast("Gate", SimpleNamespace(verdicts=lambda *_, **__: list(verdicts)))
    known = configuration(folder, {"show_locks": 1})
    settings = RunSettings(folder / "unused.json", (), folder)
    return [verdict.finding for verdict in _tried(gate, known, settings)]


def test_a_check_that_another_failure_kept_from_being_tried_is_noted(tmp_path: Path) -> None:
    down = Finding(Outcome.FAILED, "down", "start it")
    verdicts = judged(down, Finding(Outcome.FAILED, NOT_TRIED))

    assert tried(tmp_path, verdicts) == [down, Finding(Outcome.NOTED, NOT_TRIED)]


def limits_check(folder: Path, **keys: object) -> Check:
    known = configuration(folder, {"metrics": {"show_locks": keys}})
    return next(check for check in _checks(known, folder) if check.name == "check_loki_limits")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [({}, False), ({"metadata_fields": ["a"]}, True), ({"label_fields": ["a"]}, True)],
    ids=["nothing", "metadata_fields", "label_fields"],
)
def test_the_limits_are_compared_with_the_metadata_that_may_be_sent(
    tmp_path: Path, keys: dict[str, object], *, expected: bool
) -> None:
    attempt = limits_check(tmp_path, **keys).attempt

    assert getattr(attempt, "keywords", None) == {"metadata": expected}


@pytest.mark.parametrize(
    ("free_bytes", "outcome", "more"),
    [
        (2**30, Outcome.PASSED, ""),
        (2**30 - 1, Outcome.NOTED, ": 1023.9 MiB are free there"),
        (16 * MIB, Outcome.NOTED, ": 16 MiB are free there"),
        (16 * MIB - 1, Outcome.FAILED, " is on a disk with only 15.9 MiB free"),
    ],
)
def test_what_is_free_on_the_disk_is_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_bytes: int, outcome: Outcome, more: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free_bytes))
    known = configuration(tmp_path, {"http": {"port": 0}, "metrics": {"show_locks": 1}})
    settings = RunSettings(tmp_path / "none", (), tmp_path / "state")
    taken, verdicts = _take_surroundings(settings, known, required=True)
    if taken is not None:
        taken.listening.close()
        taken.state_dir.release()
    finding = verdicts[0].finding

    assert (finding.outcome, finding.text) == (outcome, f"{tmp_path / 'state'}{more}")
    assert bool(finding.hint) == (outcome is not Outcome.PASSED)
