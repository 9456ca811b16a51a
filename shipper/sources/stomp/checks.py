"""What must be true before messages are received: the broker lets us in, and is able to do what is asked of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shipper.core.checks import Finding, Outcome
from shipper.core.errors import SourceError
from shipper.sources.stomp.broker import Broker, Subscription

if TYPE_CHECKING:
    from shipper.sources.stomp.session import Session

_HINTS = (
    (r"refuses connections", "is a broker listening there, with a STOMP connector?"),
    (r"host that can be found", "check the spelling of the host"),
    (r"certificate is not accepted", "check `ca_certs`, and that the certificate names `host`"),
    (
        r"certificate required|no TLS.*hung up",
        "the broker may want a certificate: `cert` and `key`",
    ),
    (r"does not speak TLS", "give the TLS port (often 61614), or turn `ssl` off"),
    (r"no TLS", "check the port, and that the broker speaks TLS 1.2 or newer"),
    (
        r"instead of answering|did not answer the login",
        "is it a STOMP port, and is it TLS (`ssl`)?",
    ),
    (r"does not answer", "check host and port, and the firewall between"),
    (r"refuses the login", "check `user` and `password`"),
    (r"cannot be read|no such file in PEM|is encrypted", "mend the file, or its path"),
)


def try_login(broker: Broker, subscription: Subscription, deadline_seconds: float) -> Finding:
    """Log in and out again. Nothing is subscribed: a queue would hand its messages to the check."""
    # Imported here: stomp.py is needed by who connects only.
    from shipper.sources.stomp import session

    try:
        login = session.connect(broker, timeout_seconds=deadline_seconds / 2)
    except SourceError as error:
        return Finding(Outcome.FAILED, str(error), _hint(str(error)))
    try:
        return _finding(broker, subscription, login)
    finally:
        login.close()


def _finding(broker: Broker, subscription: Subscription, login: Session) -> Finding:
    server = login.server or "a broker without a name"
    text = f"{broker.far_end} is {server}, speaks STOMP {login.version}"
    if subscription.selector is not None and server.startswith("RabbitMQ"):
        return Finding(
            Outcome.FAILED,
            f"{text}, and ignores selectors: every message would come",
            "remove `selector`, and bind what is wanted with a topic pattern",
        )
    if login.silence_seconds is None:
        return Finding(
            Outcome.NOTED,
            f"{text}, and sends no heart-beats: a dead connection may stay unnoticed",
            "turn heart-beats on at the broker",
        )
    return Finding(Outcome.PASSED, f"{text}, and lets us in")


def _hint(text: str) -> str:
    return next((hint for pattern, hint in _HINTS if re.search(pattern, text)), "")
