"""Imported once, by the process that workers are forked from: what serves and what writes, half a second's worth."""

from __future__ import annotations

import shipper.sources.jobs.app
import shipper.sources.jobs.source  # noqa: F401 - all that matters is that they are loaded
