"""Imported once, by the process that workers are forked from: the drivers, which all of them then share."""

from __future__ import annotations

# All that matters is that they are loaded, and pyzmq and websockets with them.
import shipper.sources.zeromq.channels.service
import shipper.sources.zeromq.source  # noqa: F401
