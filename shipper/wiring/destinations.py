"""Which Lokis there are, and which of them a metric's lines go to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from shipper.config.complaint import nearest
from shipper.config.loading import Configuration
from shipper.config.models import SourceSettings
from shipper.core.errors import ConfigError
from shipper.sinks.loki.settings import LokiSettings

Lokis = tuple[LokiSettings, ...]


def lokis(configuration: Configuration) -> Lokis:
    """Return every Loki that is configured."""
    return configuration.several("loki", LokiSettings)


def lokis_of(configuration: Configuration, metric: str) -> Lokis:
    """Return the Lokis that the lines of a metric go to; none when it is not shipped."""
    if not configuration.metrics[metric].ship:
        return ()
    return tuple(loki for loki in lokis(configuration) if _matches(loki, metric))


def check_lokis(configuration: Configuration) -> None:
    """See that every shipped metric goes somewhere, and nothing twice to the same place.

    Raises:
        ConfigError: It does not.
    """
    found = lokis(configuration)
    places = [f"loki.{place}" if len(found) > 1 else "loki" for place in range(len(found))]
    by_place = dict(zip(places, found, strict=True))
    for fault in (
        *_same_names(by_place),
        *_same_far_ends(by_place),
        *_idle_patterns(by_place, configuration.metrics),
        *_goes_nowhere(found, configuration.metrics),
    ):
        raise ConfigError(fault)


def _matches(loki: LokiSettings, metric: str) -> bool:
    return any(fnmatchcase(metric, pattern) for pattern in loki.match)


def _same_names(found: Mapping[str, LokiSettings]) -> Iterator[str]:
    seen: dict[str | None, str] = {}
    for place, loki in found.items():
        if seen.setdefault(loki.name, place) != place:
            what = "has no name either" if loki.name is None else f"is named {loki.name} already"
            yield f"{place}.name: {seen[loki.name]} {what}; each needs one of its own"


def _same_far_ends(found: Mapping[str, LokiSettings]) -> Iterator[str]:
    seen: dict[tuple[str, str | None], str] = {}
    for place, loki in found.items():
        owner = seen.setdefault((loki.url, loki.tenant), place)
        if owner != place:
            yield f"{place}.url: {owner} leads to the same Loki and tenant, which would get every line twice"


def _idle_patterns(
    found: Mapping[str, LokiSettings], metrics: Mapping[str, SourceSettings]
) -> Iterator[str]:
    shipped = [name for name, entry in metrics.items() if entry.ship]
    for place, loki in found.items():
        for pattern in loki.match:
            # Without a shipped metric no pattern can match, and nothing is wrong with that.
            if shipped and not any(fnmatchcase(name, pattern) for name in shipped):
                yield f'{place}.match: "{pattern}" matches no metric that is shipped{nearest(pattern, shipped)}'


def _goes_nowhere(found: Lokis, metrics: Mapping[str, SourceSettings]) -> Iterator[str]:
    for name, entry in metrics.items():
        if entry.ship and not any(_matches(loki, name) for loki in found):
            yield (
                f"metrics.{name}: no loki matches it, so its lines go nowhere; "
                'add it to a match, or write "ship": false'
            )
