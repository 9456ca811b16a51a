"""The section `sqream`: how all metrics of this kind reach SQreamDB."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from shipper.config.models import Port, Seconds, Settings
from shipper.config.secret import Secret
from shipper.config.settings import Zone
from shipper.sources.sqream.functions import is_action

FunctionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""A function's name: it becomes SQL."""

Text = Annotated[str, StringConstraints(min_length=1)]


class SqreamConnection(Settings):
    """How to reach SQreamDB. Flags of the command line beat these keys."""

    host: Text = "localhost"
    """Name or IPv4 address of a SQream worker, or of the server picker when `clustered`."""

    port: Port = 5000
    """Port of the worker (5000, TLS 5001), or of the server picker (3108, TLS 3109)."""

    database: Text = "master"
    """Database to connect to."""

    username: Text = "sqream"
    """Role to log in as; it needs LOGIN, CONNECT on the database and USAGE on the service."""

    password: Secret = Field(default_factory=lambda: Secret("literal", "sqream"))
    """Password of the role. Default: `sqream`."""

    clustered: bool = False
    """`true`: host and port are those of the server picker, which names a worker."""

    use_ssl: bool = False
    """`true`: speak TLS with the worker. The driver encrypts, but never verifies the certificate."""

    service: Text = "monitor"
    """SQream service (queue) that runs the statements; meant for a worker without a GPU."""

    allow_functions: list[FunctionName] = Field(default=[])
    """Functions that may be polled beside the known ones; list only functions that read. Actions stay refused."""

    ready_metrics: bool = False
    """`true`: every metric has the ready-made Prometheus metrics of its function."""

    timezone: Zone = "UTC"
    """The server's time zone, like `Europe/Zurich`: the times that its functions tell have none. The ready-made metrics
    go by it."""

    login_timeout_seconds: Seconds = 10
    """Longest wait for connecting and logging in."""

    @field_validator("allow_functions")
    @classmethod
    def _no_actions(cls, functions: list[str]) -> list[str]:
        for function in functions:
            if is_action(function):
                raise ValueError(f'"{function}" acts on the server and cannot be allowed')
        return functions

    @property
    def far_end(self) -> str:
        """Where the connection leads, as `host:port`."""
        return f"{self.host}:{self.port}"
