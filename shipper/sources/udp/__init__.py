"""UDP: every datagram that comes to a port is a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from shipper.config.models import Port, Settings, SourceSettings
from shipper.core.checks import Check
from shipper.core.ports import Source
from shipper.sources.udp.checks import startup_check
from shipper.sources.udp.formats import PYSMURF_LABEL_FIELDS
from shipper.sources.udp.port import LocalPort
from shipper.sources.udp.source import UdpSource

DEFAULT_BUFFER_BYTES = 8 * 1024 * 1024
"""Holds 20,000 small datagrams, each of which takes 768 bytes: a fifth of a second at 100,000/s (Linux 6.18)."""

MAX_BUFFER_BYTES = 2**30 - 1
"""The kernel keeps twice the number, in 31 bits."""


class UdpSettings(SourceSettings):
    """Datagrams that come to a UDP port."""

    waits: ClassVar[bool] = True
    keeps_cursor: ClassVar[bool] = False

    type: Literal["udp"] = "udp"
    """Datagrams that come to a UDP port."""

    host: Annotated[str, StringConstraints(min_length=1)] = "127.0.0.1"
    """Name or address to listen on, IPv4 or IPv6; `::` is every address of both."""

    port: Port = Field(examples=[8200])
    """Port to listen on."""

    format: Literal["json", "pysmurf", "text"] = "json"
    """What a datagram holds: a JSON object, an envelope of the pysmurf publisher, or text."""

    receive_buffer_bytes: int = Field(default=DEFAULT_BUFFER_BYTES, ge=4096, le=MAX_BUFFER_BYTES)
    """What the kernel may hold back while nobody reads. It gives at most `net.core.rmem_max`; the check tells."""

    @classmethod
    def complete(cls, metric: str, written: dict[str, Any]) -> dict[str, Any]:
        """File what the pysmurf publisher sends under the publisher and its stream."""
        del metric
        if written.get("format") != "pysmurf":
            return written
        return {"label_fields": list(PYSMURF_LABEL_FIELDS)} | written

    @classmethod
    def checks(
        cls, section: Settings | None, entries: Mapping[str, SourceSettings]
    ) -> Sequence[Check]:
        """Return a check of every port."""
        del section
        return [
            startup_check(metric, entry.local_port, required=entry.required)
            for metric, entry in entries.items()
            if isinstance(entry, UdpSettings)
        ]

    @property
    def local_port(self) -> LocalPort:
        """Where to listen, and with how much room."""
        return LocalPort(self.host, self.port, self.receive_buffer_bytes)

    @property
    def takes(self) -> Sequence[str]:
        """The port."""
        return (f"UDP port {self.local_port}",)

    def build(self, metric: str, section: Settings | None, state_dir: Path) -> Source:
        """Make the source of this entry; nothing is bound yet."""
        del metric, section, state_dir
        return UdpSource(self.local_port, self.format, fields_wanted=self.wants_fields)

    def instance(self, section: Settings | None) -> str:
        """Return `host:port`."""
        del section
        return str(self.local_port)
