"""What waits on disk: one SQLite file per metric, for the records of every sink and for the cursor of its source."""

from shipper.pipeline.spool.claim import SpoolTaken, claim_spool
from shipper.pipeline.spool.parcel import Parcel
from shipper.pipeline.spool.rows import Checkpoint
from shipper.pipeline.spool.shelf import Shelf
from shipper.pipeline.spool.spool import Spool, spool_path

__all__ = ["Checkpoint", "Parcel", "Shelf", "Spool", "SpoolTaken", "claim_spool", "spool_path"]
