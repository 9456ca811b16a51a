"""The site is built from every page, without a warning, and a browser that reads it asks nobody else for anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.support.browser import chromium, tab

READ = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "mkdocs.yml")
READ_FOLDERS = ("docs", "config_files", "tools", "shipper", "tests")
QUIET = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}

PAGES = [
    *("index", "tutorial", "troubleshooting", "reference/configuration", "decisions/index"),
    *(
        "repository/CHANGELOG",
        "repository/config_files/index",
        "repository/config_files/fastmon.json",
    ),
]


def _build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(site)]
    return subprocess.run(command, cwd=root, env=QUIET, capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built."""
    folder = tmp_path_factory.mktemp("site")
    built = _build(ROOT, folder)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the site is made from."""
    root = tmp_path_factory.mktemp("tree")
    for name in READ:
        shutil.copy(ROOT / name, root)
    for name in READ_FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_in_the_site(site: Path, page: str) -> None:
    assert (site / f"{page}.html").exists()


def test_every_page_of_a_folder_is_in_the_navigation_by_itself(tree: Path, tmp_path: Path) -> None:
    page = tree / "docs" / "how-to" / "juggle.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text("# Juggle with three balls\n")
    built = _build(tree, tmp_path)
    page.unlink()

    assert built.returncode == 0, built.stderr
    assert "Juggle with three balls" in (tmp_path / "how-to" / "juggle.html").read_text()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("# Lost\n", 'not included in the "nav"', id="in no navigation"),
        pytest.param("[x](nowhere.md)\n", "'nowhere.md'", id="a link to no page"),
        pytest.param("[x](tutorial.md#nothing)\n", "#nothing", id="a link to no heading"),
        pytest.param("[x](../nothing.md)\n", "'../nothing.md'", id="a link to no file outside"),
    ],
)
def test_a_site_with_a_mistake_is_not_built(
    tree: Path, tmp_path: Path, text: str, complaint: str
) -> None:
    page = tree / "docs" / "lost.md"
    page.write_text(text)
    built = _build(tree, tmp_path)
    page.unlink()

    assert built.returncode != 0
    assert complaint in built.stderr


def test_a_reader_without_a_network_can_read_and_search(site: Path) -> None:
    with (
        chromium() as browser,
        tab(browser, (site / "index.html").as_uri()) as page,
    ):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        page.locator(".md-search__input").click()
        page.keyboard.type("dead letter", delay=50)
        page.locator(".md-search-result__item").first.wait_for()
        page.goto((site / "reference" / "configuration.html").as_uri())

    assert [url for url in asked if not url.startswith((site.as_uri(), "data:", "blob:"))] == []
    assert len(asked) > len(PAGES)
