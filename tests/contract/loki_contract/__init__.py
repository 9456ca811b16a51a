"""What Loki 3.6 with default limits answers to a push: a table that any server can be held against.

Each case makes one push for a label `app` of its own, and says which status and words come back and
which lines can be read afterwards. Run by tests/integration/test_loki_contract.py.
"""

from __future__ import annotations

from tests.contract.loki_contract.bodies import ENCODINGS, PROTOBUF_CASES
from tests.contract.loki_contract.labels import LABELS, METADATA
from tests.contract.loki_contract.pushes import Case, Push
from tests.contract.loki_contract.rules import PARTIAL, SIZES, TIMES
from tests.contract.loki_contract.shapes import SHAPES

__all__ = ["CASES", "Case", "Push"]

CASES = [
    *ENCODINGS,
    *PROTOBUF_CASES,
    *SHAPES,
    *LABELS,
    *METADATA,
    *SIZES,
    *TIMES,
    *PARTIAL,
]
