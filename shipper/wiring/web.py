"""What happens in the web process: reports in, page and metrics out."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from setproctitle import setproctitle

from shipper.live.doors import Doors
from shipper.live.lines import lines_address
from shipper.store.settings import StoreSettings
from shipper.supervise.orphan import end_with_parent
from shipper.supervise.pulse import SharedPulse
from shipper.telemetry.families import Family


@dataclass(frozen=True, slots=True)
class WebView:
    """What is shown, and to whom: the part that a reload can change while the process goes on.

    Attributes:
        families: What the metrics page shows.
        metrics: What is known beforehand of every metric.
        doors: Who is let in.
        sections: Which parts of the page have something to show.
        store: Where that is kept.
        state_dir: Where it is kept by default.
    """

    families: tuple[Family, ...]
    metrics: Mapping[str, Mapping[str, Any]]
    doors: Doors
    sections: Mapping[str, bool]
    store: StoreSettings
    state_dir: Path


@dataclass(frozen=True, slots=True)
class WebAssignment:
    """Everything the web process needs to know; it is sent to the new process.

    Attributes:
        listening: The socket to serve on; the supervisor keeps it, so that a new process gets the same port.
        feed: Address to take reports on.
        view: What to show at first.
    """

    listening: socket.socket
    feed: str
    view: WebView


def run_web(assignment: WebAssignment, pulse: SharedPulse, orders: Connection) -> None:
    """Serve until told to stop; every `WebView` that the orders bring replaces the one before."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setproctitle("shipper: web")
    # Imported here, in the one process that serves, so that no worker pays for a web server.
    from shipper.live.audience import take_lines
    from shipper.live.server import keep_beating, serve, take_reports
    from shipper.wiring.showroom import Showroom

    showroom = Showroom(assignment.view)
    serve(
        showroom.app(),
        assignment.listening,
        follow=showroom.follow,
        orders=orders,
        background=[
            take_reports(assignment.feed, showroom.take),
            take_lines(lines_address(assignment.feed), showroom.audience),
            showroom.updates.run(),
            keep_beating(pulse.beat),
        ],
    )
