"""How long fuzzing goes on: `FUZZ_EXAMPLES` examples a target, by default so few that every test run can afford them.

A failure is printed with the example, and with a line `@reproduce_failure(...)` to put above the test; the next run
tries what failed before first. `--hypothesis-seed=N`, printed as well, repeats a whole run.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))


def fuzzed(share: float = 1.0) -> settings:
    """Return the settings of a target; `share` of the examples where one takes long."""
    return settings(
        max_examples=max(1, round(EXAMPLES * share)),
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
