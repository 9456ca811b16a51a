"""What the command line says beside the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shipper.config.loading import Configuration, Override, load
from shipper.core.errors import ConfigError
from shipper.telemetry.log import LogSettings
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
    """

    path: Path
    overrides: tuple[Override, ...]
    state_dir: Path
    wait_seconds: float = 0.0
    log: LogSettings = field(default_factory=LogSettings)
    drain_seconds: float = DRAIN_SECONDS

    def load(self) -> Configuration:
        """Return the validated configuration.

        Raises:
            ConfigError: Something is wrong with it.
        """
        configuration = load(self.path, vocabulary(), self.overrides)
        try:
            families(configuration)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}") from None
        return configuration
