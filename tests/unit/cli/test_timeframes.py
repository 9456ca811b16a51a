"""The words of the Time Frame client, its flags, and how they end."""

from __future__ import annotations

import io
import json
import sqlite3
import sys
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from shipper.cli import cli, main
from shipper.cli.timeframes import BROKER_FLAGS, DATABASE_FLAGS, LATER_VARIABLES
from shipper.config.flags import FLAGS
from shipper.config.override import Override
from shipper.config.secret import Secret
from shipper.wiring.settings import RunSettings
from shipper.wiring.timeframes import start as starting
from shipper.wiring.timeframes import tables
from shipper.wiring.timeframes.address import DatabaseFlags
from shipper.wiring.timeframes.composed import BrokerFlags, Composition
from tests.support.time_frames import keep, sqlite_url, time_frame

Started = list[tuple[Composition, RunSettings]]


def words(line: str) -> list[str]:
    return line.split()


OLD_FLAGS = {
    "start": [
        *(words("--config -c --db-engine --db-name --db-host --db-port --db-user --db-password")),
        *(words("--host --port --topic --user --password --ssl --ca-certs --verbose -v")),
    ],
    "status": words("--db-engine --db-name --db-host --db-port --db-user --db-password --run"),
    "init-db": words("--db-engine --db-name --db-host --db-port --db-user --db-password"),
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for flag in (*FLAGS, *BROKER_FLAGS, *DATABASE_FLAGS):
        monkeypatch.delenv(flag.variable, raising=False)
    for name in LATER_VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What every start was told; nothing starts."""
    told: Started = []
    monkeypatch.setattr(starting, "start", lambda *given: told.append(given))
    return told


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with some Time Frames, under the usual name."""
    keep(sqlite_url(tmp_path), time_frame("a", 5), time_frame("b", 0))
    return tmp_path / "fastmon_client.db"


def answering(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def broker_of(started: Started) -> BrokerFlags:
    return started[0][0].broker


@pytest.mark.parametrize("command", OLD_FLAGS)
def test_every_old_flag_has_its_name_and_its_short_form(command: str) -> None:
    known = {spelling for option in cli.commands[command].params for spelling in option.opts}

    assert set(OLD_FLAGS[command]) <= known


@pytest.mark.parametrize("command", ["start", "status", "init-db", "export", "import"])
def test_flags_may_be_written_with_underscores(command: str) -> None:
    known = {spelling for option in cli.commands[command].params for spelling in option.opts}

    assert {"--db_engine", "--db_password_file"} <= known


def test_without_flags_everything_has_its_old_default(started: Started, tmp_path: Path) -> None:
    assert main(["start"]) == 0
    composition, settings = started[0]

    assert composition.broker == BrokerFlags(
        host="localhost",
        port=61613,
        topic="epic.fastmon.tf",
        user="admin",
        password=Secret("literal", "admin"),
        ssl=False,
        ca_certs=None,
    )
    assert composition.database == sqlite_url(tmp_path)
    assert composition.file is None
    assert settings.log.level == "info"
    assert settings.state_dir.parent == tmp_path / "state-home" / "shipper" / "time-frames"


def test_flags_reach_their_places(started: Started) -> None:
    main(
        [
            *(
                words(
                    "start --db-engine PostgreSQL --db-name d --db-host h --db-port 1 --db-user u"
                )
            ),
            *(words("--db-password p --host b --port 2 --topic t --user v --password q --ssl")),
            *(words("--ca-certs ca.pem -v --state-dir s --loki-url http://loki --http-port 0")),
        ]
    )
    composition, settings = started[0]

    assert composition.broker == BrokerFlags(
        "b", 2, "t", "v", Secret("literal", "q"), ssl=True, ca_certs="ca.pem"
    )
    assert (
        composition.database
        == DatabaseFlags("postgresql", "d", "h", "1", "u", Secret("literal", "p")).url()
    )
    assert settings.overrides == (
        Override("loki", "url", "http://loki", "--loki_url"),
        Override("http", "port", 0, "--http_port"),
    )
    assert (settings.state_dir, settings.log.level) == (Path("s"), "debug")


def test_every_flag_can_come_from_the_environment(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "SHIPPER_HOST": "b",
        "SHIPPER_PASSWORD": "q",
        "SHIPPER_DB_ENGINE": "mysql",
        "SHIPPER_DB_PASSWORD": "p",
        "SHIPPER_LOKI_HOST": "loki",
    }.items():
        monkeypatch.setenv(name, text)
    main(["start"])
    composition, settings = started[0]

    assert (composition.broker.host, composition.broker.password) == ("b", Secret("literal", "q"))
    assert (composition.database.drivername, composition.database.password) == ("mysql", "p")
    assert settings.overrides == (Override("loki", "url", "http://loki:3100", "--loki_host"),)


def test_the_later_client_s_environment_is_honoured(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "ACTIVEMQ_HOST": "later",
        "ACTIVEMQ_PORT": "61612",
        "ACTIVEMQ_USER": "u",
        "ACTIVEMQ_PASSWORD": "p",
        "ACTIVEMQ_USE_SSL": "True",
        "ACTIVEMQ_SSL_CA_CERTS": "later.pem",
    }.items():
        monkeypatch.setenv(name, text)
    main(["start"])

    assert broker_of(started) == BrokerFlags(
        "later", 61612, "epic.fastmon.tf", "u", Secret("literal", "p"), True, "later.pem"
    )


def test_our_environment_beats_the_later_client_s_and_a_flag_beats_both(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVEMQ_HOST", "later")
    monkeypatch.setenv("ACTIVEMQ_USER", "later")
    monkeypatch.setenv("ACTIVEMQ_PORT", "1")
    monkeypatch.setenv("SHIPPER_HOST", "ours")
    monkeypatch.setenv("SHIPPER_USER", "ours")
    main(["start", "--host", "flag"])
    broker = broker_of(started)

    assert (broker.host, broker.user, broker.port) == ("flag", "ours", 1)


def test_without_tls_the_later_client_s_file_of_authorities_means_nothing(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVEMQ_USE_SSL", "False")
    monkeypatch.setenv("ACTIVEMQ_SSL_CA_CERTS", "later.pem")
    main(["start"])

    assert broker_of(started).ca_certs is None


def test_passwords_can_come_from_files(started: Started, tmp_path: Path) -> None:
    for name in ("broker", "database"):
        (tmp_path / name).write_text(f"of the {name}\n")
    main(words("start --db-engine mysql --password-file broker --db-password-file database"))

    assert broker_of(started).password == Secret("file", "broker")
    assert started[0][0].database.password == "of the database"  # noqa: S105


def test_a_password_that_is_typed_beats_a_file_of_the_environment(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHIPPER_PASSWORD_FILE", "none")
    monkeypatch.setenv("SHIPPER_DB_PASSWORD_FILE", "none")
    main(words("start --db-engine mysql --password p --db-password q"))

    assert broker_of(started).password == Secret("literal", "p")
    assert started[0][0].database.password == "q"  # noqa: S105


def test_a_password_file_that_is_not_there_is_a_mistake_of_usage(
    started: Started, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["start", "--password-file", "none"]) == 2
    assert "--password_file: the secret's file none cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["start", "status", "init-db"])
def test_an_engine_that_is_not_supported_is_a_mistake_of_usage(
    started: Started, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "--db-engine", "oracle"]) == 2
    assert "oracle is not one of sqlite, postgresql, mysql" in capsys.readouterr().err


def test_tls_without_authorities_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--ssl"]) == 2
    assert "--ca-certs: ssl needs it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["start", "--nope"], "No such option '--nope'"),
        (["start", "--port", "x"], "'x' is not a valid integer"),
        (["status", "--run", "x"], "'x' is not a valid integer"),
        (["status", "--db-engine", "mysql", "--db-port", "x"], "--db-port: must be a port"),
        (["export", "tf", "--format", "csv"], "Missing option '--output'"),
        (["export", "tf", "--format", "xml", "--output", "x"], "'xml' is not one of"),
        (["export", "x", "--format", "csv", "--output", "x"], "'x' is not one of"),
        (["export", "events", "--format", "parquet", "--output", "-"], "parquet needs a file"),
        (["export", "tf", "--format", "parquet", "--output", "-"], "parquet needs a file"),
        (["export", "runs", "--format", "csv", "--output", "x", "--run", "1"], "--run is for tf"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_usage_ends_with_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_status_shows_runs(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["Run", "5", "0"]


@pytest.mark.parametrize(
    ("run", "line"), [("0", "Run 0"), ("5", "Run 5"), ("7", "Run 7 not found")]
)
def test_status_shows_one_run(
    database: Path, capsys: pytest.CaptureFixture[str], run: str, line: str
) -> None:
    assert main(["status", "--run", run]) == 0
    assert capsys.readouterr().out.splitlines()[0] == line


def test_status_of_a_file_that_is_not_there_ends_with_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--db-name", "none.db"]) == 1
    assert "none.db not found" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_status_takes_the_database_of_a_configuration(
    tmp_path: Path, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database.rename(tmp_path / "other.db")
    (tmp_path / "c.json").write_text(
        json.dumps({"store": {"url": f"sqlite:///{tmp_path}/other.db"}, "metrics": {}})
    )

    assert main(["status", "-c", "c.json"]) == 0
    assert "No runs found" not in capsys.readouterr().out


def test_init_db_makes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init-db", "--db-name", "new.db"]) == 0
    assert "has runs and tf_metadata" in capsys.readouterr().out
    assert main(["status", "--db-name", "new.db"]) == 0
    assert capsys.readouterr().out == "No runs found\n"


@pytest.mark.parametrize(
    ("answer", "exit_code", "says"),
    [("n\n", 0, "Nothing was changed."), ("\n", 0, "Nothing was changed."), ("", 1, "")],
    ids=["no", "nothing said", "no terminal"],
)
def test_a_file_that_is_there_stays_untouched_without_a_yes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    exit_code: int,
    says: str,
) -> None:
    path = tmp_path / "fastmon_client.db"
    path.write_bytes(b"")
    answering(monkeypatch, answer)

    assert main(["init-db"]) == exit_code
    assert says in capsys.readouterr().out
    assert path.read_bytes() == b""


@pytest.mark.parametrize("yes", [["--yes"], ["-y"], []], ids=["--yes", "-y", "asked"])
def test_a_file_that_is_there_gets_its_tables_with_a_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, yes: list[str]
) -> None:
    sqlite3.connect(tmp_path / "fastmon_client.db").close()
    answering(monkeypatch, "y\n")

    assert main(["init-db", *yes]) == 0
    assert main(["status"]) == 0


def test_init_db_keeps_what_is_there(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init-db", "--yes"])
    capsys.readouterr()
    main(["status", "--run", "5"])

    assert "Total TFs:   1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "exit_code", "runs"), [("n\n", 0, 2), ("", 1, 2), ("y\n", 0, 0)]
)
def test_tables_are_only_dropped_with_a_yes(
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    exit_code: int,
    runs: int,
) -> None:
    answering(monkeypatch, answer)

    assert main(["init-db", "--drop"]) == exit_code
    assert "tf_metadata with 2 rows" in capsys.readouterr().out
    main(["status"])
    assert len(capsys.readouterr().out.splitlines()[1:]) == runs


def test_the_tables_of_files_can_be_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init-db", "--tables", "files"]) == 0
    assert "pysmurf_files_v1" in capsys.readouterr().out


def test_what_is_exported_can_be_imported(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words("export tf --format csv --output tf.csv")) == 0
    assert main(words("import tf --format csv --input tf.csv --db-name new.db")) == 0
    said = capsys.readouterr()

    assert said.out == ""
    assert "2 rows written to tf.csv." in said.err
    assert "2 rows are new in" in said.err


def test_an_export_replaces_nothing_without_force(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tf.json").write_text("mine")
    command = words("export tf --format json --output tf.json")

    assert main(command) == 2
    assert "tf.json is there already; --force replaces it" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert len((tmp_path / "tf.json").read_text().splitlines()) == 2


def test_a_wrong_file_ends_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tf.csv").write_text("file_id,run_number,received_at\na,x,2025-01-01\n")

    assert main(words("import tf --format csv --input tf.csv")) == 2
    assert "tf.csv: line 2: run_number: must be a whole number" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["start", "status", "init-db", "export", "import"])
def test_the_help_shows_no_password_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("SHIPPER_DB_PASSWORD", "hunter2")
    monkeypatch.setenv("ACTIVEMQ_PASSWORD", "hunter3")

    assert main([command, "--help"]) == 0
    assert "hunter" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "database"),
    [
        (["--tables", "files"], "mysql pysmurf"),
        (["--tables", "tf"], "sqlite fastmon_client.db"),
        (["--tables", "files", "--db-name", "mine.db"], "sqlite mine.db"),
    ],
    ids=["files", "not for time frames", "a flag beats it"],
)
def test_the_old_monitor_s_environment_names_the_database_of_files(
    monkeypatch: pytest.MonkeyPatch, words: list[str], database: str
) -> None:
    for name, value in (
        ("USER", "monitor"),
        ("PASSWORD", "p"),
        ("HOST", "db"),
        ("DATABASE", "pysmurf"),
    ):
        monkeypatch.setenv(f"MYSQL_{name}", value)
    asked: list[URL] = []

    def make(url: URL, _tables: object) -> str:
        asked.append(url)
        return "made"

    monkeypatch.setattr(tables, "make", make)

    assert main(["init-db", "--yes", *words]) == 0
    assert [f"{url.drivername} {Path(url.database or '').name}" for url in asked] == [database]
