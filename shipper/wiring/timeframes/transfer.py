"""What `export` and `import` do: rows on their way from a database into a file, and from a file into a database."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.engine import URL

from shipper.core.errors import ConfigError
from shipper.core.words import counted
from shipper.store.address import shown
from shipper.store.database import Database
from shipper.store.exchange.as_csv import CsvWriter, read_csv
from shipper.store.exchange.as_json import JsonWriter, read_json
from shipper.store.exchange.as_parquet import ParquetWriter, read_parquet
from shipper.store.exchange.columns import Column, Values
from shipper.store.exchange.incoming import Arrived, bring_in
from shipper.store.exchange.outgoing import parts
from shipper.store.exchange.subjects import SUBJECTS
from shipper.store.versions import hold, upgrade
from shipper.wiring.timeframes.doors import to_read, told
from shipper.wiring.timeframes.whole_file import whole_file

STANDARD_STREAM = "-"

Reader = Callable[[BinaryIO, Sequence[Column], str], Iterator[tuple[int, Values]]]


class Writer(Protocol):
    """Writes rows in one form."""

    def write(self, rows: Sequence[Values]) -> None:
        """Write some rows."""

    def close(self) -> None:
        """Write what is left, and leave the stream open."""


WRITERS: Mapping[str, Callable[[BinaryIO, Sequence[Column]], Writer]] = {
    "csv": CsvWriter,
    "json": JsonWriter,
    "parquet": ParquetWriter,
}
READERS: Mapping[str, Reader] = {"csv": read_csv, "json": read_json, "parquet": read_parquet}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is taken out, or brought in.

    Attributes:
        subject: `tf`, `runs`, `files` or `events`.
        form: `csv`, `json` or `parquet`.
        file: The file, or `-` for the standard stream.
        run: Only what belongs to this run.
        force: Whether a file that is there may be replaced.
    """

    subject: str
    form: str
    file: str
    run: int | None = None
    force: bool = False


def take_out(url: URL, wanted: Wanted, console: Console) -> int:
    """Write a table into a file, and return how many rows it has.

    Raises:
        ConfigError: The file must not be written.
        NotFound: There is no such SQLite file.
        StartupError: The database cannot be read, or the file not be written.
    """
    subject, rows = SUBJECTS[wanted.subject], 0
    # The file is opened only after the database: nothing is left of an export that could not begin.
    with to_read(url) as database, _to_write(wanted) as stream, _bar(console) as bar:
        task = bar.add_task("", total=1.0, rows=0)
        writer = WRITERS[wanted.form](stream, subject.columns)
        for part in parts(database, subject, run=wanted.run):
            writer.write(part.rows)
            rows += len(part.rows)
            bar.update(task, completed=part.done, rows=rows)
        writer.close()
        bar.update(task, completed=1.0)
    return rows


def bring_back(url: URL, wanted: Wanted, console: Console) -> Arrived:
    """Bring what a file holds back into its table, all of it or nothing; tables that are missing are made.

    Raises:
        ConfigError: The file cannot be read, or something in it is wrong.
        StartupError: The database cannot be written.
    """
    subject, arrived = SUBJECTS[wanted.subject], Arrived()
    with _to_read_from(wanted) as (stream, size_bytes, where), told(url):
        upgrade(url, subject.branch)
        database = Database(url, statement_timeout_seconds=None)
        rows = READERS[wanted.form](stream, subject.columns, where)
        try:
            with database.writing() as connection, _bar(console) as bar:
                hold(connection, subject.branch)
                task = bar.add_task("", total=size_bytes, rows=0)
                for arrived in bring_in(connection, subject, rows, where):
                    count = arrived.added + arrived.overwritten
                    done = stream.tell() if size_bytes else None
                    bar.update(task, completed=done, rows=count)
        finally:
            database.close()
    return arrived


def summary(arrived: Arrived, url: URL) -> str:
    """Return in one sentence what became of the rows of a file."""
    added = counted(arrived.added, "row", ("is", "are"))
    text = f"{added} new in {shown(url)}, {arrived.overwritten} were there"
    if arrived.renumbered:
        text += f"; {arrived.renumbered} got a new id, because another row has theirs"
    return f"{text}."


@contextmanager
def _to_write(wanted: Wanted) -> Iterator[BinaryIO]:
    if wanted.file == STANDARD_STREAM:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with whole_file(Path(wanted.file), force=wanted.force) as stream:
        yield stream


@contextmanager
def _to_read_from(wanted: Wanted) -> Iterator[tuple[BinaryIO, int | None, str]]:
    """Give the stream, how many bytes it has where that tells how far it is read, and its name."""
    if wanted.file == STANDARD_STREAM:
        yield sys.stdin.buffer, None, "standard input"
        return
    path = Path(wanted.file)
    try:
        stream = path.open("rb")
        size_bytes = path.stat().st_size
    except OSError as error:
        raise ConfigError(f"--input: {path} cannot be read: {error.strerror}") from None
    with stream:
        # Parquet is not read from one end to the other.
        yield stream, None if wanted.form == "parquet" else size_bytes, str(path)


def _bar(console: Console) -> Progress:
    """Return a bar for terminals; nothing is drawn elsewhere."""
    return Progress(
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rows]} rows"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
