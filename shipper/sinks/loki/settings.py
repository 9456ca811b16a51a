"""What may be configured about Loki."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from shipper.config.models import Seconds, Settings
from shipper.config.secret import Secret
from shipper.core.checks import Check, Finding
from shipper.core.errors import SinkUnavailable
from shipper.sinks.loki.access import Login, TlsFiles
from shipper.sinks.loki.certificate import check_loki_tls
from shipper.sinks.loki.check import check_loki_clock, check_loki_connection
from shipper.sinks.loki.client import PUSH_PATH, Client
from shipper.sinks.loki.limits import LokiLimits, check_loki_limits, read_limits

if TYPE_CHECKING:
    from shipper.sinks.loki.sink import LokiSink

HOW_TO_WRITE_A_URL = (
    "write http://HOST:PORT or https://HOST:PORT, and a path prefix if there is one"
)

NOT_IN_AN_ADDRESS = re.compile(r"[\s\x00-\x1f\\]")

MIB = 1024 * 1024

# Text in a file becomes a path, which pydantic's strict mode would refuse.
FilePath = Annotated[Path, Field(strict=False)]

Tenant = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!_.*'()-]{1,150}$")]
"""What Loki takes for a tenant (Loki 3.6): up to 150 letters, digits and `!-_.*'()`."""


class LokiSettings(Settings):
    """Where Loki is, who we are to it, and how records are sent."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")] | None = None
    """What it is called among several, in counters, checks, spool and dead letters; one of them may have none."""

    match: list[Annotated[str, Field(min_length=1)]] = Field(default=["*"], min_length=1)
    """The metrics whose lines go there, by their names or by patterns like `show_*`."""

    url: str = "http://localhost:3100"
    """Scheme, host, port and, where there is one, path prefix; `/loki/api/v1/push` at its end is taken off."""

    tenant: Tenant | None = None
    """Sent as `X-Scope-OrgID`; needed when Loki runs with `auth_enabled: true`."""

    username: Annotated[str, Field(min_length=1)] | None = None
    """Name for basic authentication; needs `password`."""

    password: Secret | None = None
    """Password for basic authentication; read again when Loki answers 401 or 403."""

    token: Secret | None = None
    """Bearer token, instead of `username`; read again when Loki answers 401 or 403."""

    ca: FilePath | None = None
    """PEM file of the authorities to trust; without it the system's."""

    cert: FilePath | None = None
    """PEM file of our own certificate, where Loki wants one."""

    key: FilePath | None = None
    """PEM file of the certificate's private key, not encrypted; not needed when it stands in the file of `cert`."""

    required: bool = True
    """`false`: a Loki that cannot be reached at the start only warns; lines wait on disk until it can."""

    encoding: Literal["protobuf", "json"] = "protobuf"
    """`protobuf` goes with snappy and is the cheaper one at both ends; `json` goes with gzip."""

    connect_timeout_seconds: Seconds = 5
    """The longest wait for a connection."""

    read_timeout_seconds: Seconds = 15
    """The longest wait for an answer; together with the former the longest a push may take."""

    max_batch_bytes: int = Field(default=MIB, ge=1, le=4_000_000)
    """The most one push may weigh before compression; Loki's own default limit is a little above 4,000,000."""

    queue_max_bytes: int = Field(default=64 * MIB, ge=1)
    """The most that waits in memory, for each metric, while neither Loki nor the disk takes it."""

    spool_max_bytes: int = Field(default=1024 * MIB, ge=1)
    """The most that waits on disk, for each metric, while Loki cannot be reached."""

    too_old: Literal["dead_letter", "restamp", "drop"] = "dead_letter"
    """What becomes of lines that Loki refuses for being too old or too far behind the newest of their stream: kept in
    the dead letters, sent once more with the present time, or only counted."""

    dead_letter_max_bytes: int = Field(default=64 * MIB, ge=1)
    """The most that is kept of refused lines, for each metric; further ones are dropped and counted."""

    @field_validator("url")
    @classmethod
    def _url_is_an_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url.strip())
            host, _ = parts.hostname, parts.port  # the port is looked at only when it is asked for
        except ValueError:
            raise ValueError(HOW_TO_WRITE_A_URL) from None
        if (
            parts.scheme not in ("http", "https")
            or not host
            or NOT_IN_AN_ADDRESS.search(url.strip())
        ):
            raise ValueError(HOW_TO_WRITE_A_URL)
        if "@" in parts.netloc:
            raise ValueError("write the name under username and the password under password")
        if parts.query or parts.fragment:
            raise ValueError("a query or a fragment has no meaning here")
        prefix = parts.path.rstrip("/").removesuffix(PUSH_PATH).rstrip("/")
        return parts._replace(netloc=parts.netloc.lower(), path=prefix).geturl()

    @field_validator("tenant")
    @classmethod
    def _tenant_is_no_path(cls, tenant: str | None) -> str | None:
        if tenant in (".", ".."):
            raise ValueError("Loki takes neither . nor .. for a tenant")
        return tenant

    @model_validator(mode="after")
    def _login_is_one_of_two(self) -> Self:
        if self.token is not None and self.username is not None:
            raise ValueError("token and username exclude each other: keep one of them")
        if self.username is not None and self.password is None:
            raise ValueError("username needs password")
        if self.password is not None and self.username is None:
            raise ValueError("password needs username")
        if self.username is not None and ":" in self.username:
            raise ValueError("basic authentication allows no colon in username")
        return self

    @model_validator(mode="after")
    def _tls_files_fit(self) -> Self:
        if self.key is not None and self.cert is None:
            raise ValueError("key needs cert")
        if self.url.startswith("http:") and (self.ca or self.cert):
            raise ValueError("ca, cert and key need a url with https")
        return self

    @property
    def sink_name(self) -> str:
        """What counters, spool and dead letters call it."""
        return "loki" if self.name is None else f"loki.{self.name}"

    def build(self) -> LokiSink:
        """Make the sink; nothing is connected yet."""
        # What encodes is loaded where it is used: the supervisor only reads settings.
        from shipper.sinks.loki.sink import LokiSink

        client = self._client(self.connect_timeout_seconds, self.read_timeout_seconds)
        return LokiSink(
            client,
            encoding=self.encoding,
            max_batch_bytes=self.max_batch_bytes,
            name=self.sink_name,
        )

    def rehearsal(self, url: str) -> LokiSettings:
        """Return the same settings for a Loki at `url` that asks nobody who they are."""
        nobody = dict.fromkeys(("tenant", "username", "password", "token", "ca", "cert", "key"))
        return self.model_copy(update={**nobody, "url": url})

    def limits(self) -> LokiLimits | None:
        """Return the limits of Loki; `None` when they cannot be read."""
        client = self._client(self.connect_timeout_seconds, self.read_timeout_seconds)
        try:
            return read_limits(client)
        except SinkUnavailable:
            return None
        finally:
            client.close()

    def checks(self, *, metadata: bool = True) -> Sequence[Check]:
        """Return what must be true before anything is sent; `metadata`: lines will carry structured metadata."""
        checks: list[tuple[str, Callable[[float], Finding]]] = [
            ("check_loki_connection", self.check_connection),
            ("check_loki_clock", self.check_clock),
            ("check_loki_limits", partial(self.check_limits, metadata=metadata)),
        ]
        if self.url.startswith("https:"):
            checks.append(("check_loki_tls", self.check_tls))
        ending = "" if self.name is None else f"_{self.name}"
        return [Check(f"{name}{ending}", attempt, self.required) for name, attempt in checks]

    def _client(self, connect_timeout_seconds: float, read_timeout_seconds: float) -> Client:
        return Client(
            self.url,
            login=Login(self.tenant, self.username, self.password, self.token),
            tls=TlsFiles(self.ca, self.cert, self.key),
            connect_timeout_seconds=connect_timeout_seconds,
            read_timeout_seconds=read_timeout_seconds,
        )

    def check_connection(self, deadline_seconds: float) -> Finding:
        """Try whether Loki is there, giving up in time for the gate."""
        return check_loki_connection(self._hasty_client(deadline_seconds), tenant=self.tenant)

    def check_clock(self, deadline_seconds: float) -> Finding:
        """Compare our clock with Loki's."""
        return check_loki_clock(self._hasty_client(deadline_seconds), now_seconds=time.time)

    def check_limits(self, deadline_seconds: float, *, metadata: bool) -> Finding:
        """Compare Loki's limits with what will be sent."""
        return check_loki_limits(
            self._hasty_client(deadline_seconds),
            max_batch_bytes=self.max_batch_bytes,
            metadata=metadata,
        )

    def check_tls(self, deadline_seconds: float) -> Finding:
        """See how long the certificates are good."""
        timeout_seconds = min(self.connect_timeout_seconds, deadline_seconds / 4)
        files = TlsFiles(self.ca, self.cert, self.key)
        return check_loki_tls(
            self.url, files, timeout_seconds=timeout_seconds, now_seconds=time.time
        )

    def _hasty_client(self, deadline_seconds: float) -> Client:
        # Several requests may be needed, but only the first of them may hang: then no other is tried.
        share_seconds = deadline_seconds / 4
        return self._client(
            min(self.connect_timeout_seconds, share_seconds),
            min(self.read_timeout_seconds, share_seconds),
        )
