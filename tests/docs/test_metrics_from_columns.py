"""The page about metrics from columns shows the samples that its configuration really makes."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.docs.pages import blocks
from tests.support.shipper_process import command

PAGE = "docs/how-to/add-metrics-from-columns.md"
SAMPLE = re.compile(r"^ +(plant_\S+ \S+)$", re.MULTILINE)


def jobs(path: Path) -> None:
    """Make the table that the page speaks of: two jobs that run, since 300 and 20 s, and one that took 4.2 s."""

    def ago(seconds: float) -> str:
        return f"{datetime.now(UTC) - timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S.%f}"

    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE jobs (state, site, started_at, took_ms)")
        connection.executemany(
            "INSERT INTO jobs VALUES (?, 'north', ?, ?)",
            [("running", ago(300), None), ("running", ago(20), None), ("done", ago(9), 4200)],
        )
    connection.close()


def test_the_samples_on_the_page_are_those_of_its_configuration(tmp_path: Path) -> None:
    (configuration,) = [each for each in blocks("json") if each.page == PAGE]
    (shown,) = [each for each in blocks("output") if each.page == PAGE]
    config = tmp_path / "plant.json"
    config.write_text(configuration.text, encoding="utf-8")
    jobs(tmp_path / "plant.db")
    ended = command(
        ["once", "jobs", "--dry-run", "--config", str(config)],
        tmp_path,
        variables={"PLANT_DATABASE_URL": f"sqlite:///{tmp_path / 'plant.db'}"},
    )
    # The age grows by what the command takes to start.
    printed = re.sub(r"(age_seconds\S* )3\d\d\.\d+", r"\g<1>300.0", ended.stdout)

    assert SAMPLE.findall(printed) == SAMPLE.findall(shown.text)
    assert len(SAMPLE.findall(shown.text)) == 4
