"""Every block of the documentation is of a kind that somebody looks after, and is right as far as that can be told."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from shipper.cli import cli
from shipper.demo.log_store.logql import parse_query, parse_selector
from shipper.demo.log_store.refusal import Refused
from tests.docs.pages import Block, all_blocks, inline_commands, read
from tests.docs.typed import commands, faults

UNFINISHED = re.compile(r"Missing (argument|option)|No such command '\[?COMMAND")
"""A sentence may name a command without all that it wants."""

SQL = re.compile(
    r"(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|GRANT|REVOKE|SET|FLUSH)\s", re.IGNORECASE
)
OWN_FILE = re.compile(r"^# (\S+\.py)$", re.MULTILINE)
SELECTOR = re.compile(r"\{[^}]*\}")


def _commands(block: Block) -> Iterator[str]:
    for words in commands(block):
        yield from faults(words)


def _shell(block: Block) -> Iterator[str]:
    checked = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    yield from checked.stderr.splitlines()
    yield from _commands(block)


def _output(block: Block) -> Iterator[str]:
    if any(line.startswith("$ ") for line in block.text.splitlines()):
        yield "what is typed and what is printed together are `console`"


def _python(block: Block) -> Iterator[str]:
    """Compile it, and look for what it imports; a page may show the file that another block imports."""
    shown = set(OWN_FILE.findall(read(block.page)))
    for node in ast.walk(ast.parse(block.text)):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if f"{name.replace('.', '/')}.py" not in shown and find_spec(name) is None:
                yield f"{name}: there is no such module"


def _yaml(block: Block) -> Iterator[str]:
    list(yaml.compose_all(block.text, Loader=yaml.SafeLoader))
    return iter(())


def _toml(block: Block) -> Iterator[str]:
    tomllib.loads(block.text)
    return iter(())


def _ini(block: Block) -> Iterator[str]:
    configparser.RawConfigParser(strict=False).read_string(block.text)
    return iter(())


def _nginx(block: Block) -> Iterator[str]:
    if block.text.count("{") != block.text.count("}"):
        yield "a brace is missing"
    for line in filter(None, map(str.strip, block.text.splitlines())):
        if line[-1] not in "{};" and not line.startswith("#"):
            yield f"{line}: does not end with ;"


def _sql(block: Block) -> Iterator[str]:
    text = re.sub(r"--.*", "", block.text).strip()
    for statement in filter(None, map(str.strip, text.split(";"))):
        if not SQL.match(f"{statement} "):
            yield f"{statement}: is no statement"


def _logql(block: Block) -> Iterator[str]:
    """Parse each line; of what the log store does not know, at least the selector."""
    for line in filter(None, map(str.strip, block.text.splitlines())):
        try:
            parse_query(line)
        except Refused as refusal:
            selector = SELECTOR.search(line)
            if selector is None:
                yield f"{line}: {refusal}"
            else:
                parse_selector(selector[0])


def _promql(block: Block) -> Iterator[str]:
    lines = [line for line in block.text.splitlines() if line.strip() and line[0] != "#"]
    rules = [{"record": f"line_{at}", "expr": line} for at, line in enumerate(lines)]
    text = yaml.safe_dump({"groups": [{"name": "page", "rules": rules}]})
    checked = subprocess.run(
        ["promtool", "check", "rules", "/dev/stdin"], input=text, capture_output=True, text=True
    )
    if checked.returncode:
        yield checked.stderr


def _nothing(_block: Block) -> Iterator[str]:
    return iter(())


RULES: dict[str, Callable[[Block], Iterator[str]]] = {
    "bash": _shell,
    "console": _commands,
    "text": _commands,
    "output": _output,
    "json": _nothing,  # a configuration, which test_configurations.py loads
    "json-of-a-new-kind": _nothing,  # which test_add_a_source.py loads
    "markdown": _nothing,  # which test_add_a_source.py uses
    "python": _python,
    "yaml": _yaml,
    "toml": _toml,
    "ini": _ini,
    "nginx": _nginx,
    "sql": _sql,
    "logql": _logql,
    "promql": _promql,
}


@pytest.mark.parametrize("block", all_blocks(), ids=str)
def test_a_block_has_a_kind_and_keeps_its_rule(block: Block) -> None:
    assert block.kind in RULES, f"{block}: which kind is it? CONTRIBUTING.md has a table of kinds"

    assert list(RULES[block.kind](block)) == []


@pytest.mark.parametrize(
    "block", list(inline_commands()), ids=lambda block: f"{block}-{block.text}"
)
def test_a_command_in_a_sentence_has_flags_that_there_are(block: Block) -> None:
    assert [fault for fault in _commands(block) if not UNFINISHED.search(fault)] == []


def _safe() -> Iterator[list[str]]:
    for block in (*all_blocks(), *inline_commands()):
        for words in commands(block):
            match words[-2:]:
                case ["example", kind] if kind.islower():
                    yield ["example", kind]
                case [program, "version" | "schema" as word] if program.endswith("main.py"):
                    yield [word]


@pytest.mark.parametrize("words", list(_safe()), ids=" ".join)
def test_a_command_that_needs_nothing_runs(words: list[str]) -> None:
    assert CliRunner().invoke(cli, words).exit_code == 0


def test_every_kind_of_block_is_explained_to_who_writes_one() -> None:
    cells = re.findall(r"^\| (`[^|]+) \|", read("CONTRIBUTING.md"), re.MULTILINE)
    explained = {kind for cell in cells for kind in re.findall(r"`(\w+)`", cell)}

    assert {kind for kind in RULES if "-" not in kind} - explained == set()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param("bash", "python main.py check --loki_hots loki", id="a flag"),
        pytest.param("bash", "X=1 python3.11 /opt/main.py run --port many", id="a value"),
        pytest.param("bash", "if true; then .venv/bin/python main.py chk; fi", id="a command"),
        pytest.param(
            "bash", "python -m shipper.demo.sqream --prot 5000 &", id="a flag of a module"
        ),
        pytest.param("bash", "python -m shipper.demo.oracle", id="a module"),
        pytest.param("bash", "shipper run --config config_files/nothing.json", id="a file"),
        pytest.param("bash", "make nonsense", id="a target"),
        pytest.param("bash", "curl -s http://127.0.0.1:9108/metric | grep x", id="a path"),
        pytest.param("bash", "if true; then", id="a shell's grammar"),
        pytest.param(
            "console", "$ python main.py dead-letter lst\nNo dead letters.", id="a session"
        ),
        pytest.param("text", "python main.py top --twice", id="a command in a text"),
        pytest.param("output", "$ ls", id="a command in an output"),
        pytest.param("python", "import shipper.nothing", id="an import"),
        pytest.param("logql", "count_over_time(5)", id="LogQL"),
        pytest.param("promql", "rate(shipper_polls_total[5m]", id="PromQL"),
        pytest.param("nginx", "location / {\n  a b\n}", id="nginx"),
        pytest.param("sql", "GRNAT SELECT ON a TO b;", id="SQL"),
    ],
)
def test_a_block_with_a_mistake_would_be_found(kind: str, text: str) -> None:
    assert list(RULES[kind](Block("README.md", 1, kind, text))) != []


def test_a_block_with_a_mistake_in_its_grammar_would_be_found(tmp_path: Path) -> None:
    with pytest.raises(yaml.YAMLError):
        list(_yaml(Block("README.md", 1, "yaml", "a: [")))
    with pytest.raises(tomllib.TOMLDecodeError):
        list(_toml(Block("README.md", 1, "toml", "a = ")))
    with pytest.raises(configparser.Error):
        list(_ini(Block("README.md", 1, "ini", "a = 1")))
