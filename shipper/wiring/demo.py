"""The embedded default: the real shipper against the demo's far ends, with a live table in the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import urllib3
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shipper.config.override import Override
from shipper.core.errors import StartupError
from shipper.core.words import counted, printable
from shipper.demo import stage as far_ends
from shipper.demo.stage import Stage
from shipper.startup.surroundings import listen
from shipper.wiring.gate import Surroundings
from shipper.wiring.run import run
from shipper.wiring.settings import RunSettings

REFRESH_SECONDS = 0.5
USUAL_HTTP_PORT = 9108
STYLES = {"ok": "green", "error": "red", "timeout": "red", "running": "green"}


def demo_config() -> Path:
    """Return the configuration that the demo runs when there is no other."""
    return Path(far_ends.__file__).with_name("monitor_input.json")


def demonstrate(
    settings: RunSettings, given: Mapping[str, Any], *, seconds: float | None, console: Console
) -> None:
    """Run the demo until Ctrl-C, or for `seconds`, and tell what was shipped.

    Raises:
        ConfigError: The configuration cannot be used.
        StartupError: A far end of the demo, or a startup check, failed.
    """
    with TemporaryDirectory(prefix="shipper-demo-") as folder:
        console.print("Starting a SQream emulator and a small log store…")
        with Stage() as stage:
            staged = _staged(settings, given, stage, Path(folder))
            moved = Override("http", "port", 0, "--demo") in staged.overrides
            log_path = staged.log.path or Path(folder)
            fleeting = settings.log.path is None
            show = _Show(console, stage, log_path, seconds, moved=moved, fleeting=fleeting)
            # Who closes the terminal wants the demo to end.
            run(staged, console=console, started=show.begin, hangup="stop")
            show.end()


def _staged(
    settings: RunSettings, given: Mapping[str, Any], stage: Stage, folder: Path
) -> RunSettings:
    """Return the settings pointed at the stage, keeping what else the operator asked for."""
    pointed: dict[tuple[str, str], object] = {
        ("sqream", "host"): "127.0.0.1",
        ("sqream", "port"): stage.sqream_port,
        ("sqream", "ready_metrics"): True,
        ("loki", "url"): f"http://127.0.0.1:{stage.loki_port}",
    }
    if given["http_port"] is None:
        pointed["http", "port"] = _free_or_any(USUAL_HTTP_PORT)
    overrides = [Override(*place, value, "--demo") for place, value in pointed.items()]
    log_path = settings.log.path or folder / "shipper.log"
    return replace(
        settings,
        overrides=(*settings.overrides, *overrides),
        state_dir=Path(given["state_dir"]) if given["state_dir"] else folder,
        log=replace(settings.log, path=log_path, console=False),
    )


def _free_or_any(port: int) -> int:
    try:
        listen("127.0.0.1", port).close()
    except StartupError:
        return 0
    return port


@dataclass(slots=True)
class _Show:
    """What the demo draws while the shipper runs, in a thread of its own."""

    console: Console
    stage: Stage
    log_path: Path
    seconds: float | None
    moved: bool
    fleeting: bool
    _over: Event | None = None
    _silent: list[str] = field(default_factory=list)
    _thread: Thread | None = None

    def begin(self, surroundings: Surroundings, words: list[str]) -> None:
        """Say where to look, and draw the table until the run is over."""
        out = self.console.print
        out()
        out(f"  page        {surroundings.address}/")
        out(f"  Prometheus  {surroundings.address}/metrics")
        out(
            f"  Loki        http://127.0.0.1:{self.stage.loki_port}  (point Grafana's Explore at it)"
        )
        out(f"  SQream      127.0.0.1:{self.stage.sqream_port}")
        fleeting = "  (until the demo ends)" if self.fleeting else ""
        out(f"  log         {self.log_path}{fleeting}")
        ending = f"Ends in {self.seconds:g} s." if self.seconds else "Ctrl-C ends it."
        if self.moved:
            out(f"  Port {USUAL_HTTP_PORT} is taken, so the page is elsewhere.")
        out(f"\n{ending}\n", style="dim")
        self._over = Event()
        self._thread = Thread(
            target=self._draw, args=(surroundings.address, words, self._over), daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        """Stop drawing and sum up what the log store holds now."""
        if self._over is None or self._thread is None:
            return
        self._over.set()
        self._thread.join()
        self._sum_up()

    def _draw(self, address: str, words: list[str], over: Event) -> None:
        began = time.monotonic()
        # The last frame goes: it is older than the sum that follows it.
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            while not over.wait(REFRESH_SECONDS):
                state = _get_json(f"{address}/api/state")
                if state is not None:
                    self._silent = [
                        each["metric"] for each in state["metrics"] if not each["rows_total"]
                    ]
                    live.update(_table(state), refresh=True)
                if self.seconds and time.monotonic() - began > self.seconds and "stop" not in words:
                    words.append("stop")

    def _sum_up(self) -> None:
        query = 'sum by (job) (count_over_time({job=~".+"}[24h]))'
        answer = _get_json(
            f"http://127.0.0.1:{self.stage.loki_port}/loki/api/v1/query", query=query
        )
        series = answer["data"]["result"] if answer else []
        table = Table("metric", "lines in the log store", box=None, pad_edge=False)
        table.columns[1].justify = "right"
        lines = dict.fromkeys(self._silent, 0)
        lines |= {str(each["metric"]["job"]): int(each["value"][1]) for each in series}
        for metric, count in sorted(lines.items()):
            table.add_row(metric, str(count))
        self.console.print(f"\nShipped {counted(sum(lines.values()), 'line')}.")
        self.console.print(table)


def _table(state: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("metric", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("every", "next", "rows", "sent", "wait", "again"):
        table.add_column(heading, no_wrap=True, justify="right")
    table.add_column("trouble", overflow="ellipsis", no_wrap=True)
    now = time.time()
    for metric in state["metrics"]:
        word = metric["state"] if metric["state"] != "running" else metric["result"] or "running"
        next_seconds = max(0.0, (metric["next_poll_at"] or now) - now)
        table.add_row(
            metric["metric"],
            Text(word, style=STYLES.get(word, "yellow")),
            _span(metric["every_seconds"]),
            _span(next_seconds),
            f"{metric['rows_total']:.0f}",
            f"{metric['lines_delivered']:.0f}",
            str(metric["lines_waiting"]),
            str(metric["restarts"]),
            printable(metric["error"] or metric["sink_error"] or metric["last_end"]),
        )
    return table


def _span(seconds: float) -> str:
    """Return a span of time in its largest whole unit, like `2 s` or `24 h`."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.1g} s" if 0 < seconds < 1 else f"{seconds:.0f} s"


def _get_json(url: str, **fields: str) -> dict[str, Any] | None:
    """Return what `url` answers; `None` while nobody answers there."""
    try:
        answer = urllib3.request("GET", url, fields=fields, timeout=2.0, retries=False)
        content: dict[str, Any] = json.loads(answer.data)
    except (urllib3.exceptions.HTTPError, ValueError):
        return None
    return content
