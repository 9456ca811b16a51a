"""The unit file for systemd: systemd itself finds nothing to say, and it fits the program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shipper.config.flags import FLAGS
from shipper.supervise.supervisor import FAREWELL_SECONDS

UNIT = Path(__file__).resolve().parents[2] / "config_files" / "systemd" / "shipper.service"
PROGRAM = "/opt/shipper/bin/shipper"
MOST_EXPOSED = 20
"""In tenths of what `systemd-analyze security` calls exposure, which goes to 10; systemd 252 says 1.4."""


@pytest.fixture
def analyze() -> str:
    """The path of systemd-analyze; it comes with systemd, which few machines for tests have."""
    path = shutil.which("systemd-analyze")
    if path is None:
        pytest.skip("systemd-analyze is not installed")
    return path


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists on every machine."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace(PROGRAM, "/usr/bin/env true"))
    return path


def setting(key: str) -> str:
    (value,) = re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return str(value)


def test_systemd_understands_every_line(analyze: str, unit: Path) -> None:
    verified = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True
    )

    assert (verified.returncode, verified.stderr) == (0, "")


def test_it_is_shut_off_from_the_machine(analyze: str, unit: Path) -> None:
    judged = subprocess.run(
        [analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(unit)],
        capture_output=True,
        text=True,
    )

    assert judged.returncode == 0, judged.stdout


def test_every_flag_in_it_exists() -> None:
    written = re.findall(r"^    --(\w+)", UNIT.read_text(), re.MULTILINE)

    assert {"config", "state_dir", "password_file", "drain_seconds"} <= set(written)
    assert set(written) <= {flag.name for flag in FLAGS}


def test_a_stop_is_given_more_time_than_it_takes_at_worst() -> None:
    drain_seconds = float(re.findall(r"--drain_seconds (\d+)", UNIT.read_text())[0])

    assert float(setting("TimeoutStopSec")) > drain_seconds + 2 * FAREWELL_SECONDS
