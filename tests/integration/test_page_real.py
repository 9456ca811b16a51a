"""The page in a real browser, served by the whole program that polls an emulated SQream."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import Column, SqreamEmulator, WireType
from tests.support.browser import chromium, forgive, tab
from tests.support.services import free_port
from tests.support.shipper_process import ShipperProcess, far_ends, write_config

METRICS = {"show_server_status": 0.5, "show_conf": 0.5}
CUT = ("WebSocket connection to", "Failed to load resource")
TOKEN = "open-sesame-2209"  # noqa: S105 - opens a test


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def emulator() -> Iterator[SqreamEmulator]:
    with SqreamEmulator() as running:
        running.serve("show_conf", [Column("flag", WireType.TEXT)], [("<b>bold</b>",)])
        yield running


@pytest.fixture(scope="module")
def store() -> Iterator[LogStore]:
    with LogStore() as running:
        yield running


@pytest.fixture(scope="module")
def shipper(
    emulator: SqreamEmulator, store: LogStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ShipperProcess]:
    folder = tmp_path_factory.mktemp("page")
    config = write_config(folder, METRICS)
    with ShipperProcess(["run", *far_ends(emulator, store.url, config)], folder) as running:
        yield running.until_ready()


@pytest.fixture
def page(browser: Browser, shipper: ShipperProcess) -> Iterator[Page]:
    with tab(browser, shipper.address) as opened:
        expect(opened.locator("#connection")).to_have_text(re.compile("Live"))
        yield opened


def test_polls_are_followed_from_the_table_to_the_statements(page: Page) -> None:
    expect(page.locator("#verdict")).to_have_text("All 2 metrics are well.")
    page.get_by_role("link", name="show_server_status").click()

    expect(page.locator("#part-special tbody")).to_contain_text(["select show_server_status()"])


def test_a_row_is_shown_as_it_is_shipped(page: Page) -> None:
    page.get_by_role("link", name="show_conf").click()
    expect(page.locator("#rows tbody td")).to_have_text("<b>bold</b>")
    page.get_by_role("link", name="Live lines").click()
    shown = page.locator("#lines li").count()

    expect(page.locator("#lines code").last).to_have_text('{"flag":"<b>bold</b>"}')
    expect(page.locator("#lines li").nth(shown + 1)).to_be_visible()


def test_a_web_process_that_is_killed_costs_only_seconds(
    page: Page, shipper: ShipperProcess
) -> None:
    page.evaluate("window.same = true")
    (web,) = [each for each in shipper.living() if "shipper: web" in " ".join(each.cmdline())]
    with page.expect_websocket(lambda socket: "/api/updates" in socket.url, timeout=30_000):
        os.kill(web.pid, signal.SIGKILL)

    expect(page.locator("#connection")).to_have_text(re.compile("Live"), timeout=30_000)
    expect(page.locator("#metrics")).to_contain_text("running")
    assert page.evaluate("window.same") is True
    forgive(page, *CUT)


def test_with_a_token_people_log_in_once(
    browser: Browser, emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    config = write_config(tmp_path, {"show_conf": 0.5})
    flags = [*far_ends(emulator, store.url, config), "--http_token_file", str(tmp_path / "token")]
    with (
        ShipperProcess(["run", *flags], tmp_path) as running,
        tab(browser, running.until_ready().address) as page,
    ):
        page.locator("input").first.fill(TOKEN)
        page.keyboard.press("Enter")

        expect(page.locator("#connection")).to_have_text(re.compile("Live"))
        expect(page.locator("#metrics")).to_contain_text("show_conf")
        page.reload()
        expect(page.locator("#connection")).to_have_text(re.compile("Live"))
        forgive(page, *CUT)


def test_a_run_that_comes_in_is_shown(
    browser: Browser, emulator: SqreamEmulator, store: LogStore, tmp_path: Path
) -> None:
    port = free_port()
    entry = {"type": "udp", "port": port, "format": "json", "store": "tf_metadata"}
    kept = {"url": f"sqlite:///{tmp_path}/fastmon.db"}
    config = write_config(tmp_path, {"tf": entry}, store=kept)
    with (
        ShipperProcess(["run", *far_ends(emulator, store.url, config)], tmp_path) as running,
        tab(browser, running.until_ready().address) as page,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        for number in range(3):
            frame = {"file_id": f"tf-{number}", "run_number": 1842, "file_size_bytes": 2**20}
            sender.sendto(json.dumps(frame).encode(), ("127.0.0.1", port))
        page.get_by_role("link", name="Runs").click()
        page.get_by_role("link", name="1842").click()

        expect(page.locator("#run-name")).to_have_text("Run 1842")
        expect(page.locator("#run-facts")).to_contain_text(re.compile("Time Frames\\s*3"))
        expect(page.locator("#run-plot rect").first).to_be_attached()
