"""What must be true before jobs can post: the port is free, and the token can be read."""

from __future__ import annotations

from functools import partial

from shipper.config.secret import Secret
from shipper.core.checks import Check, Finding, Outcome
from shipper.core.errors import ConfigError, SourceUnavailable
from shipper.sources.jobs.place import Place

_HINTS = (
    ("already in use", "is another program listening there, or another Shipper?"),
    ("Permission denied", "ports below 1024 want CAP_NET_BIND_SERVICE; choose a higher one"),
    ("Cannot assign requested", "give an address of this machine, or 0.0.0.0 for all of them"),
    ("host that can be found", "check the spelling of the host"),
    ("Address family not supported", "is IPv6 turned off on this machine?"),
)


def startup_check(metric: str, place: Place, token: Secret | None, *, required: bool) -> Check:
    """Return the check of one port; it can be pickled."""
    return Check(f"check_jobs_{metric}", partial(try_place, place, token), required=required)


def try_place(place: Place, token: Secret | None, deadline_seconds: float) -> Finding:
    """Listen as the run will, and let go again."""
    del deadline_seconds  # nobody is asked who could be slow
    try:
        if token is not None:
            token.reveal()
        place.bind().close()
    except ConfigError as error:
        hint = "set the variable or write the file that `token` names"
        return Finding(Outcome.FAILED, str(error), hint)
    except SourceUnavailable as error:
        text = str(error)
        hint = next((hint for fragment, hint in _HINTS if fragment in text), "")
        return Finding(Outcome.FAILED, text, hint)
    if token is None and not place.is_loopback:
        text = f"{place} is free; everybody who reaches it may write and delete"
        return Finding(Outcome.NOTED, text, "give a `token`, or listen on 127.0.0.1")
    return Finding(Outcome.PASSED, f"{place} is free")
