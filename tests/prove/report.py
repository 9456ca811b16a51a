"""What a proof came to: as a table, as JSON, and as a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from tests.prove.comparison import Comparison

EXAMPLES = 5
MOST_EXAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The figures of one proof.

    Attributes:
        seed: What the script was made from.
        seconds: How long the chaos lasted.
        confirmed: Events that workers confirmed.
        left: Events that stayed with the source.
        comparison: What became of the events.
        order_is_known: Whether the order of arrival could be seen; a real Loki does not tell it.
        rejected: Lines that Shipper says a sink will never take, by reason.
        dropped: Lines that Shipper says it dropped, by reason.
        dead_letters: Lines in the dead letter files.
        kills: Kills by victim.
        processes_killed: How many processes they hit.
        outages: Troubles by kind.
        requests: Requests to Loki by the trouble they met.
        starts: How often the program was started.
        sent_again: Lines that Loki got once more and recognised; 0 where that cannot be seen.
        drained: Whether everything was delivered at the end.
        disk_was_small: Whether the disk could be filled.
        findings: What the program did that it must never do.
    """

    seed: int
    seconds: float
    confirmed: int
    left: int
    comparison: Comparison
    order_is_known: bool
    rejected: Mapping[str, int]
    dropped: Mapping[str, int]
    dead_letters: int
    kills: Mapping[str, int]
    processes_killed: int
    outages: Mapping[str, int]
    requests: Mapping[str, int]
    starts: int
    sent_again: int
    drained: bool
    disk_was_small: bool
    findings: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, altered or reordered, and nothing else was found."""
        found = self.comparison
        wrong = found.lost or found.altered or found.reordered or self.findings
        return self.drained and self.confirmed > 0 and not wrong

    def as_json(self) -> dict[str, Any]:
        """Return the figures, with some of the lines that went wrong."""
        figures = {name: value for name, value, _ in _figures(self)}
        return {
            "holds": self.holds,
            "seed": self.seed,
            **{name.replace(",", "").replace(" ", "_"): value for name, value in figures.items()},
            "rejected_by_reason": dict(self.rejected),
            "dropped_by_reason": dict(self.dropped),
            "kills_by_victim": dict(self.kills),
            "outages_by_kind": dict(self.outages),
            "requests_by_trouble": dict(self.requests),
            "disk_was_small": self.disk_was_small,
            "findings": self.findings,
            "examples": self.examples(MOST_EXAMPLES),
        }

    def table(self) -> Table:
        """Return the figures as a table."""
        verdict = "holds" if self.holds else "DOES NOT HOLD"
        shown = Table(title=f"seed {self.seed}: {verdict}", title_justify="left", expand=False)
        shown.add_column("figure")
        shown.add_column("count", justify="right")
        shown.add_column("of these", overflow="fold")
        for name, value, note in _figures(self):
            shown.add_row(name, f"{value:,}", note)
        return shown

    def examples(self, most: int = EXAMPLES) -> dict[str, list[str]]:
        """Return a few of the lines that went wrong, by what is wrong with them."""
        found = self.comparison
        lost = [f"{each.metric} {each.number} {each.time_ns}" for each in found.lost]
        altered = [f"{dict(each.labels)} {each.time_ns} {each.line}" for each in found.altered]
        reordered = [f"{each.metric} {each.number} {each.time_ns}" for each in found.reordered]
        by_kind = {"lost": lost, "altered": altered, "reordered": reordered}
        return {kind: lines[:most] for kind, lines in by_kind.items() if lines}


def _figures(proof: Proof) -> Iterator[tuple[str, int, str]]:
    found = proof.comparison
    by_metric: dict[str, int] = {}
    for event in found.lost:
        by_metric[event.metric] = by_metric.get(event.metric, 0) + 1
    yield "seconds", round(proof.seconds), ""
    yield "confirmed", proof.confirmed, "events that a worker polled, and then polled again"
    yield "lost", len(found.lost), _parts(by_metric)
    yield "altered", len(found.altered), ""
    yield "reordered", len(found.reordered), "" if proof.order_is_known else "cannot be seen here"
    yield "stored twice", found.copies, "" if proof.order_is_known else "cannot be seen here"
    yield "sent again, stored once", proof.sent_again, ""
    yield "left with the source", proof.left, "never confirmed"
    yield "rejected", sum(proof.rejected.values()), _parts(proof.rejected)
    yield "dropped", sum(proof.dropped.values()), _parts(proof.dropped)
    yield "dead letters", proof.dead_letters, ""
    yield "kills", sum(proof.kills.values()), _parts(proof.kills)
    yield "processes killed", proof.processes_killed, ""
    yield "outages", sum(proof.outages.values()), _parts(proof.outages)
    yield "requests to Loki", sum(proof.requests.values()), _parts(proof.requests)
    yield "starts of the program", proof.starts, ""
    yield "findings", len(proof.findings), "; ".join(proof.findings)


def _parts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
