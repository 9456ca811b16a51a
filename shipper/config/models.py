"""The keys of the configuration that no source or sink owns.

A field's docstring is its documentation: it becomes the description in the JSON Schema and the row in the docs table.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from shipper.config.column_metric import ALL_READY, ColumnMetric, MetricItem
from shipper.config.secret import Secret
from shipper.config.settings import Seconds as Seconds
from shipper.config.settings import Settings as Settings
from shipper.core.checks import Check
from shipper.core.ports import Source

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
"""What a metric may be called: its name becomes SQL, a label and a file name."""


Port = Annotated[int, Field(ge=1, le=65535)]

Origin = Annotated[
    str, StringConstraints(pattern=r"^https?://[^/\s?#@]+$", to_lower=True, max_length=300)
]
"""A page's origin as browsers name it: no path behind it."""

MIN_TIMEOUT_SECONDS = 30.0
TIMEOUT_IN_PERIODS = 3


class HttpSettings(Settings):
    """Where the page, the Prometheus metrics and the health answers are served."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs a token."""

    port: int = Field(default=9108, ge=0, le=65535)
    """Port to listen on; 0 lets the system choose."""

    token: Secret | None = None
    """Bearer token that every path but `/healthy` and `/ready` wants."""

    origins: list[Origin] = Field(default=[])
    """Further origins whose pages may use the WebSockets, and by whose host we may be called behind a proxy on this
    machine, like `https://shipper.example`; our own page always may."""


class SourceSettings(Settings):
    """One entry of `metrics`: the keys that every kind of source has."""

    section: ClassVar[type[Settings] | None] = None
    """Settings shared by all entries of this kind, under a top-level key."""

    section_name: ClassVar[str] = ""
    """That key; empty: the kind's name."""

    can_wait: ClassVar[bool] = False
    """Whether the far end keeps what is not read, so that reading can stop while there is no room."""

    waits: ClassVar[bool] = False
    """Whether a read waits for what comes, so that the source is read again at once; else it is polled."""

    keeps_cursor: ClassVar[bool] = True
    """Whether its cursor says where to go on after a restart; else only what to acknowledge."""

    gives_metadata: ClassVar[bool] = False
    """Whether its rows come with structured metadata of their own, like a message's id."""

    example_metric: ClassVar[str] = "example"
    """What the metric in an example of this kind is called."""

    type: str
    """Which kind of source it is."""

    every_seconds: Seconds = 5
    """Period of the polls, in seconds. A poll that overruns skips the missed ticks and counts them."""

    timeout_seconds: Seconds | None = None
    """Deadline of one poll, in seconds; past it the worker is killed and restarted. Default: max(30, 3 periods)."""

    labels: dict[str, str] = Field(default={})
    """Fixed labels added to every line; they override `job`, `service_name` and `instance`."""

    label_fields: list[str] = Field(default=[])
    """Fields lifted into labels. Use fields with few values: together they name the stream."""

    max_label_values: int = Field(default=100, ge=1)
    """How many distinct values of one label field become labels; further ones go to structured metadata."""

    metadata_fields: list[str] = Field(default=[])
    """Fields lifted into structured metadata: sent along, never indexed."""

    time_field: str | None = None
    """Field that holds the line's own time (ISO 8601 or Unix s, ms, us, ns). Default: the moment of the poll."""

    line: Literal["json", "logfmt"] = "json"
    """How the fields of a row are written into the line."""

    omit_fields: list[str] = Field(default=[])
    """Fields that are left out of the line. Labels, structured metadata and `metrics` may be made of them all the
    same."""

    cut_fields: dict[str, Annotated[int, Field(ge=1)]] = Field(default={})
    """Fields whose text is cut before it is shipped, and after how many characters: `{"statement": 200}`."""

    ship: bool = True
    """`false`: polled, but not sent to Loki."""

    store: str | None = None
    """Name of a table set that also keeps the records."""

    metrics: list[MetricItem] = Field(default=[])
    """Prometheus metrics made from the rows; the text `ready` stands for those that are ready-made for it."""

    spool_max_bytes: int | None = Field(default=None, ge=1)
    """The most that waits on disk while Loki cannot be reached. Default: `loki.spool_max_bytes`."""

    spool_full: Literal["wait", "drop_oldest"] | None = None
    """What happens when it is full: the source is not read until there is room, or the oldest lines are dropped and
    counted. Default: `wait` for sources that can send later what was not read, else `drop_oldest`."""

    too_old: Literal["dead_letter", "restamp", "drop"] | None = None
    """What becomes of lines that Loki refuses because they come too late. Default: `loki.too_old`."""

    required: bool = True
    """`false`: a failing startup check of this entry only warns, and its worker keeps trying."""

    @classmethod
    def complete(cls, metric: str, written: dict[str, Any]) -> dict[str, Any]:
        """Fill in the defaults that depend on the metric's name; the default is to add none."""
        del metric
        return written

    def column_metrics(self, section: Settings | None) -> Sequence[ColumnMetric]:
        """Return the Prometheus metrics that are made of the rows."""
        written = [each for each in self.metrics if not isinstance(each, str)]
        ready = self.ready_metrics(section) if self.wants_ready(section) else ()
        return [*written, *ready]

    def wants_ready(self, section: Settings | None) -> bool:
        """Return whether ready-made metrics are asked for."""
        del section
        return ALL_READY in self.metrics

    def ready_metrics(self, section: Settings | None) -> Sequence[ColumnMetric]:
        """Return the ready-made metrics for what is polled; the default is that there are none."""
        del section
        return ()

    def ready_for(self, metric: str) -> str:
        """Say what is polled, and what there are ready-made metrics for, to whom asks for them in vain."""
        del metric
        return f"sources of type {self.type}"

    @property
    def wants_fields(self) -> bool:
        """Whether the fields of every row are looked at, and not only written."""
        asked = (
            self.label_fields,
            self.metadata_fields,
            self.time_field,
            self.table_set,
            self.metrics,
            self.omit_fields,
            self.cut_fields,
        )
        return self.line != "json" or any(asked)

    @property
    def poll_timeout_seconds(self) -> float:
        """The deadline of one poll that is in force, in seconds."""
        if self.timeout_seconds is not None:
            return self.timeout_seconds
        return max(MIN_TIMEOUT_SECONDS, TIMEOUT_IN_PERIODS * self.every_seconds)

    @property
    def waits_when_full(self) -> bool:
        """Whether the source is not read while the spool is full; else its oldest lines are dropped."""
        return self.can_wait if self.spool_full is None else self.spool_full == "wait"

    @property
    def goes_on(self) -> bool:
        """Whether a cursor can tell this entry where to go on after a restart."""
        return self.keeps_cursor

    @property
    def changes_far_end(self) -> bool:
        """Whether a poll changes something there, so that nobody should poll just to look; the default is no."""
        return False

    def objections(self, section: Settings | None) -> Sequence[str]:
        """Say what is wrong with this entry beside its section, each as `key: rule`; the default is nothing."""
        del section
        return ()

    @classmethod
    def checks(
        cls, section: Settings | None, entries: Mapping[str, SourceSettings]
    ) -> Sequence[Check]:
        """Return what must be true before the entries of this kind can run; the default is nothing."""
        del section, entries
        return ()

    @property
    def table_set(self) -> str | None:
        """Which set of tables keeps the records; `None` for none."""
        return self.store

    @property
    def takes(self) -> Sequence[str]:
        """What the entry takes for itself on this machine, like ports, so that no other may have them too."""
        return ()

    @property
    def shown(self) -> Mapping[str, str]:
        """What the page is told of the entry beside what it is told of all, like the function that is polled."""
        return {}

    @property
    def known_fields(self) -> Collection[str]:
        """Fields that rows may have although those of the first batch do not, so that nobody warns of them."""
        return ()

    @abstractmethod
    def build(self, metric: str, section: Settings | None, state_dir: Path) -> Source:
        """Make the source of this entry; nothing is connected yet.

        Args:
            metric: The entry's name.
            section: The settings that all entries of this kind share.
            state_dir: Where the source may keep what has to outlive a restart.
        """

    @abstractmethod
    def instance(self, section: Settings | None) -> str:
        """The far end as `host:port`, for the label `instance`."""
