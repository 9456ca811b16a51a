"""The tables `pysmurf_files_v1` and `pysmurf_remote_v1`, as the newest migration leaves them.

`pysmurf_files_v1` has the columns of the pysmurf monitor of 2021, and its types, so that what reads that table goes on
reading it: flags are the numbers 0 and 1, times are UTC without a zone, in whole seconds.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

PATH_CHARACTERS = 4096
"""Linux opens no longer path (PATH_MAX, in bytes)."""

NAME_CHARACTERS = 255
VERSION_CHARACTERS = 64

ARCHIVE_CHARACTERS = 32
REMOTE_PATH_CHARACTERS = 1024
"""Five names of at most 255 characters, of which two are short."""

MD5 = sa.LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb")
FLAG = sa.SmallInteger().with_variant(mysql.TINYINT(1), "mysql", "mariadb")

METADATA = sa.MetaData()

files = sa.Table(
    "pysmurf_files_v1",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("path", sa.String(PATH_CHARACTERS), nullable=False),
    sa.Column("action", sa.String(NAME_CHARACTERS)),
    # Without NULL in so many words MariaDB sets the time anew whenever a row changes.
    sa.Column("timestamp", sa.TIMESTAMP, nullable=True, server_default=sa.text("NULL")),
    sa.Column("action_timestamp", sa.Integer),
    sa.Column("format", sa.String(NAME_CHARACTERS)),
    sa.Column("plot", FLAG),
    sa.Column("site", sa.String(NAME_CHARACTERS)),
    sa.Column("pub_id", sa.String(NAME_CHARACTERS)),
    sa.Column("script_id", sa.String(NAME_CHARACTERS)),
    sa.Column("instance_id", sa.String(NAME_CHARACTERS)),
    sa.Column("copied", FLAG),
    sa.Column("failed_copy_attempts", sa.Integer),
    sa.Column("md5sum", MD5, nullable=False),
    sa.Column("pysmurf_version", sa.String(VERSION_CHARACTERS)),
    sa.Column("socs_version", sa.String(VERSION_CHARACTERS)),
    sa.Index("ix_pysmurf_files_v1_md5sum", "md5sum", "timestamp"),
)

remote_files = sa.Table(
    "pysmurf_remote_v1",
    METADATA,
    sa.Column(
        "file_id",
        sa.ForeignKey("pysmurf_files_v1.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("archive_name", sa.String(ARCHIVE_CHARACTERS), nullable=False),
    sa.Column("remote_path", sa.String(REMOTE_PATH_CHARACTERS), nullable=False),
    sa.Column("deletable", FLAG, nullable=False),
)
