"""What can go wrong, grouped by what the caller should do next.

```text
ShipperError                      a fault of ours; exit 1
├── ConfigError                   fix the command line or the file; exit 2
├── StartupError                  fix the surroundings; exit 3
├── EveryWorkerGaveUp             read the log; exit 4
├── SourceError
│   ├── SourceUnavailable         the connection is gone: open again, later
│   │   └── SourceTimeout         the same, because the deadline of the poll passed
│   ├── ReadRefused               the far end said no; the connection stands: ask again at the next poll
│   ├── SourceRefused             it will never serve us: stop this metric, keep the others
│   └── SourceEnded               it has come to its end, as ordered: let this metric end well
└── SinkError
    ├── SinkUnavailable           nothing is known to be written: try the same records later
    ├── BatchToSplit              not taken as a whole: write it in smaller parts
    └── BatchRefused              nothing was written and nothing ever will be: reject these records
```

Exceptions of drivers are translated at the edge, in the module that owns the driver.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class ShipperError(Exception):
    """A fault of ours, and the root of everything we raise on purpose."""

    exit_code: ClassVar[int] = 1


class ConfigError(ShipperError):
    """What the operator wrote cannot be used; the text names the place and the rule, on one line."""

    exit_code = 2

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.splitlines()))


class StartupError(ShipperError):
    """A startup check failed, or the surroundings do not allow a run."""

    exit_code = 3


class EveryWorkerGaveUp(ShipperError):
    """No worker is left that could be started again."""

    exit_code = 4


class SourceError(ShipperError):
    """Something is wrong between a source and its far end."""


class SourceUnavailable(SourceError):
    """The far end cannot be reached or hung up; open the source again after a pause."""


class SourceTimeout(SourceUnavailable):
    """The far end did not answer within the deadline; the connection was thrown away."""


class ReadRefused(SourceError):
    """The far end answered with an error; the connection stands and the next poll may ask again."""


class SourceRefused(SourceError):
    """The source can never work here, however often it is tried."""


class SourceEnded(SourceError):
    """The source has come to its end, as it was ordered to; nothing is wrong, and nothing more will come."""


class SinkError(ShipperError):
    """Something is wrong between a sink and its far end.

    Attributes:
        reason: One word or two for a counter's label, like `rate_limited`.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Blame(StrEnum):
    """What stands in the way of a push, as far as the far end lets us know."""

    DESTINATION = "destination"
    """The far end, or the way there: it takes nothing from anybody. Wait, however long it lasts."""

    STREAM = "stream"
    """This stream comes too fast; others may be taken. Wait, however long it lasts."""

    LIMIT = "limit"
    """A limit that waiting may not lift: try some times, then reject the records."""

    UNKNOWN = "unknown"
    """The far end or the records: try some times, then find out by writing smaller parts."""


class SinkUnavailable(SinkError):
    """The sink did not take the records now; the same records may be tried again.

    Attributes:
        retry_after_seconds: How long the far end asked us to wait; `None` when it did not say.
        blame: What stands in the way.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        retry_after_seconds: float | None = None,
        blame: Blame = Blame.DESTINATION,
    ) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_seconds = retry_after_seconds
        self.blame = blame


class BatchToSplit(SinkError):
    """The sink does not take this batch as it is: it is too large, or holds records that are not named.

    Parts of it may be written. A record that gets this answer alone will never be taken.

    Attributes:
        asked: Whether the far end said so; False when the sink knew before.
    """

    def __init__(self, message: str, *, reason: str, asked: bool = True) -> None:
        super().__init__(message, reason=reason)
        self.asked = asked


class BatchRefused(SinkError):
    """The sink will never take these records; nothing was written."""
