"""Who we are to Loki: tenant, password or token, and the TLS files."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from pathlib import Path

from shipper.config.secret import Secret
from shipper.core.errors import ConfigError
from shipper.core.secrecy import conceal


@dataclass(frozen=True, slots=True)
class Login:
    """What is sent along with every request.

    Attributes:
        tenant: `X-Scope-OrgID`; Loki without `auth_enabled` ignores it.
        username: With `password` it makes basic authentication.
        password: The password of `username`.
        token: Bearer token, instead of a username.
    """

    tenant: str | None = None
    username: str | None = None
    password: Secret | None = None
    token: Secret | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers, reading the secret afresh.

        Raises:
            ConfigError: The secret's variable is not set, its file cannot be read, or no header can hold it.
        """
        headers = {} if self.tenant is None else {"X-Scope-OrgID": self.tenant}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {_printable(self.token.reveal())}"
        elif self.username is not None and self.password is not None:
            pair = _encoded(f"{self.username}:{self.password.reveal()}")
            sent = base64.b64encode(pair).decode()
            conceal(sent)
            headers["Authorization"] = f"Basic {sent}"
        return headers


def _printable(token: str) -> str:
    """Return the token if a header can hold it; http.client would complain with the token in its message."""
    if not (token.isascii() and token.isprintable()):
        raise ConfigError("the token holds characters that cannot be sent in a header")
    return token


def _encoded(login: str) -> bytes:
    """Return name and password as UTF-8; bytes of an environment variable that are none stay what they were."""
    try:
        return login.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ConfigError("name or password hold characters that cannot be sent") from None


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files for TLS; without `ca` the system's own authorities are trusted.

    Attributes:
        ca: Authorities in PEM that may have signed the far end's certificate.
        cert: Our own certificate in PEM, with its chain.
        key: The private key of `cert`; may stand in the same file.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files.

        Raises:
            OSError: A file is missing or is not what it should be (`ssl.SSLError` is one too).
        """
        context = ssl.create_default_context(cafile=self.ca)
        if self.cert is not None:
            # An empty password: an encrypted key is refused, where OpenSSL would ask at the terminal and wait.
            context.load_cert_chain(self.cert, self.key, password="")
        return context
