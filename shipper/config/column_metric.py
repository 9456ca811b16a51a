"""An item of an entry's `metrics`: a Prometheus metric made from the rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Discriminator, Field, Tag, WithJsonSchema, field_validator, model_validator

from shipper.config.metric_names import PLAIN, label_objection, name_objection
from shipper.config.settings import Seconds, Settings, Zone

Kind = Literal["gauge", "counter", "histogram"]


def label_name(field: str) -> str:
    """Return the name that a field has as a Prometheus label."""
    return re.sub("[^a-zA-Z0-9_]|^(?=[0-9])", "_", field)


class ColumnMetric(Settings):
    """A Prometheus metric made from the rows of an entry."""

    any_spelling: ClassVar[bool] = False
    """Whether fields are found too that are written differently, as releases of a server do."""

    name: Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^{PLAIN.pattern}$"})]
    """The metric's name as Prometheus will see it. It ends in its base unit, like `_seconds`, `_bytes` or `_ratio`, and
    that of a counter in `_total`."""

    type: Kind = "gauge"
    """A gauge shows exactly the rows of the newest poll; counters add up; histograms observe."""

    help: str = ""
    """The sentence Prometheus shows beside the name."""

    value: str | None = None
    """Field that holds the value; without it every row counts 1."""

    value_is: Literal["number", "timestamp", "age", "duration"] = "number"
    """What the field holds: a number; a time, shown in Unix seconds; a time, shown as the seconds from it to the poll
    (`age`), or from the field `since` to it (`duration`)."""

    since: str | None = None
    """Field that holds the time from which a duration is counted."""

    timezone: Zone = "UTC"
    """Time zone of times that tell none, like `Europe/Zurich`."""

    scale: float = Field(default=1.0, allow_inf_nan=False)
    """What the value is multiplied with: 0.001 makes seconds of milliseconds."""

    where: dict[str, str | list[str]] = Field(default={})
    """Fields and the text, or the texts, that a row must have there to count."""

    aggregate: Literal["last", "sum", "min", "max"] = "last"
    """What a gauge shows of several rows with the same labels."""

    increment: bool = True
    """`false`: the value of a counter is what the far end has counted, not what is to be added."""

    labels: list[str] | dict[str, str] = Field(default=[])
    """Fields that become labels; as an object, the label's name and the field."""

    fixed_labels: dict[str, str] = Field(default={})
    """Further labels, with a text that is always the same."""

    buckets: list[float] | None = None
    """Upper bounds of a histogram's buckets, ascending; Prometheus's own when absent."""

    stale_after_seconds: Seconds | None = None
    """A series that nothing was heard of for so long is not shown any more. Default: it stays until the next poll."""

    max_series: int = Field(default=1000, ge=1)
    """The most series; numbers of further ones are left out, counted and warned of."""

    @property
    def label_fields(self) -> Mapping[str, str]:
        """The fields that become labels, by the label's name."""
        if isinstance(self.labels, dict):
            return self.labels
        return {label_name(field): field for field in self.labels}

    @property
    def fields(self) -> Sequence[str]:
        """Every field that is looked at."""
        asked = [self.value, self.since, *self.where, *self.label_fields.values()]
        return [field for field in asked if field is not None]

    @property
    def zone(self) -> tzinfo:
        """The time zone of times that tell none."""
        return ZoneInfo(self.timezone)

    @field_validator("labels", mode="plain", json_schema_input_type=list[str] | dict[str, str])
    @classmethod
    def _labels_are_texts(cls, labels: object) -> object:
        """Check both forms here: of a union, pydantic would tell the faults of every form."""
        fields = list(labels.values()) if isinstance(labels, dict) else labels
        if not isinstance(fields, list) or not all(isinstance(field, str) for field in fields):
            raise ValueError("must be a list of fields, or an object of label and field")
        return labels

    @field_validator("buckets")
    @classmethod
    def _buckets_ascend(cls, buckets: list[float] | None) -> list[float] | None:
        if buckets is not None and any(low >= high for low, high in pairwise(buckets)):
            raise ValueError("buckets must ascend")
        return buckets

    @model_validator(mode="after")
    def _is_named_well(self) -> Self:
        fault = name_objection(self.name, self.type)
        if fault:
            raise ValueError(f"name: {fault}")
        if len(self.label_fields) < len(self.labels):
            raise ValueError("labels: two of them have the same name")
        for label in (*self.label_fields, *self.fixed_labels):
            if fault := label_objection(label):
                raise ValueError(f"labels: {fault}{_renamed(self.label_fields.get(label))}")
        twice = self.label_fields.keys() & self.fixed_labels.keys()
        if twice:
            raise ValueError(f"fixed_labels: {min(twice)} is one of labels already")
        return self

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        for key, only_for, fits in (
            ("buckets", "a histogram", self.type == "histogram"),
            ("increment", "a counter", self.type == "counter"),
            ("aggregate", "a gauge with a value", self.type == "gauge" and self.value is not None),
            ("stale_after_seconds", 'a gauge, or a counter with "increment": false', self.shows),
            ("value_is", "a metric with a value", self.value is not None),
            ("since", 'a metric with "value_is": "duration"', self.value_is == "duration"),
        ):
            if key in self.model_fields_set and getattr(self, key) is not None and not fits:
                raise ValueError(f"{key}: this key is for {only_for}")
        if self.value_is == "duration" and self.since is None:
            raise ValueError("since: this key is missing; a duration begins somewhere")
        if not self.increment and self.value is None:
            raise ValueError("value: this key is missing; what was counted stands in a field")
        return self

    @property
    def shows(self) -> bool:
        """Whether what rows hold is shown as it is, and not added to what was before."""
        return self.type == "gauge" or (self.type == "counter" and not self.increment)


def _renamed(field: str | None) -> str:
    return "" if field is None else f'; rename it: "labels": {{"its_name": "{field}"}}'


ALL_READY = "ready"
"""Stands among items for those that are ready-made for what is polled."""


FORMS = ("<item>", "<ready>")
"""What pydantic calls the forms that an item may have."""


def _form(written: object) -> str:
    return "<ready>" if isinstance(written, str) else "<item>"


MetricItem = Annotated[
    Annotated[ColumnMetric, Tag("<item>")] | Annotated[Literal["ready"], Tag("<ready>")],
    Discriminator(_form),
]
"""What may stand in the list `metrics` of an entry."""
