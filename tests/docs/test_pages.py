"""Everything an operator can use has a page, and every link on a page leads somewhere."""

from __future__ import annotations

import json
import pkgutil
import re
from pathlib import Path

import pytest

import shipper.sinks
from shipper.cli import cli
from shipper.core import errors
from shipper.sources import discover
from tests.docs.pages import ROOT, pages, prose, read

HEADINGS = ["Usage", "Settings", "Errors and what happens", "Check", "Counters", "Example"]
SINKS = [module.name for module in pkgutil.iter_modules(shipper.sinks.__path__)]
SINKS.remove("columns")  # a part of what Prometheus sees

ROUTE = re.compile(r"Route\(\s*f?\"(/[^\"]*)\"")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
PAGE_IN_CODE = re.compile(r"\bdocs/[\w/-]+\.md\b")
NOT_IN_AN_ANCHOR = re.compile(r"[^\w\- ]")


def _component_pages() -> list[str]:
    return [f"docs/sources/{kind}.md" for kind in discover()] + [
        f"docs/sinks/{sink}.md" for sink in SINKS
    ]


@pytest.mark.parametrize("path", _component_pages())
def test_every_source_and_sink_has_a_page_with_the_same_headings(path: str) -> None:
    headings = [line[3:] for line in read(path).splitlines() if line.startswith("## ")]

    assert [heading for heading in HEADINGS if heading not in headings] == []


@pytest.mark.parametrize("kind", list(discover()))
def test_every_kind_of_source_has_its_table_of_settings(kind: str) -> None:
    assert f"<!-- table: {kind} -->" in read(f"docs/sources/{kind}.md")


@pytest.mark.parametrize("command", list(cli.commands))
def test_every_command_is_documented(command: str) -> None:
    assert re.search(rf"^\| `{command}[ `]", read("docs/reference/commands.md"), re.MULTILINE)


def test_no_command_is_documented_that_there_is_not() -> None:
    documented = re.findall(
        r"^\| `(\w[\w-]*)[ `]", read("docs/reference/commands.md"), re.MULTILINE
    )

    assert set(documented) - set(cli.commands) == set()


def test_every_path_of_the_page_s_server_is_documented() -> None:
    sources = (
        path.read_text(encoding="utf-8") for path in (ROOT / "shipper" / "live").glob("*.py")
    )
    served = {path for source in sources for path in ROUTE.findall(source)} - {"/{file.name}"}
    table = "".join(re.findall(r"^\| `/.*$", read("docs/reference/http.md"), re.MULTILINE))
    documented = {path.lower() for path in re.findall(r"`(/[^`]*)`", table)}

    assert {re.sub(r"\{(\w+)\}", r"\1", path) for path in served} - documented == set()


def test_every_exit_code_is_documented() -> None:
    codes = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.ShipperError)
    }
    documented = set(re.findall(r"^\| (\d) \|", read("docs/operations.md"), re.MULTILINE))

    assert {str(code) for code in codes | {0}} == documented


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = [match["target"] for match in LINK.finditer(prose(page))]
    broken = [target for target in targets if "://" not in target and not _leads(page, target)]

    assert broken == []


def _leads(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    if not there.exists():
        return False
    return not anchor or anchor in _anchors(there)


def _anchors(page: Path) -> set[str]:
    """Return the anchors that headings become on GitHub."""
    titles = [line.lstrip("#").strip() for line in prose(page).splitlines() if line[:1] == "#"]
    return {NOT_IN_AN_ANCHOR.sub("", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_that_code_points_to_is_there() -> None:
    named = {
        name
        for folder in ("shipper", "tests", "tools")
        for path in (ROOT / folder).rglob("*.py")
        for name in PAGE_IN_CODE.findall(path.read_text(encoding="utf-8"))
    }

    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_key_of_the_worker_s_files_is_explained() -> None:
    explained = read("config_files/README.md")
    keys = [
        key
        for name in ("sqream_config.json", "sqream_config_legacy.json")
        for key in json.loads(read(f"config_files/{name}"))
    ]

    assert [key for key in keys if f"`{key}`" not in explained] == []


def test_every_target_of_the_makefile_is_in_its_menu() -> None:
    makefile = read("Makefile")
    targets = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE)) - {"menu", "services"}
    menu = set(re.findall(r'@echo "make (\S+)', makefile))

    assert targets == menu
