"""The configuration of `start` is made of flags, the environment, and the sections of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shipper.config.loading import Configuration
from shipper.config.models import HttpSettings
from shipper.config.override import Override
from shipper.config.secret import Secret
from shipper.core.errors import ConfigError
from shipper.sinks.loki.settings import LokiSettings
from shipper.sources.stomp import StompSettings
from shipper.store.settings import StoreSettings
from shipper.wiring.timeframes.composed import BrokerFlags, Composition, url_of_file
from tests.support.time_frames import sqlite_url

USUAL: dict[str, Any] = {
    "host": "localhost",
    "port": 61613,
    "topic": "epic.fastmon.tf",
    "user": "admin",
    "password": Secret("literal", "admin"),
    "ssl": False,
    "ca_certs": None,
}


def composed(
    folder: Path, *overrides: Override, document: object = None, **broker: Any
) -> Configuration:
    file = None
    if document is not None:
        file = folder / "c.json"
        file.write_text(json.dumps(document))
    flags = BrokerFlags(**{**USUAL, **broker})
    return Composition(flags, sqlite_url(folder), file).configuration(overrides)


def entry_of(configuration: Configuration) -> StompSettings:
    entry = configuration.metrics["tf"]
    assert isinstance(entry, StompSettings)
    return entry


def test_without_anything_else_time_frames_are_only_kept(tmp_path: Path) -> None:
    configuration = composed(tmp_path)
    entry = entry_of(configuration)

    assert (entry.host, entry.port, entry.full_destination) == (
        "localhost", 61613, "/topic/epic.fastmon.tf"
    )  # fmt: skip
    assert (entry.user, entry.password) == ("admin", Secret("literal", "admin"))
    assert (entry.store, entry.ship) == ("tf_metadata", False)
    assert configuration.section("store", StoreSettings).address(tmp_path) == sqlite_url(tmp_path)


def test_the_usual_port_is_left_to_a_service(tmp_path: Path) -> None:
    assert composed(tmp_path).section("http", HttpSettings).port == 0


@pytest.mark.parametrize(
    ("overrides", "document", "port"),
    [
        ((), {"http": {"port": 9999}}, 9999),
        ((Override("http", "port", 8888, "--http_port"),), {"http": {"port": 9999}}, 8888),
    ],
    ids=["file", "flag beats file"],
)
def test_a_port_that_is_asked_for_is_taken(
    tmp_path: Path, overrides: tuple[Override, ...], document: object, port: int
) -> None:
    configuration = composed(tmp_path, *overrides, document=document)

    assert configuration.section("http", HttpSettings).port == port


@pytest.mark.parametrize(
    ("overrides", "document"),
    [
        ((Override("loki", "url", "http://loki:3100", "--loki_url"),), None),
        ((), {"loki": {"url": "http://loki:3100"}}),
        ((), {"loki": {"url": "http://loki:3100"}, "metrics": {"show_locks": "not looked at"}}),
    ],
    ids=["flag or environment", "file", "file for a run"],
)
def test_with_loki_time_frames_are_shipped_as_well(
    tmp_path: Path, overrides: tuple[Override, ...], document: object
) -> None:
    configuration = composed(tmp_path, *overrides, document=document)

    assert entry_of(configuration).ship
    (loki,) = configuration.several("loki", LokiSettings)
    assert loki.url == "http://loki:3100"


def test_only_the_one_metric_runs(tmp_path: Path) -> None:
    configuration = composed(tmp_path, document={"show_locks": 2})

    assert list(configuration.metrics) == ["tf"]


def test_a_queue_or_a_whole_destination_stays_what_it_is(tmp_path: Path) -> None:
    entry = entry_of(composed(tmp_path, topic="/queue/tf"))

    assert entry.full_destination == "/queue/tf"


def test_without_a_user_nobody_logs_in(tmp_path: Path) -> None:
    entry = entry_of(composed(tmp_path, user=""))

    assert (entry.user, entry.password) == (None, None)


def test_with_tls_the_file_of_authorities_is_used(tmp_path: Path) -> None:
    entry = entry_of(composed(tmp_path, ssl=True, ca_certs="ca.pem"))

    assert (entry.ssl, entry.ca_certs) == (True, Path("ca.pem"))


@pytest.mark.parametrize(
    ("broker", "message"),
    [
        ({"ssl": True}, "--ca-certs: ssl needs it; nothing is sent without verifying the broker"),
        ({"ca_certs": "ca.pem"}, "--ssl: must be true where ca_certs"),
        ({"port": 0}, "--port: must be at least 1"),
        ({"host": ""}, "--host: "),
        ({"topic": "a\nb"}, "--topic: "),
    ],
    ids=["TLS without authorities", "authorities without TLS", "port", "host", "topic"],
)
def test_what_is_wrong_is_said_with_its_flag(
    tmp_path: Path, broker: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        composed(tmp_path, **broker)


@pytest.mark.parametrize(
    ("overrides", "document", "message"),
    [
        ((), {"loki": 5}, r"c\.json: loki: must be an object, not 5"),
        ((), {"loki": {"ulr": "x"}}, r'c\.json: loki\.ulr: .*did you mean "url"'),
        ((Override("http", "port", -1, "--http_port"),), None, "--http_port: must be at least 0"),
    ],
    ids=["section", "key", "flag"],
)
def test_what_is_wrong_in_a_section_is_said_with_its_place(
    tmp_path: Path, overrides: tuple[Override, ...], document: object, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        composed(tmp_path, *overrides, document=document)


@pytest.mark.parametrize(
    ("document", "database"),
    [
        ({"show_locks": 2}, None),
        ({"store": {}}, None),
        ({"store": {"url": "sqlite:////var/lib/file.db"}}, "/var/lib/file.db"),
    ],
    ids=["no section", "a section without a database", "a database"],
)
def test_a_file_may_name_the_database(
    tmp_path: Path, document: object, database: str | None
) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps(document))
    url = url_of_file(file)

    assert (url and url.database) == database


def test_a_database_in_a_file_whose_secret_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"store": {"url": {"env": "SURELY_NOT_SET"}}}')

    with pytest.raises(ConfigError, match=r"c\.json: store\.url: .*SURELY_NOT_SET is not set"):
        url_of_file(file)
