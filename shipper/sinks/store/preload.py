"""What the fork server loads for workers that keep records in SQL: with each for itself it would be half a second."""

from __future__ import annotations

import shipper.sinks.store.sink
import shipper.store.files.table_set
import shipper.store.timeframes.table_set  # noqa: F401 - all that matters is that they are loaded
