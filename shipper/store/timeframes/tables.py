"""The tables `runs` and `tf_metadata`, as the newest migration leaves them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from shipper.store.moment import Moment
from shipper.store.timeframes.limits import FILE_ID_CHARACTERS

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


METADATA = sa.MetaData()

runs = sa.Table(
    "runs",
    METADATA,
    sa.Column("run_number", NUMBER, primary_key=True, autoincrement=False),
    sa.Column("start_time", Moment, nullable=False),
    sa.Column("end_time", Moment),
    sa.Column("total_tfs", NUMBER, nullable=False),
    sa.Column("run_conditions", LONG_TEXT),
    sa.Column("total_size_bytes", sa.BigInteger, nullable=False, server_default="0"),
)

time_frames = sa.Table(
    "tf_metadata",
    METADATA,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column(
        "file_id",
        sa.Text().with_variant(sa.String(FILE_ID_CHARACTERS), "mysql", "mariadb"),
        nullable=False,
        unique=True,
    ),
    sa.Column("run_number", NUMBER, nullable=False),
    sa.Column("tf_number", NUMBER),
    sa.Column("file_url", LONG_TEXT),
    sa.Column("file_size_bytes", NUMBER),
    sa.Column("checksum", LONG_TEXT),
    sa.Column("status", LONG_TEXT),
    sa.Column("created_at", Moment, index=True),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("metadata_json", LONG_TEXT),
    sa.Index("tf_metadata_run_number_created_at", "run_number", "created_at"),
)
