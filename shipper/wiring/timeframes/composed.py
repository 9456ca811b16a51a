"""The configuration of `start`: made of its flags, of the environment, and of the sections of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy.engine import URL

from shipper.config.complaint import complaints
from shipper.config.document import describe, read_document
from shipper.config.loading import Configuration
from shipper.config.models import HttpSettings, Settings
from shipper.config.override import Override
from shipper.config.secret import Secret
from shipper.config.sections import read_list, read_section
from shipper.core.errors import ConfigError
from shipper.sinks.loki.settings import LokiSettings
from shipper.sources.stomp import StompSettings
from shipper.store.address import read_url
from shipper.store.settings import StoreSettings
from shipper.wiring.destinations import check_lokis
from shipper.wiring.timeframes.address import as_secret

METRIC = "tf"
TABLES = "tf_metadata"
SECTIONS = ("loki", "http", "store")

FLAGS_OF_KEYS = {
    "host": "--host",
    "port": "--port",
    "destination": "--topic",
    "user": "--user",
    "password": "--password",
    "ssl": "--ssl",
    "ca_certs": "--ca-certs",
}

SECTION = TypeVar("SECTION", bound=Settings)


@dataclass(frozen=True, slots=True)
class BrokerFlags:
    """What the flags say of the broker."""

    host: str
    port: int
    topic: str
    user: str
    password: Secret | None
    ssl: bool
    ca_certs: str | None

    def entry(self, *, ship: bool) -> StompSettings:
        """Return the one entry of the run.

        Raises:
            ConfigError: A flag's value cannot be used.
        """
        written = {
            "host": self.host,
            "port": self.port,
            "destination": self.topic,
            "user": self.user or None,
            "password": self.password if self.user else None,
            "ssl": self.ssl,
            "ca_certs": self.ca_certs or None,
            "store": TABLES,
            "ship": ship,
        }
        try:
            return StompSettings.model_validate(written)
        except ValidationError as error:
            key, _, rule = complaints(error, StompSettings)[0].partition(": ")
            raise ConfigError(f"{FLAGS_OF_KEYS.get(key, key)}: {rule}") from None


@dataclass(frozen=True, slots=True)
class Composition:
    """What the configuration of `start` is made of.

    Attributes:
        broker: Where Time Frames come from.
        database: Where they are kept.
        file: A configuration file whose sections are used; the metrics in it are not.
    """

    broker: BrokerFlags
    database: URL
    file: Path | None

    def configuration(self, overrides: tuple[Override, ...]) -> Configuration:
        """Return the configuration; the file is read anew.

        Args:
            overrides: What beats the file.

        Raises:
            ConfigError: Something is wrong with the file or a flag.
        """
        written = sections_of(self.file)
        ship = "loki" in written or any(each.section == "loki" for each in overrides)
        ours = (
            # The usual port belongs to the Shipper that may run beside us as a service.
            *(
                (Override("http", "port", 0, "--http_port"),)
                if "port" not in written.get("http", {})
                else ()
            ),
            Override("store", "url", as_secret(self.database), "--db-name"),
            *overrides,
        )
        configuration = Configuration(
            {
                "http": _section("http", HttpSettings, written, ours, self.file),
                "store": _section("store", StoreSettings, written, ours, self.file),
            },
            {METRIC: self.broker.entry(ship=ship)},
            {"loki": _lokis(written, ours, self.file)},
        )
        check_lokis(configuration)
        return configuration


def url_of_file(file: Path) -> URL | None:
    """Return where the database is by a configuration file; `None` when it does not say.

    Raises:
        ConfigError: The file cannot be used.
    """
    secret = _section("store", StoreSettings, sections_of(file), (), file).url
    if secret is None:
        return None
    try:
        return read_url(secret)
    except ConfigError as error:
        raise ConfigError(f"{file}: store.url: {error}") from None


def sections_of(file: Path | None) -> Mapping[str, Any]:
    """Return the sections of a configuration file that the client uses.

    Raises:
        ConfigError: It cannot be read, or one of the sections is none.
    """
    document = {} if file is None else read_document(file)
    sections = {name: document[name] for name in SECTIONS if name in document}
    for name, section in sections.items():
        if not isinstance(section, dict | list) or (name != "loki" and isinstance(section, list)):
            raise ConfigError(f"{file}: {name}: must be an object, not {describe(section)}")
    return sections


def _lokis(
    written: Mapping[str, Any], overrides: tuple[Override, ...], file: Path | None
) -> tuple[LokiSettings, ...]:
    listed = written.get("loki")
    if not isinstance(listed, list):
        return (_section("loki", LokiSettings, written, overrides, file),)
    faults: list[str] = []
    read = read_list("loki", LokiSettings, listed, overrides, faults)
    for fault in faults:
        raise ConfigError(fault if fault.startswith("--") else f"{file}: {fault}")
    return read


def _section(
    name: str,
    model: type[SECTION],
    written: Mapping[str, Any],
    overrides: tuple[Override, ...],
    file: Path | None,
) -> SECTION:
    faults: list[str] = []
    section = read_section(name, model, written.get(name, {}), overrides, faults)
    if section is None:
        raise ConfigError(faults[0] if faults[0].startswith("--") else f"{file}: {faults[0]}")
    return section
