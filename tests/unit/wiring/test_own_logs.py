"""Whether our own lines are kept, at which level, and whose are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shipper.config.loading import load
from shipper.telemetry.log import LogSettings, ShippedLines
from shipper.wiring.own_logs import with_own_logs
from shipper.wiring.vocabulary import vocabulary
from tests.support.shipper_process import write_config


def settings_for(folder: Path, **entries: Any) -> LogSettings:
    path = write_config(folder, {"show_locks": 2, **entries})
    return with_own_logs(LogSettings(level="error"), load(path, vocabulary()), folder)


def test_without_an_entry_nothing_is_kept(tmp_path: Path) -> None:
    assert settings_for(tmp_path) == LogSettings(level="error")


def test_an_entry_that_was_removed_ends_it(tmp_path: Path) -> None:
    path = write_config(tmp_path, {"show_locks": 2})
    kept = LogSettings(shipped=ShippedLines(tmp_path, "info", frozenset({"own_logs"})))

    assert with_own_logs(kept, load(path, vocabulary()), tmp_path) == LogSettings()


def test_what_the_most_talkative_entry_wants_is_kept_and_none_of_them_is_heard(
    tmp_path: Path,
) -> None:
    settings = settings_for(
        tmp_path, faults={"type": "log", "level": "error"}, all={"type": "log", "level": "debug"}
    )

    assert settings.level == "error"
    assert settings.shipped == ShippedLines(tmp_path, "debug", frozenset({"faults", "all"}))
