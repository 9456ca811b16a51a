"""Tries whether Loki is there, lets us in and is ready, without writing anything."""

from __future__ import annotations

from shipper.core.checks import Finding, Outcome
from shipper.core.errors import SinkUnavailable
from shipper.sinks.loki.answer import Answer
from shipper.sinks.loki.client import Client

READY_PATH = "/ready"
OTHER_PATHS = ("/loki/api/v1/status/buildinfo", "/metrics")
"""Asked when `/ready` does not answer 200; a gateway may hide some of the three."""

TENANT_PATH = "/loki/api/v1/labels"
"""Asked to learn whether a tenant is missing: `/ready` answers without one even where pushes need it (Loki 3.6)."""

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
