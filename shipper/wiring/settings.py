"""What the command line says beside the configuration."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from shipper.config.loading import Configuration, load
from shipper.config.override import Override
from shipper.config.secret import Secret
from shipper.core.errors import ConfigError
from shipper.store.settings import StoreSettings
from shipper.telemetry.log import LogSettings
from shipper.wiring.destinations import check_lokis
from shipper.wiring.vocabulary import families, vocabulary

DRAIN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the command line says beside the configuration.

    Attributes:
        path: The configuration file.
        overrides: What beats the file.
        state_dir: Where state is kept; one Shipper at a time.
        wait_seconds: How long the gate keeps trying.
        log: How to log.
        drain_seconds: How long workers may deliver after the order to stop.
        compose: Makes the configuration, for commands that have it from elsewhere than a file.
        shows_time_frames: Whether workers print what they receive, a line for every Time Frame.
    """

    path: Path
    overrides: tuple[Override, ...]
    state_dir: Path
    wait_seconds: float = 0.0
    log: LogSettings = field(default_factory=LogSettings)
    drain_seconds: float = DRAIN_SECONDS
    compose: Callable[[], Configuration] | None = None
    shows_time_frames: bool = False

    def load(self) -> Configuration:
        """Return the validated configuration.

        Raises:
            ConfigError: Something is wrong with it.
        """
        if self.compose is not None:
            return self.compose()
        configuration = load(self.path, vocabulary(), self.overrides)
        try:
            families(configuration)
            check_lokis(configuration)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}") from None
        return _with_mysql_environment(configuration)


def _with_mysql_environment(configuration: Configuration) -> Configuration:
    """Return the configuration with the store that the pysmurf monitor's `MYSQL_*` variables name, where it has none.

    Raises:
        ConfigError: Some of the variables are set and others are missing.
    """
    store = configuration.section("store", StoreSettings)
    keeps_files = any(entry.store == "pysmurf_files_v1" for entry in configuration.metrics.values())
    if store.url is not None or not keeps_files:
        return configuration
    # SQLAlchemy is loaded where it is used.
    from shipper.store.files.environment import url_from_mysql_environment

    url = url_from_mysql_environment(os.environ)
    if url is None:
        return configuration
    named = store.model_copy(update={"url": Secret("literal", url)})
    return replace(configuration, sections={**configuration.sections, "store": named})
