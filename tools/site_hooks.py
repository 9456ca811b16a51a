"""What MkDocs does beside its own: brings what lies outside docs/ into the site, and fills the navigation from folders.

Whatever a page links to outside docs/ comes along: a page as a page, any other file as a page that shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
OUTSIDE = "repository/"
"""Where in the site lies what lies outside docs/."""

FENCED = re.compile(r"(^ *(?P<fence>```+).*?^ *(?P=fence)$)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<=\]\()(?P<path>[^)#\s:]+)(?=[)#])")
LANGUAGES = {"": "text", ".service": "ini", ".yml": "yaml", ".py": "python", ".jsonl": "json"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write out the patterns in the navigation."""
    named = {entry for entry in _entries(config.nav) if "*" not in entry}
    config.nav = _written_out(config.nav, named)
    return config


def _entries(nav: object) -> Iterator[str]:
    """Yield every page or pattern of a navigation."""
    match nav:
        case str():
            yield nav
        case dict():
            yield from _entries(list(nav.values()))
        case list():
            for entry in nav:
                yield from _entries(entry)


def _written_out(nav: object, named: Iterable[str]) -> object:
    match nav:
        case dict():
            return {title: _written_out(entry, named) for title, entry in nav.items()}
        case list():
            sections = [_written_out(entry, named) for entry in _expanded(nav, named)]
            return [each for each in sections if not isinstance(each, dict) or all(each.values())]
    return nav


def _expanded(entries: list[object], named: Iterable[str]) -> Iterator[object]:
    """Yield entries, with every page that fits in the place of a pattern."""
    for entry in entries:
        if isinstance(entry, str) and "*" in entry:
            pages = sorted(DOCS.glob(entry), key=lambda page: (page.stem != "index", page.name))
            uris = (page.relative_to(DOCS).as_posix() for page in pages)
            yield from (uri for uri in uris if uri not in named)
        else:
            yield entry


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring along what pages link to outside docs/, and what that links to."""
    named = (uri for uri in _entries(config.nav) if uri.startswith(OUTSIDE))
    wanted = [_place(uri) for uri in named]
    for page in files.documentation_pages():
        wanted += _linked(_place(page.src_uri))
    while wanted:
        path = wanted.pop()
        uri = _uri(path)
        if uri.startswith(OUTSIDE) and uri not in files.src_uris:
            files.append(_brought(path, config))
            wanted += _linked(path)
    return files


def _brought(path: Path, config: MkDocsConfig) -> File:
    if path.suffix == ".md":
        return File.generated(config, _uri(path), abs_src_path=str(path))
    language = LANGUAGES.get(path.suffix, path.suffix.removeprefix("."))
    text = path.read_text(encoding="utf-8").rstrip()
    page = f"# {path.relative_to(ROOT)}\n\n````{language}\n{text}\n````\n"
    return File.generated(config, _uri(path), content=page, inclusion=InclusionLevel.NOT_IN_NAV)


def _linked(page: Path) -> Iterator[Path]:
    """Yield every file of the repository that a page links to."""
    if page.suffix == ".md":
        prose = FENCED.sub("", page.read_text(encoding="utf-8"))
        targets = (page.parent / match["path"] for match in LINK.finditer(prose))
        yield from (target.resolve() for target in targets if target.exists())


def _uri(path: Path) -> str:
    """Return where a file of the repository lies in the site."""
    if path == ROOT / "README.md":
        return "index.md"
    page = path / "README.md" if path.is_dir() else path
    if page.is_relative_to(DOCS):
        return page.relative_to(DOCS).as_posix()
    suffix = "" if page.suffix == ".md" else ".md"
    return f"{OUTSIDE}{page.relative_to(ROOT).as_posix()}{suffix}"


def _place(uri: str) -> Path:
    """Return where something in the site lies in the repository."""
    if not uri.startswith(OUTSIDE):
        return DOCS / uri
    path = ROOT / uri.removeprefix(OUTSIDE)
    return path if path.exists() else path.with_suffix("")


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let links lead to where things lie in the site."""
    here = _place(page.file.src_uri)

    def led(match: re.Match[str]) -> str:
        there = (here.parent / match["path"]).resolve()
        if not there.exists():
            return match["path"]
        return get_relative_url(_uri(there), page.file.src_uri)

    parts = FENCED.split(markdown)
    # `split` gives prose, a block and its fence by turns.
    parts[0::3] = [LINK.sub(led, prose) for prose in parts[0::3]]
    del parts[2::3]
    return "".join(parts)
