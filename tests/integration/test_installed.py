"""The wheel, installed into an environment of its own and run far from the sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest
import urllib3

from shipper import __version__
from tests.support.shipper_process import ROOT, until

SOURCES = ("shipper", "packaging", "README.md", "LICENSE", "pyproject.toml", "requirements.txt")


@dataclass(frozen=True, slots=True)
class Installed:
    """The program in its environment, and an empty folder to run it in."""

    environment: Path
    folder: Path

    def command(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.environment / "bin" / "shipper", *arguments],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
        )

    @property
    def variables(self) -> dict[str, str]:
        ours = {name: text for name, text in os.environ.items() if not name.startswith("SHIPPER_")}
        path = f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return {**ours, "PATH": path, "HOME": str(self.folder), "COLUMNS": "300", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build wheel and source distribution of a copy, without a network, and return where they are."""
    folder = tmp_path_factory.mktemp("packages")
    copy = folder / "sources"
    copy.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, copy)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, copy],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = (environment / "lib").glob("python*/site-packages")
    # What it needs is not installed once more, but borrowed.
    needed = [path for path in sys.path if path.endswith("site-packages")]
    (site / "borrowed.pth").write_text("\n".join(needed))
    (wheel,) = built.glob("*.whl")
    python = str(environment / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return Installed(environment, elsewhere)


def test_the_source_distribution_holds_what_the_wheel_is_built_of(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    (wheel,) = built.glob("*.whl")
    top = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as sources, ZipFile(wheel) as packed:
        there = {name.removeprefix(f"{top}/") for name in sources.getnames()}
        wanted = {name for name in packed.namelist() if name.startswith("shipper/")}

    assert wanted - there == set()
    assert {"LICENSE", "README.md", "requirements.txt"} <= there


def test_nothing_but_the_program_is_installed(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with ZipFile(wheel) as packed:
        tops = {name.split("/")[0] for name in packed.namelist()}

    assert tops == {
        "shipper",
        f"shipper-{__version__}.data",
        f"shipper-{__version__}.dist-info",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["version"], f"shipper {__version__}"),
        (["--help"], "dead-letter"),
        (["example", "stomp"], '"type": "stomp"'),
        (["schema"], '"$schema"'),
        (["completion", "zsh"], "#compdef shipper"),
    ],
)
def test_commands_work_far_from_the_sources(
    installed: Installed, arguments: list[str], words: str
) -> None:
    ended = installed.command(arguments)

    assert (ended.returncode, words in ended.stdout) == (0, True)


def test_without_a_configuration_it_says_where_it_looked(installed: Installed) -> None:
    ended = installed.command(["check"])

    assert ended.returncode == 2
    assert ended.stderr == (
        "shipper: there is no configuration in monitor_input.json, "
        f"{installed.folder}/.config/shipper/monitor_input.json, /etc/shipper/monitor_input.json: "
        "name one with --config, print one with `shipper example sqream`, or look at `shipper demo`\n"
    )


def test_the_configuration_in_the_folder_is_found(installed: Installed) -> None:
    path = installed.folder / "monitor_input.json"
    path.write_text('{"show_locks": "often"}')
    ended = installed.command(["run"])
    path.unlink()

    assert (ended.returncode, ended.stderr) == (
        2,
        'shipper: monitor_input.json: show_locks: must be a number of seconds, not the text "often"\n',
    )


def test_the_demo_runs_and_its_page_is_whole(installed: Installed) -> None:
    told = installed.folder / "told"
    with told.open("wb") as out:
        demo = subprocess.Popen(
            [
                installed.environment / "bin" / "shipper",
                "demo",
                "--seconds",
                "6",
                "--http_port",
                "0",
            ],
            cwd=installed.folder,
            env=installed.variables,
            stdout=out,
        )
    try:
        found = until(lambda: re.search(r"page +(http://\S+/)", told.read_text()))
        assert found is not None
        page = urllib3.request("GET", found[1])
        scripts = re.findall(rb'(?:src|href)="([^"]+\.(?:js|css|svg))"', page.data)
        answers = [urllib3.request("GET", found[1] + name.decode()).status for name in scripts]
        polled = until(lambda: _polled(found[1]))
    finally:
        demo.wait(60)

    assert (page.status, set(answers)) == (200, {200})
    assert polled
    assert demo.returncode == 0
    assert "Shipped" in told.read_text()


def _polled(address: str) -> set[str]:
    metrics = urllib3.request("GET", f"{address}api/state").json()["metrics"]
    return {each["metric"] for each in metrics if each["result"] == "ok"}


def test_the_manual_page_and_the_completions_are_where_they_are_looked_for(
    installed: Installed,
) -> None:
    share = installed.environment / "share"

    assert (share / "man" / "man1" / "shipper.1").exists()
    assert (share / "bash-completion" / "completions" / "shipper").exists()
    assert (share / "zsh" / "site-functions" / "_shipper").exists()
    assert (share / "fish" / "vendor_completions.d" / "shipper.fish").exists()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["de"], ["dead-letter", "demo"]),
        (["run", "--loki_te"], ["--loki_tenant"]),
        (["example", "s"], ["sql", "sqream", "stomp"]),
        (["once", "show_lo"], ["show_locks"]),
        (["run", "--log_format", "j"], ["json"]),
    ],
)
def test_bash_completes_what_there_is(
    installed: Installed, words: list[str], found: list[str]
) -> None:
    config = installed.folder / "monitor_input.json"
    config.write_text('{"show_locks": 2, "get_license_info": 5}')
    script = installed.environment / "share" / "bash-completion" / "completions" / "shipper"
    typed = " ".join(["shipper", *words])
    asking = (
        f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; "
        '_shipper_completion shipper; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    completed = subprocess.run(
        ["bash", "-c", asking],
        env=installed.variables,
        cwd=installed.folder,
        capture_output=True,
        text=True,
    )
    config.unlink()

    assert sorted(completed.stdout.split()) == found


def test_the_demo_has_the_configuration_that_stands_beside_main() -> None:
    packaged = ROOT / "shipper" / "demo" / "monitor_input.json"

    assert packaged.read_text() == (ROOT / "monitor_input.json").read_text()
