"""Imported once, by the process that workers are forked from: the driver, which all of them then share."""

from __future__ import annotations

import shipper.sources.zeromq.source  # noqa: F401 - all that matters is that it is loaded, and pyzmq with it
