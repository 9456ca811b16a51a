"""The container's files, which nothing here can run: what they name is there, and fits the program."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from shipper.cli import cli
from shipper.config.loading import load
from shipper.live.access import OPEN_PATHS
from shipper.wiring.vocabulary import families, vocabulary
from tests.docs.pages import ROOT, read
from tests.support.services import need

FOLDER = ROOT / "config_files" / "container"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def instructions(word: str) -> list[str]:
    text = read("Containerfile").replace("\\\n", " ")
    return re.findall(rf"^{word} +(.*)$", text, re.MULTILINE)


def test_everything_around_shipper_is_there() -> None:
    assert set(SERVICES) == {"shipper", "loki", "prometheus", "grafana", "activemq"}


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned_or_built(name: str) -> None:
    service = SERVICES[name]

    assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    mounted = [each.split(":")[0] for each in SERVICES[name].get("volumes", [])]
    own = [FOLDER / path for path in mounted if path.startswith(".")]
    named = {path for path in mounted if not path.startswith(".")}

    assert [path for path in own if not path.exists()] == []
    assert named - set(COMPOSE["volumes"]) == set()


@pytest.mark.parametrize("name", SERVICES)
def test_its_secrets_are_among_those_that_the_page_makes(name: str) -> None:
    secrets = SERVICES[name].get("secrets", [])

    assert set(secrets) <= set(COMPOSE["secrets"])
    assert all(f"> secrets/{secret}" in read("docs/install.md") for secret in secrets)


@pytest.mark.parametrize("name", SERVICES)
def test_it_waits_only_for_services_that_are_there_and_that_tell_their_health(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] == "service_started" or "healthcheck" in SERVICES[other]


def test_its_configuration_loads_and_names_services() -> None:
    loaded = load(FOLDER / "monitor_input.json", vocabulary())
    families(loaded)
    document = json.loads((FOLDER / "monitor_input.json").read_text())
    variables = set(re.findall(r'"env": "(\w+)"', json.dumps(document)))

    assert document["loki"]["url"] == "http://loki:3100"
    assert document["metrics"]["tf"]["host"] in SERVICES
    assert variables <= set(SERVICES["shipper"]["environment"])


def test_prometheus_takes_its_configuration_and_the_rules(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    text = (FOLDER / "prometheus.yml").read_text()
    text = text.replace("/run/secrets/http_token", str(tmp_path / "token"))
    text = text.replace("/etc/prometheus/rules", str(ROOT / "config_files/prometheus/rules"))
    (tmp_path / "prometheus.yml").write_text(text)
    checked = subprocess.run(
        [need("promtool"), "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
    )

    assert (checked.returncode, checked.stderr) == (0, "")
    assert "rules found" in checked.stdout


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    copied = [
        path
        for line in instructions("COPY")
        if not line.startswith("--from")
        for path in shlex.split(line)[:-1]
    ]
    let_in = re.findall(r"^!(\S+)$", read(".containerignore"), re.MULTILINE)

    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert set(copied) - set(let_in) == set()
    assert read(".dockerignore") == read(".containerignore")


def test_the_image_runs_a_command_that_there_is() -> None:
    words = json.loads(instructions("CMD")[-1])
    command = cli.commands[words[0]]
    context = command.make_context(words[0], words[1:])

    assert isinstance(context, click.Context)
    assert context.params["http_host"] == "0.0.0.0"  # noqa: S104 - inside the container
    assert json.loads(instructions("ENTRYPOINT")[-1]) == ["shipper"]


def test_its_user_is_a_number_that_is_not_root() -> None:
    assert instructions("USER") == ["10001:10001"]


def test_its_health_is_asked_where_no_token_is_wanted() -> None:
    asked = re.findall(r"http://127\.0\.0\.1:9108(/\w*)", instructions("HEALTHCHECK")[-1])

    assert len(asked) == 1
    assert asked[0] in OPEN_PATHS


def test_its_secrets_go_into_neither_the_repository_nor_a_package() -> None:
    secrets = "config_files/container/secrets"

    assert f"/{secrets}/" in read(".gitignore").splitlines()
    assert f"prune {secrets}" in read("MANIFEST.in").splitlines()
    assert "examples/container/secrets" in read("packaging/debian/rules")
