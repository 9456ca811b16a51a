"""What a page tells a reader to type: its commands, word by word, and what is wrong with them."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import click
from click.testing import CliRunner

from shipper.cli import cli
from shipper.store.jobs.views import BASE
from tests.docs.pages import ROOT, Block, read

OF_A_TEXT = re.compile(r"(\$ )?(\w+=\S+ )*((\S*/)?python[\d.]*|make|curl|shipper) ")
"""How a line begins that is a command although its block is only called `text`."""

HERE_DOCUMENT = re.compile(
    r"<<-?\s*['\"]?(\w+)['\"]?([^\n]*)\n.*?^\s*\1$", re.DOTALL | re.MULTILINE
)
ASSIGNMENT = re.compile(r"\w+=")
PLACEHOLDER = re.compile(r"\$\(.*?\)|\$\{?[\w@]+\}?|…")
WORDS_BEFORE = {
    *("if", "then", "else", "do", "while", "!", "time", "exec", "sudo", "srun", "export", "[", "{"),
}
OF_THE_CLONE = re.compile(r"(config_files|tools|docs)/[\w./-]*\w")
ROUTE = re.compile(r"Route\(\s*f?\"(/[^\"]*)\"|query_route\(\"([^\"]+)\"")
ADDRESS = re.compile(r"(?:\w+://)?[\w.-]+:(?:9108|8088|3100)(?P<path>/[^?]*)")
"""An address of Shipper, of its jobs, or of Loki, by their usual ports."""

CODE_OF_USAGE = 2


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of every command that a block of commands, or of a session, holds."""
    text = HERE_DOCUMENT.sub(r"\2", block.text).replace("\\\n", " ")
    lines = iter(text.splitlines())
    for line in lines:
        if block.kind == "console" and not line.startswith("$ "):
            continue
        if block.kind not in ("console", "bash") and not OF_A_TEXT.match(line):
            continue
        yield from _split(line.removeprefix("$ "), lines)


def _split(line: str, following: Iterator[str]) -> Iterator[list[str]]:
    """Yield the commands of a line; one that ends inside a quotation goes on in the next."""
    while True:
        lexer = shlex.shlex(re.sub(r"\s2>(&1)?", " > ", line), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            line = f"{line}\n{next(following)}"
            continue
        break
    command: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set(";|&()"):
            yield _without_shell(command)
            command = []
        else:
            command.append(word)


def _without_shell(words: list[str]) -> list[str]:
    """Return a command without assignments, words of the shell, and redirections."""
    for place, word in enumerate(words):
        if word[0] in "<>":
            return _without_shell(words[:place] + words[place + 2 :])
    while words and (words[0] in WORDS_BEFORE or ASSIGNMENT.match(words[0])):
        words = words[1:]
    return words


def faults(words: list[str]) -> Iterator[str]:
    """Yield what is wrong with a command, as far as that can be told without running it."""
    for path in filter(OF_THE_CLONE.fullmatch, words):
        yield from () if (ROOT / path).exists() else (f"{path}: there is no such file",)
    yield from _faults_of_program(words)


def _faults_of_program(words: list[str]) -> Iterator[str]:
    match words:
        case [program, "-m", module, *arguments] if _is_python(program):
            yield from _module(module, arguments)
        case [program, "-c", code, *_] if _is_python(program):
            yield from _not_python(code)
        case [python, program, *arguments] if _is_python(python) and _is_ours(program):
            yield from refused(cli, arguments)
        case [program, *arguments] if _is_ours(program):
            yield from refused(cli, arguments)
        case ["make", *targets]:
            yield from _make(targets)
        case ["curl", *arguments]:
            yield from _curl(arguments)


def _is_python(program: str) -> bool:
    return re.fullmatch(r"(?:.*/)?python[\d.]*", program) is not None


def _is_ours(program: str) -> bool:
    return re.fullmatch(r"(?:.*/)?(?:main\.py|shipper)", program) is not None


def _module(module: str, arguments: list[str]) -> Iterator[str]:
    if find_spec(module) is None:
        yield f"-m {module}: there is no such module"
    elif module.startswith("shipper."):
        programs = vars(import_module(f"{module}.__main__")).values()
        command = next(each for each in programs if isinstance(each, click.Command))
        yield from refused(command, arguments)


def _not_python(code: str) -> Iterator[str]:
    try:
        ast.parse(code)
    except SyntaxError as error:
        yield str(error)


def refused(command: click.Command, arguments: list[str]) -> Iterator[str]:
    """Yield what the command line says to flags and words; nothing is run."""
    given = [PLACEHOLDER.sub("1", word) for word in arguments]
    result = CliRunner().invoke(_idle(command), given)
    if result.exit_code == CODE_OF_USAGE:
        yield result.output.strip()


@cache
def _idle(command: click.Command) -> click.Command:
    """Return a command with the same flags that does nothing."""
    if isinstance(command, click.Group):
        idle = {name: _idle(each) for name, each in command.commands.items()}
        return type(command)(command.name, commands=idle, params=command.params)
    return click.Command(
        command.name,
        params=command.params,
        callback=lambda **_: None,
        context_settings=command.context_settings,
    )


def _make(words: list[str]) -> Iterator[str]:
    makefile = read("Makefile")
    for word in (word.strip("[]") for word in words):
        name, is_variable, _ = word.partition("=")
        pattern = rf"\b{name}\b" if is_variable else rf"^{name}:"
        if not re.search(pattern, makefile, re.MULTILINE):
            yield f"make {word}: the Makefile knows no {name}"


def _curl(words: list[str]) -> Iterator[str]:
    for word in words:
        address = ADDRESS.match(word)
        if address and not any(re.fullmatch(route, address["path"]) for route in _routes()):
            yield f"{word}: nothing answers there"


@cache
def _routes() -> tuple[str, ...]:
    """Return a pattern for every path that Shipper or the log store answers at."""
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "shipper").rglob("*.py"))
    found = [match for source in sources for match in ROUTE.findall(source)]
    own = [re.sub(r"\\{.*?\\}", "[^/]+", re.escape(route)) for route, _ in found if route]
    log_store = [rf"/loki/api/v1/{query}" for _, query in found if query]
    return (*own, *log_store, rf"{re.escape(BASE)}(?:/.*)?")
