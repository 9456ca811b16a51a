"""Imported once, by the process that workers are forked from: SQLAlchemy and the drivers, which all then share."""

from __future__ import annotations

import contextlib

# Without its driver an engine cannot be used, which the startup checks tell better.
with contextlib.suppress(ImportError):
    import shipper.sources.sql.engines.mariadb
with contextlib.suppress(ImportError):
    import shipper.sources.sql.engines.postgres
import shipper.sources.sql.engines.sqlite
import shipper.sources.sql.source  # noqa: F401 - all that matters is that they are loaded
