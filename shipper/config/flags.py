"""The flags of the command line: one table that makes the options, the environment's names and the docs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shipper.config.override import Override
from shipper.config.secret import Secret
from shipper.core.errors import ConfigError

Kind = Literal[
    "text", "number", "count", "size", "seconds", "switch", "path", "secret", "secret_file"
]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag.

    Attributes:
        name: With underscores; the hyphenated form works as well.
        kind: What may follow it.
        default: The default in words, for people.
        help: What it means.
        place: `section.key` of the configuration that it overrides; empty when it is not part of the file.
        aliases: Other names.
        choices: The words that may follow it; empty for any.
    """

    name: str
    kind: Kind
    default: str
    help: str
    place: str = ""
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The environment variable that the flag can come from."""
        return f"SHIPPER_{self.name.upper()}"


FLAGS = (
    Flag("host", "text", "localhost", "SQream worker, or server picker with --clustered", "sqream.host"),
    Flag("port", "number", "5000", "Its port", "sqream.port"),
    Flag("database", "text", "master", "Database to log in to", "sqream.database"),
    Flag("username", "text", "sqream", "Role to log in as", "sqream.username", aliases=("user",)),
    Flag("password", "secret", "sqream", "Its password", "sqream.password"),
    Flag("password_file", "secret_file", "-", "Read the password from a file; beats --password", "sqream.password"),
    Flag("clustered", "switch", "off", "Connect through the server picker", "sqream.clustered"),
    Flag("service", "text", "monitor", "SQream service queue", "sqream.service"),
    Flag("loki_host", "text", "localhost", "Loki's host"),
    Flag("loki_port", "number", "3100", "Loki's port"),
    Flag("loki_url", "text", "-", "Full address of Loki (https, path prefix); beats host and port", "loki.url"),
    Flag("loki_tenant", "text", "-", "Tenant, sent as X-Scope-OrgID", "loki.tenant"),
    Flag("loki_username", "text", "-", "User of basic authentication", "loki.username"),
    Flag("loki_password_file", "secret_file", "-", "File with its password", "loki.password"),
    Flag("loki_token_file", "secret_file", "-", "File with a bearer token", "loki.token"),
    Flag("loki_ca", "text", "-", "TLS: file with the CAs that Loki's certificate is checked against", "loki.ca"),
    Flag("loki_cert", "text", "-", "TLS: our certificate", "loki.cert"),
    Flag("loki_key", "text", "-", "TLS: the key of our certificate", "loki.key"),
    Flag("config", "path", "monitor_input.json beside main.py, here, or in /etc/shipper", "Which metrics run"),
    Flag("state_dir", "path", "$XDG_STATE_HOME/shipper or ~/.local/state/shipper", "Where state is kept"),
    Flag("http_host", "text", "127.0.0.1", "Where the page and /metrics are served", "http.host"),
    Flag("http_port", "number", "9108", "Their port; 0 lets the system choose", "http.port"),
    Flag("http_token_file", "secret_file", "-", "File with their bearer token; a must beyond loopback", "http.token"),
    Flag("wait_seconds", "seconds", "0", "How long the startup checks keep trying before they give up"),
    Flag("drain_seconds", "seconds", "20", "How long workers may deliver what waits after the order to stop"),
    Flag("log_file_path", "path", "-", "Rotating log file beside the console"),
    Flag("log_file_max_bytes", "size", "10485760", "At which size it is rotated; 0: never, as with logrotate"),
    Flag("log_files_kept", "count", "5", "How many rotated ones are kept"),
    Flag("log_level", "text", "info", "Least severe level logged", choices=("debug", "info", "warning", "error")),
    Flag("log_format", "text", "text", "How log lines look", choices=("text", "json")),
)  # fmt: skip


def overrides(given: Mapping[str, Any]) -> tuple[Override, ...]:
    """Return what the given flags change in the configuration; flags that were not given are `None`.

    Raises:
        ConfigError: A flag's value cannot be used.
    """
    changed = []
    for flag in FLAGS:
        if flag.place and given.get(flag.name) is not None:
            section, key = flag.place.split(".")
            value = _value(flag, given[flag.name])
            changed.append(Override(section, key, value, f"--{flag.name}"))
    if given.get("loki_url") is None:
        changed.extend(_loki_address(given))
    # A later override of the same key beats an earlier one, so that --password_file beats --password.
    return tuple(changed)


def _value(flag: Flag, given: Any) -> object:  # noqa: ANN401 - the command line's own types
    match flag.kind:
        case "secret":
            return Secret("literal", given)
        case "secret_file":
            secret = Secret("file", given)
            _see_that_it_can_be_read(flag, secret)
            return secret
        case _:
            return given


def _see_that_it_can_be_read(flag: Flag, secret: Secret) -> None:
    try:
        secret.reveal()
    except ConfigError as error:
        raise ConfigError(f"--{flag.name}: {error}") from None


def _loki_address(given: Mapping[str, Any]) -> list[Override]:
    host, port = given.get("loki_host"), given.get("loki_port")
    if host is None and port is None:
        return []
    host = "localhost" if host is None else host
    shown = f"[{host}]" if ":" in host else host
    flag = "--loki_port" if given.get("loki_host") is None else "--loki_host"
    return [Override("loki", "url", f"http://{shown}:{3100 if port is None else port}", flag)]
