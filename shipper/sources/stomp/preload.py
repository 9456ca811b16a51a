"""Imported once, by the process that workers are forked from: the driver, which all of them then share."""

from __future__ import annotations

import shipper.sources.stomp.source  # noqa: F401 - all that matters is that it is loaded, and stomp.py with it
