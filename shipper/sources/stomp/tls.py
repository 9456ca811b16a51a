"""TLS to a broker: a certificate that our CA vouches for and that names the host, or no connection at all.

stomp.py 8.2 makes a context of its own: without CA certificates it verifies nothing, and it cannot be given ours.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from shipper.core.errors import SourceUnavailable
from shipper.sources.stomp.broker import TlsFiles


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context that verifies chain and host name and speaks TLS 1.2 or newer.

    Raises:
        SourceUnavailable: A file cannot be read, or does not hold what it should; it may be put right.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=files.ca_certs)
    except OSError as error:
        raise _unusable("ca_certs", files.ca_certs, error) from None
    if files.cert is None:
        return context
    try:
        # Without a password of ours OpenSSL would ask for the key's at the terminal.
        context.load_cert_chain(files.cert, files.key, password=_no_password)
    except _Encrypted:
        raise SourceUnavailable(f"key {files.key or files.cert} is encrypted") from None
    except OSError as error:
        raise _unusable("cert", files.cert, error) from None
    return context


class _Encrypted(Exception):
    """A key wants a password."""


def _no_password() -> str:
    raise _Encrypted


def _unusable(key: str, path: Path, error: OSError) -> SourceUnavailable:
    if isinstance(error, ssl.SSLError):
        return SourceUnavailable(f"{key} {path} is no such file in PEM: {error.reason or 'empty'}")
    return SourceUnavailable(f"{key} {path} cannot be read: {error.strerror}")
