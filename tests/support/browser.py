"""A real browser that looks at the page, and complains of all that a page must not do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.services import need

WIDE = {"width": 1400, "height": 800}
NARROW = {"width": 400, "height": 850}
FLAGS = [
    "--no-sandbox",  # as root, in containers, Chromium has no other way
    "--disable-dev-shm-usage",
]
PATIENCE_MS = 15_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium without a window; no other event loop can run in this thread meanwhile."""
    path = need("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def tab(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open a tab of its own; leaving it fails when the page reported an error that was not forgiven.

    What the console said lies in `page.complaints`, which a test that cuts connections empties.
    """
    context = browser.new_context(**{"viewport": WIDE, **options})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    page.complaints = complaints  # type: ignore[attr-defined] # a place to keep them
    page.goto(url)
    yield page
    context.close()
    assert complaints == []


def forgive(page: Page, *beginnings: str) -> None:
    """Take away what the browser itself says of connections that a test cut."""
    complaints: list[str] = page.complaints  # type: ignore[attr-defined] # see `tab`
    complaints[:] = [each for each in complaints if not any(text in each for text in beginnings)]


def text_of(page: Page, selector: str) -> str:
    """Return what people read there."""
    return page.locator(selector).inner_text().strip()
