"""The Time Frame client's words: `start`, `status`, `init-db`, `export` and `import`, with the flags it always had.

What they need is imported when one of them runs: no other command waits for it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from rich.console import Console

from shipper.cli.flags import Command, drop_beaten, log_settings, option, with_options
from shipper.config.flags import FLAGS, Flag, overrides
from shipper.config.secret import Secret
from shipper.core.errors import ConfigError, ShipperError
from shipper.core.words import counted

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from shipper.wiring.timeframes.composed import BrokerFlags

DATABASE_FLAGS = (
    Flag("db_engine", "text", "sqlite", "Kind of database: sqlite, postgresql, or mysql, which is MariaDB as well"),
    Flag("db_name", "text", "fastmon_client.db", "File of SQLite, or name of the database"),
    Flag("db_host", "text", "localhost", "Its server; not for SQLite, like all that follows"),
    Flag("db_port", "text", "5432 or 3306", "The server's port"),
    Flag("db_user", "text", "-", "Whom to log in as"),
    Flag("db_password", "secret", "-", "Password of that user; everybody on this machine can see it"),
    Flag("db_password_file", "secret_file", "-", "Read that password from a file; beats --db-password"),
)  # fmt: skip

BROKER_FLAGS = (
    Flag("host", "text", "localhost", "The broker"),
    Flag("port", "number", "61613", "Its STOMP port"),
    Flag("topic", "text", "epic.fastmon.tf", "What to receive; without a slash in front it is a topic"),
    Flag("user", "text", "admin", "Whom to log in as at the broker"),
    Flag("password", "secret", "admin", "Password of that user; everybody on this machine can see it"),
    Flag("password_file", "secret_file", "-", "Read that password from a file; beats --password"),
    Flag("ssl", "switch", "off", "Speak TLS; needs --ca-certs"),
    Flag("ca_certs", "text", "-", "File with the CAs that the broker's certificate is checked against"),
)  # fmt: skip

LATER_VARIABLES = {
    "host": "ACTIVEMQ_HOST",
    "port": "ACTIVEMQ_PORT",
    "user": "ACTIVEMQ_USER",
    "password": "ACTIVEMQ_PASSWORD",
    "ssl": "ACTIVEMQ_USE_SSL",
    "ca_certs": "ACTIVEMQ_SSL_CA_CERTS",
}
"""What the later client read from the environment; ours come first."""

CONFIG_FLAG = Flag(
    "config", "path", "-", "Configuration file of which the sections loki, http and store are used", aliases=("c",)
)  # fmt: skip

RUN_FLAGS = tuple(
    flag
    for flag in FLAGS
    if flag.name.startswith(("loki_", "http_", "log_"))
    or flag.name in ("state_dir", "wait_seconds", "drain_seconds")
)
"""The flags of `run` that mean the same for `start`."""

SAID_IN_ANOTHER_WAY = (
    ("password_file", "password"),
    ("db_password_file", "db_password"),
    ("loki_url", "loki_host"),
    ("loki_url", "loki_port"),
)

FORMS = click.Choice(("csv", "json", "parquet"))
SUBJECTS = ("tf", "runs", "files", "events")
RUN_NUMBER = click.IntRange(-(2**63), 2**63 - 1)


def _with_broker_flags(command: Command) -> Command:
    for flag in reversed(BROKER_FLAGS):
        command = option(flag, also_variable=LATER_VARIABLES.get(flag.name))(command)
    return command


_with_database_flags = with_options((*DATABASE_FLAGS, CONFIG_FLAG))

_yes = click.option("--yes", "-y", is_flag=True, help="Answer questions with yes.")


@click.command()
@_with_broker_flags
@_with_database_flags
@with_options(RUN_FLAGS)
@click.option("--verbose", "-v", is_flag=True, help="The same as --log_level debug.")
def start(verbose: bool, **given: Any) -> None:  # noqa: ANN401 - the values of the flags
    """Keep every Time Frame that is announced, and show it, until SIGINT or SIGTERM.

    With Loki it is shipped as well: --loki_url, SHIPPER_LOKI_URL, or the section loki of --config.
    """
    from shipper.wiring.settings import DRAIN_SECONDS, RunSettings
    from shipper.wiring.timeframes import start as starting
    from shipper.wiring.timeframes.composed import Composition

    drop_beaten(given, SAID_IN_ANOTHER_WAY)
    if verbose:
        given["log_level"] = "debug"
    database, file = _database(given, usual=True)
    starting.start(
        Composition(_broker(given), database, file),
        RunSettings(
            path=file or Path("the command line"),
            overrides=overrides({flag.name: given[flag.name] for flag in RUN_FLAGS}),
            state_dir=Path(given["state_dir"] or starting.state_dir_of(database)),
            wait_seconds=given["wait_seconds"] or 0.0,
            drain_seconds=DRAIN_SECONDS
            if given["drain_seconds"] is None
            else given["drain_seconds"],
            log=log_settings(given),
        ),
    )


@click.command()
@_with_database_flags
@click.option("--run", type=RUN_NUMBER, help="Only this run, with more about it.")
def status(run: int | None, **given: Any) -> None:  # noqa: ANN401 - the values of the flags
    """Show the ten runs with the highest numbers, or one run."""
    from shipper.wiring.timeframes import status as asking

    database, _ = _database(given)
    click.echo("\n".join(asking.status(database, run)))


@click.command(name="init-db")
@_with_database_flags
@click.option(
    "--tables",
    type=click.Choice(("tf", "files", "jobs")),
    default="tf",
    show_default=True,
    help="Those of Time Frames, of files that pysmurf announces, or of jobs.",
)
@click.option("--drop", is_flag=True, help="Drop the tables, and everything in them.")
@_yes
def init_db(tables: str, drop: bool, yes: bool, **given: Any) -> None:  # noqa: ANN401 - flags
    """Make the tables, or bring those that are there up to date; no row is lost."""
    from shipper.wiring.timeframes import tables as shaping

    database, _ = _database(given, files=tables == "files")
    wanted = shaping.TABLES[tables]
    question = shaping.before_drop(database, wanted) if drop else shaping.before_make(database)
    if question and not yes and not _says_yes(question):
        click.echo("Nothing was changed.")
        return
    click.echo(shaping.drop(database, wanted) if drop else shaping.make(database, wanted))


@click.command()
@click.argument("subject", type=click.Choice(SUBJECTS))
@click.option("--format", "form", type=FORMS, required=True, help="json is one object a line.")
@click.option("--output", required=True, help="The file; - is standard output, not for parquet.")
@click.option("--run", type=RUN_NUMBER, help="Only Time Frames of this run.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@_with_database_flags
def export(
    subject: str,
    form: str,
    output: str,
    run: int | None,
    force: bool,
    **given: Any,  # noqa: ANN401 - the values of the flags
) -> None:
    """Write a table into a file: Time Frames (tf), their runs, the files that pysmurf announced, or events of jobs."""
    from shipper.wiring.timeframes.transfer import Wanted, take_out

    _see_that_it_travels(form, output)
    if run is not None and subject != "tf":
        raise click.UsageError("--run is for tf")
    database, _ = _database(given, files=subject == "files")
    wanted = Wanted(subject, form, output, run=run, force=force)
    rows = take_out(database, wanted, Console(stderr=True))
    place = "standard output" if output == "-" else output
    click.echo(f"{counted(rows, 'row')} written to {place}.", err=True)


@click.command(name="import")
@click.argument("subject", type=click.Choice(SUBJECTS))
@click.option("--format", "form", type=FORMS, required=True, help="json is one object a line.")
@click.option(
    "--input", "source", required=True, help="The file; - is standard input, not for parquet."
)
@_with_database_flags
def import_(subject: str, form: str, source: str, **given: Any) -> None:  # noqa: ANN401 - flags
    """Bring back what export wrote: all of it, or nothing when something is wrong with the file."""
    from shipper.wiring.timeframes.transfer import Wanted, bring_back, summary

    _see_that_it_travels(form, source)
    database, _ = _database(given, files=subject == "files")
    arrived = bring_back(database, Wanted(subject, form, source), Console(stderr=True))
    click.echo(summary(arrived, database), err=True)


COMMANDS = (start, status, init_db, export, import_)


def _see_that_it_travels(form: str, file: str) -> None:
    if form == "parquet" and file == "-":
        raise click.UsageError("parquet needs a file; csv and json can do with -")


def _says_yes(question: str) -> bool:
    try:
        return click.confirm(question)
    except click.Abort:
        raise ShipperError("nobody answered, so nothing was changed; --yes answers") from None


def _database(
    given: dict[str, Any], *, files: bool = False, usual: bool = False
) -> tuple[URL, Path | None]:
    """Return where the database is, and the configuration file if one is given.

    Args:
        given: The values of the flags.
        files: Whether it is about files of pysmurf, so that `MYSQL_*` may name the database.
        usual: Whether a file that names no database leaves it to the flags and their defaults.

    Raises:
        ConfigError: A flag or the file cannot be used.
    """
    from shipper.wiring.timeframes.address import ENGINES, DatabaseFlags

    drop_beaten(given, (("db_password_file", "db_password"),))
    engine = given["db_engine"]
    if engine is not None and engine.lower() not in ENGINES:
        raise click.UsageError(f"--db-engine: {engine} is not one of {', '.join(ENGINES)}")
    file = Path(given["config"]) if given["config"] else None
    flags = DatabaseFlags(
        engine=engine,
        name=given["db_name"],
        host=given["db_host"],
        port=given["db_port"],
        user=given["db_user"],
        password=_secret(given, "db_password"),
    )
    if flags.said_something():
        return flags.url(), file
    url = None if file is None else _url_of(file)
    if url is None and files:
        url = _url_of_mysql_environment()
    if url is None and file is not None and not usual:
        text = "it is not given, so a run keeps records in its state directory; name that file with --db-name"
        raise ConfigError(f"{file}: store.url: {text}")
    return url or flags.url(), file


def _url_of(file: Path) -> URL | None:
    # Only who has a file needs the models that read it.
    from shipper.wiring.timeframes.composed import url_of_file

    return url_of_file(file)


def _url_of_mysql_environment() -> URL | None:
    from sqlalchemy.engine import make_url

    from shipper.store.files.environment import url_from_mysql_environment

    url = url_from_mysql_environment(os.environ)
    return None if url is None else make_url(url)


def _broker(given: dict[str, Any]) -> BrokerFlags:
    from shipper.wiring.timeframes.composed import BrokerFlags

    ca_certs, ssl = given["ca_certs"], bool(given["ssl"])
    source = click.get_current_context().get_parameter_source("ca_certs")
    if not ssl and source is ParameterSource.ENVIRONMENT:
        # The later client's environment names the file whether TLS is on or not.
        ca_certs = None
    return BrokerFlags(
        host=given["host"] or "localhost",
        port=61613 if given["port"] is None else given["port"],
        topic=given["topic"] or "epic.fastmon.tf",
        user="admin" if given["user"] is None else given["user"],
        password=_secret(given, "password") or Secret("literal", "admin"),
        ssl=ssl,
        ca_certs=ca_certs,
    )


def _secret(given: dict[str, Any], name: str) -> Secret | None:
    """Return a password, and see that a file with it can be read.

    Raises:
        ConfigError: It cannot.
    """
    file = given[f"{name}_file"]
    if file:
        secret = Secret("file", file)
        try:
            secret.reveal()
        except ConfigError as error:
            raise ConfigError(f"--{name}_file: {error}") from None
        return secret
    return None if given[name] is None else Secret("literal", given[name])
