"""Two hours of samples of every name that Shipper may show, as Prometheus would have scraped them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import urllib3

from shipper.sources.sqream.ready import READY, ready_metrics
from shipper.telemetry.families import FAMILIES, Family
from tests.support.services import free_port, need
from tests.support.shipper_process import until

HOURS_SECONDS, EVERY_SECONDS = 7200, 15
DAY_SECONDS = 86_400


SQREAM = tuple(
    Family(item.name, item.type, item.help, tuple(item.label_fields))
    for function in READY
    for item in ready_metrics(function, "UTC")
)
"""The ready-made metrics of SQreamDB."""
KNOWN: Mapping[str, Family] = {family.name: family for family in (*FAMILIES, *SQREAM)}
SCRAPED = {"instance": "s1:9108", "job": "shipper"}
"""The labels that Prometheus adds."""

_ALERT = 'alertname="ShipperWorkerDown",severity="critical",instance="s1:9108",metric="tf"'
_VALUES: Mapping[str, tuple[str, ...]] = {
    "metric": ("show_locks", "tf"),
    "sink": ("loki", "store"),
    "reason": ("spool_full", "kernel"),
    "result": ("ok", "error", "timeout"),
    "state": ("PENDING", "RUNNING", "DONE", "FAILED"),
    "status": ("Executing", "In queue", "connected"),
    "active": ("0", "1"),
}


def _label_sets(family: Family) -> Iterator[dict[str, str]]:
    choices = [_VALUES.get(label, (f"{label} 1",)) for label in family.labels]
    for values in product(*choices):
        yield {**dict(zip(family.labels, values, strict=True)), **SCRAPED}


def _samples(family: Family, number: int, at: float) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield the samples of one scrape: counters go up by one each time, polls take up to a second."""
    for labels in _label_sets(family):
        match family.kind:
            case "counter":
                yield family.name, labels, number
            case "histogram":
                for place, bound in enumerate((*family.buckets, "+Inf")):
                    yield f"{family.name}_bucket", {**labels, "le": str(bound)}, number * place
                yield f"{family.name}_count", labels, number * len(family.buckets)
                yield f"{family.name}_sum", labels, number * 0.5
            case _:
                yield family.name, labels, _gauge_value(family.name, number, at)


def _gauge_value(name: str, number: int, at: float) -> float:
    if name == "sqream_license_expiry_timestamp_seconds":
        return at + 90 * DAY_SECONDS
    return at if name.endswith("_timestamp_seconds") else 1 + number % 5


def write_samples(path: Path, until_time: float) -> None:
    """Write two hours of samples in OpenMetrics; the last minutes are those of another version."""
    scrapes = HOURS_SECONDS // EVERY_SECONDS
    with path.open("w", encoding="utf-8") as page:
        for family in KNOWN.values():
            for number in range(scrapes):
                at = until_time - (scrapes - number) * EVERY_SECONDS
                for name, labels, value in _samples(family, number, at):
                    if name == "shipper_build_info":
                        labels["version"] = "2" if number > scrapes - 10 else "1"
                    shown = ",".join(f'{key}="{text}"' for key, text in labels.items())
                    page.write(f"{name}{{{shown}}} {value} {at:.3f}\n")
        fired_at = until_time - scrapes * EVERY_SECONDS
        for number in range(scrapes):
            at = fired_at + number * EVERY_SECONDS
            for name, value in (
                ('ALERTS{alertstate="firing",%s}', 1),
                ("ALERTS_FOR_STATE{%s}", fired_at),
            ):
                page.write(f"{name % _ALERT} {value} {at:.3f}\n")
        page.write("# EOF\n")


class Prometheus:
    """A Prometheus that knows samples of the past."""

    def __init__(self, url: str, now: float) -> None:
        self._url, self._now = url, now

    def ask(self, expr: str, *, instant: bool, range_seconds: int = 3600) -> list[dict[str, Any]]:
        """Return the series of a query, those without any number left out.

        Raises:
            AssertionError: It is no PromQL.
        """
        if instant:
            path, when = "query", {"time": self._now}
        else:
            path, when = "query_range", {"start": self._now - range_seconds, "end": self._now}
            when["step"] = EVERY_SECONDS
        fields = {"query": expr, **{key: str(value) for key, value in when.items()}}
        answer = urllib3.request("POST", f"{self._url}/api/v1/{path}", fields=fields, timeout=30.0)
        assert answer.status == 200, answer.data.decode()
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return [each for each in found if _has_a_number(each)]


def _has_a_number(series: Mapping[str, Any]) -> bool:
    values = series["values"] if "values" in series else [series["value"]]
    return any(value != "NaN" for _, value in values)


@contextmanager
def prometheus_of_samples(folder: Path) -> Iterator[Prometheus]:
    """Run a Prometheus on the samples, without anything to scrape."""
    now = float(int(time.time()))
    write_samples(folder / "samples", now)
    storage, config, port = folder / "tsdb", folder / "prometheus.yml", free_port()
    make = [need("promtool"), "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run([*make, str(folder / "samples"), str(storage)], check=True, capture_output=True)
    config.write_text("global: {}\n", encoding="utf-8")
    command = [need("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={storage}"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            until(lambda: _is_ready(url))
            yield Prometheus(url, now)
        finally:
            server.kill()
            server.wait()


def _is_ready(url: str) -> bool:
    try:
        return urllib3.request("GET", f"{url}/-/ready", retries=False, timeout=2.0).status == 200
    except urllib3.exceptions.HTTPError:
        return False
