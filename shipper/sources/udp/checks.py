"""What must be true before a UDP port is read: it is free, and the kernel gives the buffer that is asked for."""

from __future__ import annotations

from functools import partial

from shipper.core.checks import Check, Finding, Outcome
from shipper.core.errors import SourceUnavailable
from shipper.core.words import size
from shipper.sources.udp.port import LocalPort, dropped_datagrams, given_buffer_bytes

_HINTS = (
    ("already in use", "is another program listening there, or another Shipper?"),
    ("Permission denied", "ports below 1024 want CAP_NET_BIND_SERVICE; choose a higher one"),
    ("Cannot assign requested", "give an address of this machine, or :: for all of them"),
    ("host that can be found", "check the spelling of the host"),
    ("Address family not supported", "is IPv6 turned off on this machine?"),
)


def startup_check(metric: str, port: LocalPort, *, required: bool) -> Check:
    """Return the check of one port; it can be pickled."""
    return Check(f"check_udp_{metric}", partial(try_port, port), required=required)


def try_port(port: LocalPort, deadline_seconds: float) -> Finding:
    """Listen as the run will, and let go again."""
    del deadline_seconds  # nobody is asked who could be slow
    try:
        with port.bind() as bound:
            dropped_datagrams(bound)
            given_bytes = given_buffer_bytes(bound)
    except SourceUnavailable as error:
        text = str(error)
        hint = next((hint for fragment, hint in _HINTS if fragment in text), "")
        return Finding(Outcome.FAILED, text, hint)
    except OSError as error:
        hint = "SO_MEMINFO wants Linux 4.12 or newer"
        return Finding(Outcome.FAILED, f"the kernel tells no drops: {error.strerror}", hint)
    text = f"{port} is free; its receive buffer has {size(given_bytes)}"
    if given_bytes >= port.buffer_bytes:
        return Finding(Outcome.PASSED, text)
    return Finding(
        Outcome.NOTED,
        f"{text}, not {size(port.buffer_bytes)}: bursts may be lost",
        f"sysctl -w net.core.rmem_max={port.buffer_bytes}, or ask for less",
    )
