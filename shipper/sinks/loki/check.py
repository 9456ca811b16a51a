"""Tries whether Loki is there, lets us in, is ready and has our time, without writing anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime

from shipper.core.checks import Finding, Outcome
from shipper.core.errors import SinkUnavailable
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.client import Client

READY_PATH = "/ready"
OTHER_PATHS = ("/loki/api/v1/status/buildinfo", "/metrics")
"""Asked when `/ready` does not answer 200; a gateway may hide some of the three."""

TENANT_PATH = "/loki/api/v1/labels"
"""Asked to learn whether a tenant is missing: `/ready` answers without one even where pushes need it (Loki 3.6)."""

NOT_TRIED = "not tried: Loki cannot be reached"
"""What the other checks say when `check_loki_connection` has more to say about the cause."""

CLOCK_NOTED_SECONDS = 5.0
CLOCK_AHEAD_SECONDS = 600.0
"""Loki's default `creation_grace_period`: what is further ahead is refused as too new."""
CLOCK_BEHIND_SECONDS = 7 * 86_400.0
"""Loki's default `reject_old_samples_max_age`: what is older is refused as too old."""

_HINTS = {
    "connection_refused": "start Loki, or correct host and port in loki.url",
    "connection_lost": "see that loki.url names Loki, and that nothing between here and there cuts connections",
    "dns": "correct the host in loki.url",
    "timeout": "see that the host is up and no firewall drops the packets",
    "tls": "compare loki.url (http or https), loki.ca, loki.cert and loki.key with what the server wants",
    "secret": "set the variable, or make the file readable",
}
_LOGIN_HINT = "correct loki.username and loki.password, or loki.token"
_PREFIX_HINT = "correct loki.url; a path prefix belongs to it"


def check_loki_connection(client: Client, *, tenant: str | None) -> Finding:
    """Ask Loki how it is and say what it answered.

    Any answer of 200 proves it: a false alarm would stop a run that could have worked.
    """
    try:
        return _ask(client, tenant)
    except SinkUnavailable as error:
        return Finding(Outcome.FAILED, str(error), _HINTS[error.reason])
    finally:
        client.close()


def check_loki_clock(client: Client, *, now_seconds: Callable[[], float]) -> Finding:
    """Compare our clock with the `Date` of an answer, which names whole seconds.

    Args:
        client: Loki.
        now_seconds: Our clock: seconds since the Unix epoch.
    """
    try:
        asked_seconds = now_seconds()
        answer = client.request("GET", READY_PATH)
        answered_seconds = now_seconds()
    except SinkUnavailable:
        return Finding(Outcome.FAILED, NOT_TRIED)
    finally:
        client.close()
    then = _moment(answer.headers.get("date", ""))
    if then is None:
        return Finding(Outcome.PASSED, "Loki's answers have no Date, so its clock is not known")
    # Half a second for the part of the second that Date leaves out.
    ahead_seconds = (asked_seconds + answered_seconds) / 2 - (then.timestamp() + 0.5)
    return _clock(ahead_seconds)


def _clock(ahead_seconds: float) -> Finding:
    if abs(ahead_seconds) <= CLOCK_NOTED_SECONDS:
        text = f"our clock and Loki's are within {CLOCK_NOTED_SECONDS:g} s of each other"
        return Finding(Outcome.PASSED, text)
    direction = "ahead of" if ahead_seconds > 0 else "behind"
    text = f"our clock is {_span(abs(ahead_seconds))} {direction} Loki's"
    hint = "set the clock that is wrong, and let NTP keep both"
    if ahead_seconds > CLOCK_AHEAD_SECONDS:
        return Finding(Outcome.FAILED, f"{text}: every line would be refused as too new", hint)
    if ahead_seconds < -CLOCK_BEHIND_SECONDS:
        return Finding(Outcome.FAILED, f"{text}: every line would be refused as too old", hint)
    return Finding(Outcome.NOTED, text, hint)


def _span(seconds: float) -> str:
    for unit, unit_seconds in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= unit_seconds:
            return f"{seconds / unit_seconds:.1f} {unit}"
    return f"{seconds:.0f} s"


def _moment(date: str) -> datetime | None:
    try:
        return parsedate_to_datetime(date)
    except ValueError:
        return None


def _ask(client: Client, tenant: str | None) -> Finding:
    ready = client.request("GET", READY_PATH)
    if _is_starting(ready):
        return Finding(
            Outcome.NOTED, f"{client.url} is starting and takes pushes already: {ready.gist}"
        )
    if ready.status == 200:
        return _with_tenant(client, tenant, Finding(Outcome.PASSED, f"{client.url} is ready"))
    if ready.status in (401, 403) or 300 <= ready.status < 400:
        return _shut_out(client.url, ready)
    if not any(client.request("GET", path).status == 200 for path in OTHER_PATHS):
        return _shut_out(client.url, ready)
    if ready.status < 500:
        return _with_tenant(client, tenant, Finding(Outcome.PASSED, f"{client.url} is there"))
    text = f"{client.url} is there, but not ready: it answered {ready.status}: {ready.gist}"
    return Finding(Outcome.NOTED, text, "look into Loki's own log if this lasts")


def _is_starting(ready: Answer) -> bool:
    # Loki 3.6 says so for 15 s after its start, in which it takes pushes.
    return ready.status == 503 and "Ingester not ready" in ready.text


def _with_tenant(client: Client, tenant: str | None, finding: Finding) -> Finding:
    if tenant is not None:
        return finding
    answer = client.request("GET", TENANT_PATH)
    if answer.status == 401 and "no org id" in answer.text:
        text = f"{client.url} wants a tenant (auth_enabled is on) and none is configured"
        return Finding(Outcome.FAILED, text, "set loki.tenant")
    return finding


def _shut_out(url: str, answer: Answer) -> Finding:
    match answer.status:
        case 401 | 403 if "no org id" in answer.text:
            text, hint = f"{url} wants a tenant", "set loki.tenant"
        case 401 | 403 as status:
            text, hint = f"{url} does not let us in: it answered {status}", _LOGIN_HINT
        case status if 300 <= status < 400:
            towards = answer.headers.get("location", "").partition("?")[0]
            text = f"{url} redirects to {towards or 'elsewhere'}"
            hint = "write the address where Loki is into loki.url; redirects are not followed"
        case 404:
            text, hint = f"nothing at {url} looks like Loki: it answered 404", _PREFIX_HINT
        case 400 if "http request" in answer.text.lower() and "https" in answer.text.lower():
            text, hint = f"{url} wants https", "write https:// into loki.url"
        case status:
            text = f"{url} answered {status}: {answer.gist or 'nothing'}"
            hint = "see that loki.url names Loki, and look into its log"
    return Finding(Outcome.FAILED, text, hint)
