"""What fits into the columns, the same on every database."""

from __future__ import annotations

FILE_ID_CHARACTERS = 255
"""MariaDB needs a length for what is unique."""

SMALLEST = -(2**63)
LARGEST = 2**63 - 1
"""Of a BIGINT, and of SQLite's INTEGER."""
