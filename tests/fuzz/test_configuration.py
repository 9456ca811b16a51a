"""Whatever stands in the configuration file: it is used, or refused in one line that names the file."""

from __future__ import annotations

import codecs
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipper import ahead
from shipper.config.loading import Configuration
from shipper.core.errors import ConfigError
from shipper.sinks.loki.settings import LokiSettings
from shipper.telemetry.log import LogSettings, start_logging
from shipper.wiring.settings import RunSettings
from shipper.wiring.vocabulary import fixed_labels
from tests.fuzz.examples import fuzzed
from tests.support.logging import logging_put_back

SECRET = "hunter2hunter2"  # noqa: S105 - nobody's

FULL: dict[str, Any] = {
    "loki": {
        "url": "https://loki.example:3100/prefix",
        "tenant": "ops",
        "token": {"file": "/run/secrets/token"},
        "ca": "/etc/ca.pem",
        "encoding": "json",
        "connect_timeout_seconds": 2,
        "max_batch_bytes": 1000000,
        "too_old": "restamp",
    },
    "http": {"host": "127.0.0.1", "port": 9108, "token": {"env": "HTTP_TOKEN"}},
    "sqream": {
        "host": "10.0.0.5",
        "port": 3108,
        "username": "monitor",
        "password": {"env": "SQREAM_PASSWORD"},
        "clustered": True,
        "allow_functions": ["my_function"],
        "login_timeout_seconds": 5.5,
    },
    "metrics": {
        "show_locks": 2,
        "mine": {
            "type": "sqream",
            "function": "my_function",
            "arguments": ["text", 7, 1.5, True],
            "every_seconds": 7,
            "timeout_seconds": 20,
            "labels": {"cluster": "north"},
            "label_fields": ["service"],
            "max_label_values": 20,
            "metadata_fields": ["statementid"],
            "time_field": "at",
            "line": "logfmt",
            "spool_full": "wait",
            "required": False,
            "metrics": [
                {"name": "mine_nodes", "labels": ["status"], "help": "Nodes"},
                {"name": "mine_seconds", "type": "histogram", "value": "s", "buckets": [0.1, 1.0]},
            ],
        },
    },
}

SECRETS: list[Any] = [
    SECRET,
    [SECRET],
    {"env": "NAME", "text": SECRET},
    {"value": SECRET},
    {"file": "", "text": SECRET},
    {"file": [SECRET]},
]
"""Secrets as an operator may write them although he should not."""

WHERE_SECRETS_STAND = (
    "loki.token",
    "loki.password",
    "loki.passwrd",
    "loki.url",
    "http.token",
    "sqream.password",
    "password",
    "metrics.token",
    "metrics.password",
    "metrics.mine.password",
)
"""Where they belong, and where somebody may have put them."""

ODD_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "\x00",
        "\x1b[31m",
        "\n",
        "\u2028",
        "\ufeff",
        "\ud800",
        "\U0010ffff",
        "{0}",
        "{",
        "%s",
    ]
)
ODD_NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from(
        [0, -0.0, 2**63, 10**400, -(10**4000), 5e-324, 1e308, float("nan"), float("inf")]
    )
)
ODD_VALUES = st.recursive(
    st.none() | st.booleans() | ODD_NUMBERS | ODD_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=8,
)

Place = tuple[Any, Any]
"""A list or an object inside the document, and a key in it."""


def places(value: Any) -> Iterator[Place]:
    """Yield every place in a document that holds something."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


@st.composite
def mutated_documents(draw: st.DrawFn) -> Any:
    """Change one to four places of a valid document."""
    document = copy.deepcopy(FULL)
    for _ in range(draw(st.integers(1, 4))):
        there = list(places(document))
        if not there:
            break
        inside, key = draw(st.sampled_from(there))
        match draw(st.sampled_from(["drop", "rename", "retype", "add", "nest", "copy"])):
            case "drop":
                del inside[key]
            case "rename" if isinstance(inside, dict):
                inside[draw(ODD_TEXT | st.just(f"{key}s"))] = inside.pop(key)
            case "add" if isinstance(inside, dict):
                inside[draw(ODD_TEXT)] = draw(ODD_VALUES)
            case "nest":
                inside[key] = [{"inner": inside[key]}]
            case "copy":
                inside[key] = copy.deepcopy(
                    draw(st.sampled_from([at[place] for at, place in there]))
                )
            case _:
                inside[key] = draw(ODD_VALUES)
    return document


@st.composite
def documents_with_a_secret(draw: st.DrawFn) -> Any:
    """Write a secret itself where secrets are only named, besides whatever else is wrong."""
    document = draw(st.just(copy.deepcopy(FULL)) | mutated_documents())
    inside = document
    where = draw(st.sampled_from(WHERE_SECRETS_STAND))
    *outer, key = where.split(".")
    for name in outer:
        if not isinstance(inside.get(name), dict):
            inside[name] = {}
        inside = inside[name]
    inside[key] = draw(st.sampled_from(SECRETS))
    if where == "loki.url":
        inside[key] = (
            draw(st.sampled_from(["http", "https", "ftp", ""])) + f"://me:{SECRET}@loki:3100"
        )
    return document


def cut_off(content: bytes, place: int) -> bytes:
    return content[: place % (len(content) + 1)]


def flipped(content: bytes, place: int) -> bytes:
    at = place % len(content)
    return content[:at] + bytes([content[at] ^ 1 << place % 8]) + content[at + 1 :]


def with_a_key_twice(content: bytes, place: int) -> bytes:
    starts = [at for at in range(len(content)) if content[at : at + 2] == b'{"']
    if not starts:
        return content
    at = starts[place % len(starts)] + 1
    end = content.find(b'"', at + 1)
    return content[:at] + content[at : end + 1] + b": 1, " + content[at:]


def nested_deeply(content: bytes, place: int) -> bytes:
    return b'{"metrics":' * (place % 100_000) + content


def as_another_encoding(content: bytes, place: int) -> bytes:
    name = ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7"][place % 5]
    return content.decode("utf-8", "replace").encode(name)


def with_a_byte_order_mark(content: bytes, place: int) -> bytes:
    return [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE][place % 3] + content


DAMAGES: list[Callable[[bytes, int], bytes]] = [
    cut_off,
    flipped,
    with_a_key_twice,
    nested_deeply,
    as_another_encoding,
    with_a_byte_order_mark,
]


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    document = draw(mutated_documents() | st.just(FULL))
    content = json.dumps(document, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    damage, place = draw(st.sampled_from(DAMAGES)), draw(st.integers(0, 2**20))
    return damage(content, place)


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder) / "monitor_input.json"


def check_that_it_is_used_or_refused(path: Path, content: bytes) -> str:
    """Load a file as every command does, and return why it is refused; empty when it is used."""
    path.write_bytes(content)
    try:
        configuration = RunSettings(path, (), path.parent).load()
    except ConfigError as error:
        refusal = str(error)
        assert refusal.startswith(f"{path}: ")
        assert len(refusal) > len(f"{path}: ")
        assert len(refusal.splitlines()) == 1
        return refusal
    check_that_it_can_run(configuration)
    assert {entry.type for entry in configuration.metrics.values()} == set(
        ahead._kinds(ahead._entries(path))
    )
    return ""


def check_that_it_can_run(configuration: Configuration) -> None:
    """Do with an accepted configuration what a run does before anything is connected."""
    for loki in configuration.several("loki", LokiSettings):
        loki.build().close()
        assert loki.checks()
    assert set(fixed_labels(configuration)) == set(configuration.metrics)
    for name, entry in configuration.metrics.items():
        section = configuration.section_of(entry)
        assert not entry.objections(section)
        assert entry.checks(section, {name: entry})
        assert entry.poll_timeout_seconds > 0
        assert entry.waits_when_full in (True, False)
        entry.build(name, section, Path()).close()


def test_the_document_that_is_changed_is_good(path: Path) -> None:
    assert check_that_it_is_used_or_refused(path, json.dumps(FULL).encode()) == ""


@fuzzed(2)
@given(content=damaged_files() | st.binary(max_size=200))
@example(b'{"metrics": {"show_locks": {"type": []}}}')
@example(b'{"metrics": {"show_locks": {"type": {}}}}')
def test_who_reads_ahead_of_the_loader_leaves_all_complaints_to_it(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)

    assert all(kind.isidentifier() for kind in ahead._kinds(ahead._entries(path)))


@fuzzed(2)
@given(document=mutated_documents())
@example({"metrics": {"show_locks": {"labels": {"a\ud800": "\udfff"}}}})
def test_a_changed_document_is_used_or_refused(path: Path, document: Any) -> None:
    check_that_it_is_used_or_refused(path, json.dumps(document).encode())


@fuzzed()
@given(document=ODD_VALUES)
def test_any_json_is_used_or_refused(path: Path, document: Any) -> None:
    check_that_it_is_used_or_refused(path, json.dumps(document).encode())


@fuzzed(2)
@given(content=damaged_files())
def test_a_damaged_file_is_used_or_refused(path: Path, content: bytes) -> None:
    check_that_it_is_used_or_refused(path, content)


@fuzzed()
@given(content=st.binary(max_size=200))
def test_any_bytes_are_refused(path: Path, content: bytes) -> None:
    assert check_that_it_is_used_or_refused(path, content)


@fuzzed(0.5)
@given(name=ODD_TEXT)
@example("\ud800")
def test_a_refusal_can_be_written_to_a_log_file(path: Path, name: str) -> None:
    refusal = check_that_it_is_used_or_refused(path, json.dumps({"metrics": {name: "x"}}).encode())
    with logging_put_back(), redirect_stderr(StringIO()) as complaints:
        log = start_logging(LogSettings(path=path.with_suffix(".log"), console=False))
        log.error("%s", refusal)

    assert complaints.getvalue() == ""


@fuzzed(2)
@given(document=documents_with_a_secret())
def test_a_secret_in_a_file_is_never_told(path: Path, document: Any) -> None:
    assert SECRET not in check_that_it_is_used_or_refused(path, json.dumps(document).encode())
