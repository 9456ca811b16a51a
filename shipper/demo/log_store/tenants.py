"""Who pushes or asks: the tenant of a request, by the rules of Loki's X-Scope-OrgID header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from shipper.demo.log_store.refusal import Refused

NO_AUTH_TENANT: Final = "fake"
"""The tenant of every request while authentication is off; the name is Loki's."""

_UNSUPPORTED = re.compile(r"[^a-zA-Z0-9!\-_.*'()]")
_MAX_CHARACTERS = 150


def tenant_of(headers: Mapping[str, str], *, auth_enabled: bool) -> str:
    """Return the tenant of a request.

    Raises:
        Refused: Authentication is on, and the header names no tenant, or a wrong one.
    """
    if not auth_enabled:
        return NO_AUTH_TENANT
    tenant = headers.get("x-scope-orgid", "")
    if not tenant:
        raise Refused(401, "no org id")
    if len(set(tenant.split("|"))) > 1:
        raise Refused(400, "multiple org IDs present")
    tenant = tenant.split("|")[0]
    if wrong := _UNSUPPORTED.search(tenant):
        trouble = f"contains unsupported character '{wrong.group()}'"
        raise Refused(400, f"tenant ID '{tenant}' {trouble}")
    if len(tenant) > _MAX_CHARACTERS:
        raise Refused(400, f"tenant ID is too long: max {_MAX_CHARACTERS} characters")
    if tenant in (".", ".."):
        raise Refused(400, "tenant ID is '.' or '..'")
    return tenant
