"""Says how long the certificates for https are good: Loki's, and ours where one is shown.

Dates are read from connections on which everything but them was verified, so that an expired certificate still tells
when it expired; whether Loki can be trusted is for `check_loki_connection` to say.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

from shipper.core.checks import Finding, Outcome
from shipper.sinks.loki.access import TlsFiles
from shipper.sinks.loki.check import NOT_TRIED

SOON_DAYS = 14
HTTPS_PORT = 443

_SECONDS_PER_DAY = 86_400
_HANDSHAKE_TURNS = 3

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL 1.1.1 and 3, for which the ssl module has no name.
_NO_CHECK_TIME = 0x200000


def check_loki_tls(
    url: str, files: TlsFiles, *, timeout_seconds: float, now_seconds: Callable[[], float]
) -> Finding:
    """Read the dates of the certificates.

    Args:
        url: Where Loki is; with `https`.
        files: What is trusted and what we show.
        timeout_seconds: The longest wait for a connection, and again for each step of the handshake.
        now_seconds: Seconds since the Unix epoch.
    """
    try:
        theirs = _end_of_theirs(url, files, timeout_seconds)
        findings = [_judge("Loki's certificate", theirs, now_seconds(), "renew it at Loki")]
        if files.cert is not None:
            ours = _end_of_ours(files)
            findings.append(_judge("ours", ours, now_seconds(), "renew the file of loki.cert"))
    except OSError:
        return Finding(Outcome.FAILED, NOT_TRIED)
    outcomes = [finding.outcome for finding in findings]
    return Finding(
        next((one for one in (Outcome.FAILED, Outcome.NOTED) if one in outcomes), Outcome.PASSED),
        ", ".join(finding.text for finding in findings),
        ", ".join(finding.hint for finding in findings if finding.hint),
    )


def _judge(whose: str, end_seconds: float, now_seconds: float, hint: str) -> Finding:
    date = datetime.fromtimestamp(end_seconds, UTC).date()
    if end_seconds <= now_seconds:
        return Finding(Outcome.FAILED, f"{whose} expired on {date}", hint)
    days = int((end_seconds - now_seconds) / _SECONDS_PER_DAY)
    text = f"{whose} is good until {date}, {days} days from now"
    if days < SOON_DAYS:
        return Finding(Outcome.NOTED, text, hint)
    return Finding(Outcome.PASSED, text)


def _end_of_theirs(url: str, files: TlsFiles, timeout_seconds: float) -> float:
    """Connect, and return when the certificate we are shown ends.

    Raises:
        OSError: Loki cannot be reached, cannot be trusted, or a file cannot be read.
    """
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    context = files.context()
    context.verify_flags |= _NO_CHECK_TIME
    address = (host, parts.port or HTTPS_PORT)
    with (
        socket.create_connection(address, timeout_seconds) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        return _end(secured)


def _end_of_ours(files: TlsFiles) -> float:
    """Return when our certificate ends.

    We show it to ourselves, without a network: the ssl module tells the dates only of a certificate it was shown.

    Raises:
        OSError: A file cannot be read.
    """
    if files.cert is None:
        raise FileNotFoundError("there is no certificate of ours")
    showing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    showing.check_hostname = False
    showing.verify_mode = ssl.CERT_NONE
    seeing = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    seeing.verify_mode = ssl.CERT_REQUIRED
    seeing.verify_flags |= _NO_CHECK_TIME | ssl.VERIFY_X509_PARTIAL_CHAIN
    seeing.load_verify_locations(files.cert)
    for context in (showing, seeing):
        context.load_cert_chain(files.cert, files.key, password="")
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = showing.wrap_bio(to_client, to_server)
    server = seeing.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_HANDSHAKE_TURNS):
        for end in (client, server):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return _end(server)


def _end(connection: ssl.SSLSocket | ssl.SSLObject) -> float:
    shown = connection.getpeercert() or {}
    return ssl.cert_time_to_seconds(str(shown["notAfter"]))
