"""A SQreamDB worker that answers over TCP as a real one does, for the demo and the tests.

    with SqreamEmulator() as emulator:
        pysqream.connect(emulator.host, emulator.port, "master", "sqream", "sqream")

It speaks the wire protocol of pysqream 5.0.0 to 6.3.0 and answers the monitoring functions
from a small invented world; tests add results of their own (`serve`) and faults (`faults`).
"""

from __future__ import annotations

from shipper.demo.sqream.catalog import Caller, StatementRefused
from shipper.demo.sqream.columns import Column, Row, WireType
from shipper.demo.sqream.emulator import SqreamEmulator
from shipper.demo.sqream.faults import (
    SHUTTING_DOWN,
    ActiveFault,
    Cut,
    Delay,
    ErrorAnswer,
    Fault,
    Hang,
    Step,
)
from shipper.demo.sqream.instance import GPU_WORKER_TEXT, INTERNAL_RUNTIME_ERROR
from shipper.demo.sqream.listener import TlsFiles
from shipper.demo.sqream.picker import SqreamPicker
from shipper.demo.sqream.tally import Counts
from shipper.demo.sqream.world import World

__all__ = [
    "GPU_WORKER_TEXT",
    "INTERNAL_RUNTIME_ERROR",
    "SHUTTING_DOWN",
    "ActiveFault",
    "Caller",
    "Column",
    "Counts",
    "Cut",
    "Delay",
    "ErrorAnswer",
    "Fault",
    "Hang",
    "Row",
    "SqreamEmulator",
    "SqreamPicker",
    "StatementRefused",
    "Step",
    "TlsFiles",
    "WireType",
    "World",
]
