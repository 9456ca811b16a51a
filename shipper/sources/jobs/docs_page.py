"""Makes a page of the OpenAPI document that needs nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "h2{font:bold 15px monospace;margin:2em 0 0}summary{cursor:pointer}"
    "pre{background:#f4f4f4;padding:.7em;overflow:auto}td{padding:0 1em 0 0;vertical-align:top}"
)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


def docs_page(document: Mapping[str, Any]) -> str:
    """Return the page as HTML."""
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style><h1>{title}</h1>"
        f"<p>{escape(document['info'].get('description', ''))}</p>"
        '<p>For programs: <a href="/openapi.json">openapi.json</a></p>'
        f"{''.join(_operations(document))}<h1>Schemas</h1>{''.join(_schemas(document))}</html>\n"
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<h2>{method.upper()} {escape(path)}</h2>"
            yield f"<p>{escape(operation.get('description', ''))}</p>"
            yield _table(
                (f"{each['name']} ({each['in']})", each.get("description", ""))
                for each in operation.get("parameters", ())
            )
            yield _table(
                (code, each["description"]) for code, each in operation["responses"].items()
            )


def _table(rows: Iterator[tuple[str, str]]) -> str:
    lines = "".join(f"<tr><td><code>{escape(name)}</code><td>{escape(text)}" for name, text in rows)
    return f"<table>{lines}</table>"


def _schemas(document: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        shown = escape(json.dumps(schema, indent=2))
        yield f"<details><summary>{escape(name)}</summary><pre>{shown}</pre></details>"
