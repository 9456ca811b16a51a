"""Imported once, by the process that workers are forked from: the driver, which all of them then share."""

from __future__ import annotations

import contextlib

# Without procps the import fails with FileNotFoundError (pysqream runs vmstat); the startup checks tell that better.
with contextlib.suppress(OSError):
    import pysqream.pysqream  # noqa: F401 - all that matters is that it is loaded

import shipper.sources.sqream.driver  # noqa: F401
