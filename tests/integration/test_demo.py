"""The demo as somebody runs it who has just unpacked the program."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from tests.support.shipper_process import ShipperProcess, until


def test_the_demo_ends_by_itself_sums_up_and_leaves_no_process(tmp_path: Path) -> None:
    with ShipperProcess(["demo", "--seconds", "6"], tmp_path) as demo:
        assert demo.wait() == 0
        demo.until_nothing_lives()

    shipped = re.search(r"Shipped (\d+) lines\.", demo.stdout)
    assert shipped is not None
    assert int(shipped[1]) > 0
    for metric in ("show_server_status", "get_leveldb_stats", "show_cluster_nodes"):
        assert re.search(rf"^{metric} +[1-9]", demo.stdout, re.MULTILINE)
    assert "Traceback" not in demo.stdout + demo.stderr


def test_ctrl_c_ends_the_demo_with_a_summary_and_exit_code_0(tmp_path: Path) -> None:
    with ShipperProcess(["demo"], tmp_path) as demo:
        until(lambda: "Ctrl-C ends it." in demo.stdout)
        demo.signal(signal.SIGINT)

        assert demo.wait() == 0
        demo.until_nothing_lives()
    assert "Shipped " in demo.stdout
    assert "Traceback" not in demo.stdout + demo.stderr


def test_nothing_of_the_demo_lives_on_when_it_is_killed(tmp_path: Path) -> None:
    with ShipperProcess(["demo"], tmp_path) as demo:
        until(lambda: "Ctrl-C ends it." in demo.stdout)
        demo.signal(signal.SIGKILL)
        demo.wait()

        demo.until_nothing_lives(within_seconds=15)
