"""What must be true before messages are received: the port is free, or the far end lets us in as we mean to come.

No socket of ZeroMQ is opened: senders would take it for the run's and hand it messages, and those that it does not suit
would never come again (libzmq 4.3.5).
"""

from __future__ import annotations

from shipper.core.checks import Finding, Outcome
from shipper.core.errors import SourceUnavailable
from shipper.sources.zeromq.channels.site import Site, room_for
from shipper.sources.zeromq.greeting import mechanism
from shipper.sources.zeromq.port import bound
from shipper.sources.zeromq.wire import Wire

_HINTS = (
    ("already in use", "is another program listening there, or another Shipper?"),
    ("Permission denied", "ports below 1024 want CAP_NET_BIND_SERVICE; choose a higher one"),
    ("Cannot assign requested", "give an address of this machine, or * for all of them"),
    ("host that can be found", "check the spelling of the host"),
    ("Address family not supported", "is IPv6 turned off on this machine?"),
    ("Name or service not known", "check the spelling of the host"),
    ("refused", "is the far end running, and does it bind this port?"),
    ("does not answer", "check host and port, and the firewall between"),
    ("does not speak ZMTP", "is it the port of a ZeroMQ socket?"),
    ("environment variable", "set the variable"),
    ("secret's file", "mend the file, or its path"),
    ("40 characters", "make a pair of keys with zmq.curve_keypair()"),
)


def try_wire(wire: Wire, deadline_seconds: float) -> Finding:
    """Try what can be tried without receiving anything."""
    try:
        if wire.curve is not None:
            wire.curve.reveal()
        if wire.binds:
            bound(wire.endpoint).close()
            return Finding(Outcome.PASSED, f"{wire.endpoint} is free")
        spoken = mechanism(wire.endpoint, deadline_seconds / 2)
    except SourceUnavailable as error:
        return _failed(error)
    return _judged(wire, spoken)


def try_site(site: Site, deadline_seconds: float) -> Finding:
    """Try what channels need: the port, the token, and files for all clients."""
    del deadline_seconds  # nobody is asked who could be slow
    try:
        site.reveal()
        bound(site.endpoint).close()
    except SourceUnavailable as error:
        return _failed(error)
    if (room := room_for(site.most_clients)) < site.most_clients:
        return Finding(
            Outcome.NOTED,
            f"{site.endpoint} is free; there is room for {room} clients, not {site.most_clients}",
            "raise the hard limit of open files (LimitNOFILE), or lower max_clients",
        )
    return Finding(Outcome.PASSED, f"{site.endpoint} is free for clients of channels")


def _failed(error: SourceUnavailable) -> Finding:
    text = str(error)
    hint = next((hint for fragment, hint in _HINTS if fragment in text), "")
    return Finding(Outcome.FAILED, text, hint)


def _judged(wire: Wire, spoken: str) -> Finding:
    ours = "NULL" if wire.curve is None else "CURVE"
    if spoken == ours:
        return Finding(Outcome.PASSED, f"{wire.endpoint} answers, and speaks ZeroMQ with {spoken}")
    hint = "leave `curve` out" if spoken == "NULL" else "give the keys in `curve`"
    return Finding(
        Outcome.FAILED,
        f"{wire.endpoint} speaks ZeroMQ with {spoken}, and this entry with {ours}",
        hint
        if spoken in ("NULL", "CURVE")
        else f"{spoken} is not known here; the far end has to offer {ours}",
    )
