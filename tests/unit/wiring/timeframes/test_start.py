"""What `start` runs, and what it says at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipper.config.secret import Secret
from shipper.core.errors import EveryWorkerGaveUp, StartupError
from shipper.store.timeframes.queries import Kept
from shipper.wiring.settings import RunSettings
from shipper.wiring.timeframes import start as starting
from shipper.wiring.timeframes.address import DatabaseFlags
from shipper.wiring.timeframes.composed import BrokerFlags, Composition
from shipper.wiring.timeframes.start import Account, start, state_dir_of, summary
from tests.support.clock import FakeClock
from tests.support.time_frames import keep, sqlite_url, time_frame

BROKER = BrokerFlags(
    "localhost", 61613, "epic.fastmon.tf", "admin", Secret("literal", "admin"), False, None
)


def started(
    monkeypatch: pytest.MonkeyPatch, folder: Path, during: Callable[[Any, Any], None]
) -> RunSettings:
    """Start with a run that only does what a test wants done meanwhile, and return its settings."""
    seen: list[RunSettings] = []

    def run(settings: RunSettings, *, console: Any, started: Any, hangup: str) -> None:
        seen.append(settings)
        during(settings, started)

    monkeypatch.setattr(starting, "run", run)
    composition = Composition(BROKER, sqlite_url(folder), None)
    start(composition, RunSettings(Path("x"), (), folder / "state"))
    return seen[0]


def test_what_runs_is_composed_and_shows_time_frames(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = started(monkeypatch, tmp_path, lambda _settings, _started: None)

    assert list(settings.load().metrics) == ["tf"]
    assert settings.shows_time_frames


def test_the_summary_tells_what_came_since_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = sqlite_url(tmp_path)
    keep(url, time_frame("before"))

    def during(_settings: Any, begin: Any) -> None:
        begin(None, [])
        keep(url, time_frame("a", 1), time_frame("b", 2), time_frame("c", 2))

    started(monkeypatch, tmp_path, during)

    assert [line.split() for line in capsys.readouterr().out.splitlines()[3:]] == [
        ["Files:", "3"],
        ["Size:", "3.0", "MiB"],
        ["Runs:", "2"],
        ["Run", "1:", "1", "file,", "1.0", "MiB"],
        ["Run", "2:", "2", "files,", "2.0", "MiB"],
    ]


def test_a_run_that_never_began_has_no_summary(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def during(_settings: Any, _begin: Any) -> None:
        raise StartupError("failed: check_stomp_tf")

    with pytest.raises(StartupError):
        started(monkeypatch, tmp_path, during)
    assert capsys.readouterr().out == ""


def test_there_is_a_summary_even_when_every_worker_gave_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def during(_settings: Any, begin: Any) -> None:
        begin(None, [])
        keep(sqlite_url(tmp_path), time_frame("a"))
        raise EveryWorkerGaveUp("every worker gave up")

    with pytest.raises(EveryWorkerGaveUp):
        started(monkeypatch, tmp_path, during)
    assert "  Files:  1\n" in capsys.readouterr().out


def test_a_database_that_is_gone_at_the_end_is_no_failure(tmp_path: Path) -> None:
    said: list[str] = []
    clock = FakeClock()
    account = Account(sqlite_url(tmp_path), clock)
    account.open(None, [])  # type: ignore[arg-type] # not looked at
    account.close(said.append)

    assert said[0].startswith("\nUptime 0:00:00; what was kept is not known:")


def test_a_summary_without_anything_kept_is_short() -> None:
    assert list(summary([], 3723.4)) == [
        "",
        "Summary",
        "  Uptime: 1:02:03",
        "  Files:  0",
        "  Size:   0.0 MiB",
        "  Runs:   0",
    ]


def test_a_summary_names_run_0() -> None:
    assert list(summary([Kept(0, 1, 512 * 1024)], 0))[-1] == "  Run 0: 1 file, 0.5 MiB"


def test_clients_with_different_databases_have_different_places_for_their_state(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one, other = state_dir_of(sqlite_url(tmp_path)), state_dir_of(sqlite_url(tmp_path, "other.db"))

    assert one != other
    assert one.parent == tmp_path / "shipper" / "time-frames"


def test_a_new_password_does_not_change_the_place_of_the_state() -> None:
    before, after = (
        DatabaseFlags(engine="mysql", user="u", password=Secret("literal", text)).url()
        for text in ("old", "new")
    )

    assert state_dir_of(before) == state_dir_of(after)
