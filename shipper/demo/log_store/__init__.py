"""A small Loki-compatible log store for demos and tests; never a replacement for Loki.

It answers as Loki 3.6 does with its default limits, refusals included, and keeps its lines in SQLite.
"""

from __future__ import annotations

from shipper.demo.log_store.limits import Limits
from shipper.demo.log_store.pushes import Answer, SeenPush
from shipper.demo.log_store.server import LogStore, Tls
from shipper.demo.log_store.storage import StoredLine

__all__ = ["Answer", "Limits", "LogStore", "SeenPush", "StoredLine", "Tls"]
