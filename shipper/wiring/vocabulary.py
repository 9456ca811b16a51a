"""Gathers what may stand in a configuration file from the rooms that own it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from shipper.config.loading import Configuration, Vocabulary
from shipper.config.models import HttpSettings, Settings, SourceSettings
from shipper.core.errors import ConfigError
from shipper.sinks.columns import column_family
from shipper.sinks.loki.settings import LokiSettings
from shipper.sources import discover
from shipper.store.sets import SETS, KnownSet
from shipper.store.settings import StoreSettings
from shipper.telemetry.families import FAMILIES, Family


def vocabulary() -> Vocabulary:
    """Return every kind of source there is, and every top-level section."""
    kinds = discover()
    sections: dict[str, type[Settings]] = {
        "loki": LokiSettings,
        "store": StoreSettings,
        "http": HttpSettings,
    }
    for name, kind in kinds.items():
        if kind.section is not None:
            sections[kind.section_name or name] = kind.section
    table_sets = {name: partial(_misfit, known) for name, known in SETS.items()}
    return Vocabulary(kinds, sections, {"loki"}, table_sets)


def _misfit(known: KnownSet, entry: SourceSettings) -> str:
    """Say why a set of tables cannot keep what an entry receives; nothing when it can."""
    for key, value in known.only_for.items():
        if getattr(entry, key, None) != value:
            pairs = known.only_for.items()
            wanted = ", ".join(f'"{key}": "{value}"' for key, value in pairs)
            return f"{known.name} keeps what an entry with {wanted} receives"
    return ""


def families(configuration: Configuration) -> list[Family]:
    """Return our own families and those that entries make from columns.

    Raises:
        ConfigError: Two items of `metrics` describe the same name differently, have the same series, or take one of
            our names.
    """
    known: dict[str, Family] = {family.name: family for family in FAMILIES}
    only_series: dict[tuple[str, frozenset[tuple[str, str]]], str] = {}
    for metric, entry in configuration.metrics.items():
        for asked in entry.column_metrics(configuration.section_of(entry)):
            _add(known, column_family(asked), metric)
            if asked.shows and not asked.label_fields:
                series = asked.name, frozenset(asked.fixed_labels.items())
                if series in only_series:
                    raise ConfigError(
                        f"metrics.{metric}.metrics: {asked.name} would be the same series as that of "
                        f"{only_series[series]}; give each fixed_labels of its own"
                    )
                only_series[series] = metric
    return list(known.values())


def _add(known: dict[str, Family], family: Family, metric: str) -> None:
    if known.get(family.name) == family:
        return
    for other in known.values():
        if _exposed_names(family) & _exposed_names(other):
            raise ConfigError(
                f"metrics.{metric}.metrics: {family.name} is already another metric; choose another name"
            )
    known[family.name] = family


def _exposed_names(family: Family) -> set[str]:
    """Return the names that a family takes on the metrics page (OpenMetrics 1.0, suffixes by type)."""
    match family.kind:
        case "gauge":
            return {family.name}
        case "counter":
            stem = family.name.removesuffix("_total")
            return {stem, f"{stem}_total", f"{stem}_created"}
        case "histogram":
            suffixes = ("", "_bucket", "_sum", "_count", "_created")
            return {f"{family.name}{suffix}" for suffix in suffixes}


def fixed_labels(configuration: Configuration) -> Mapping[str, Mapping[str, str]]:
    """Return the labels that every line of a metric gets, by metric; an entry's own `labels` override ours."""
    return {
        name: {
            "job": name,
            "service_name": entry.type,
            "instance": entry.instance(configuration.section_of(entry)),
            **entry.labels,
        }
        for name, entry in configuration.metrics.items()
    }
