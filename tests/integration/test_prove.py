"""The proof in short: kills and outages for less than a minute, and not a line is lost or out of order."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import pytest

from tests.prove.prove import METRICS, Plan, prove
from tests.prove.scenes import Troubles, Victim

# A seed whose first scenes kill everybody, fill the disk and lose answers.
SEED = 4032
SCENES = 11


@pytest.mark.timeout(300)
def test_what_was_polled_arrives_in_order_whatever_is_killed_or_away(tmp_path: Path) -> None:
    script = Troubles(Random(SEED), list(METRICS), longest_outage_seconds=2.5).script()
    steps: list[str] = []
    proof = prove(Plan(seed=SEED, folder=tmp_path / "proof"), islice(script, SCENES), steps.append)
    story = "\n".join([*steps, str(proof.as_json())])

    assert proof.findings == [], story
    assert proof.comparison.lost == [], story
    assert proof.comparison.altered == [], story
    assert proof.comparison.reordered == [], story
    assert proof.confirmed > 1000, story
    assert sum(proof.kills.values()) >= 10, story
    assert {Victim.WORKERS, Victim.SUPERVISOR, Victim.SESSION} <= set(proof.kills), story
