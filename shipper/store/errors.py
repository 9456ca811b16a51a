"""What can go wrong with a database, grouped by what the caller should do next; no text holds a password.

```text
StoreError
├── StoreUnavailable   it takes nothing from anybody now: wait, or mend what the text says
├── StoreUndecided     the database or the rows: try again, then with fewer rows
└── RowsRefused        these rows, as they are, never: find the one at fault
```
"""

from __future__ import annotations

from shipper.core.errors import ShipperError


class StoreError(ShipperError):
    """Something is wrong between us and a database.

    Attributes:
        reason: One word or two for a counter's label, like `locked`.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreUnavailable(StoreError):
    """The database takes nothing now: not reachable, locked, full, without rights, or of another version."""


class StoreUndecided(StoreError):
    """The database did not do it, and either it or the rows may be at fault."""


class RowsRefused(StoreError):
    """The database will never take these rows as they are."""
