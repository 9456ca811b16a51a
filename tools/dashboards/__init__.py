"""Shipper's dashboards for Grafana, and the files they become."""

from __future__ import annotations

import json
from collections.abc import Mapping

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from tools.dashboards.health import HEALTH
from tools.dashboards.jobs import JOBS
from tools.dashboards.lines import LINES
from tools.dashboards.pysmurf import PYSMURF
from tools.dashboards.sqream import SQREAM
from tools.dashboards.timeframes import TIME_FRAMES

BOARDS = (HEALTH, LINES, SQREAM, TIME_FRAMES, PYSMURF, JOBS)


def dashboard_files() -> Mapping[str, str]:
    """Return the text of every dashboard's file, by its name."""
    return {
        f"{board.uid}.json": json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True)
        + "\n"
        for board in BOARDS
    }
