"""What the pages for those who come from other tools show delivers from a real table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shipper.demo.log_store import LogStore
from tests.docs.pages import blocks
from tests.support.databases import Database, Servers
from tests.support.shipper_process import ShipperProcess, command, until

VARIABLE = "SHOP_DATABASE_URL"
NOW = datetime.now(UTC).replace(microsecond=0)
TABLES = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, state VARCHAR(20), amount NUMERIC(10, 2))",
    "INSERT INTO orders VALUES (1, 'open', 10.50), (2, 'open', 20), (3, 'paid', 30)",
    "CREATE TABLE mails (kind VARCHAR(20), sent INTEGER)",
    "INSERT INTO mails VALUES ('invoice', 7), ('reminder', 2)",
    "CREATE TABLE events (id INTEGER PRIMARY KEY, created_at TIMESTAMP, level VARCHAR(9), customer TEXT, text TEXT)",
)


@dataclass(frozen=True)
class Shop:
    """The database of the pages, and the folder of a Shipper that reads it."""

    database: Database
    folder: Path

    def add(self, number: int, level: str, *, minutes_ago: float) -> None:
        """Add an event; its time is UTC without a zone, in the database's own notation."""
        at = (NOW - timedelta(minutes=minutes_ago)).strftime("%Y-%m-%d %H:%M:%S")
        self.database.execute(
            f"INSERT INTO events VALUES ({number}, '{at}', '{level}', 'c{number}', 'text {number}')"  # noqa: S608
        )

    def configuration(self, page: str) -> Path:
        """Write the one configuration of a page, polled often."""
        (block,) = [each for each in blocks("json") if each.page == f"docs/how-to/migrate/{page}"]
        document = json.loads(block.text)
        for entry in document["metrics"].values():
            entry |= {"every_seconds": 0.2, "timezone": "UTC"}
        path = self.folder / "shop.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    def flags(self, page: str, loki: LogStore) -> list[str]:
        """Return the flags for what a page shows."""
        return ["--config", str(self.configuration(page)), "--loki_url", loki.url]

    @contextmanager
    def shipping(self, page: str, loki: LogStore) -> Iterator[ShipperProcess]:
        """Run what a page shows."""
        with ShipperProcess(["run", *self.flags(page, loki)], self.folder) as shipper:
            yield shipper.until_ready()


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(
    request: pytest.FixtureRequest,
    servers: Servers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:
    kind = request.param
    if kind == "sqlite":
        database = Database(kind, f"sqlite:///{tmp_path / 'shop.db'}")
    else:
        server = servers(kind)
        database = Database(kind, server.url(server.empty_database()), server)
    database.execute(*TABLES)
    monkeypatch.setenv(VARIABLE, database.url)
    return Shop(database, tmp_path)


@pytest.fixture
def loki() -> Iterator[LogStore]:
    with LogStore() as store:
        yield store


def test_the_numbers_of_query_exporter_are_on_the_page_of_shipper(
    shop: Shop, loki: LogStore
) -> None:
    labels = {"database": "shop", "site": "north"}
    with shop.shipping("from-query-exporter.md", loki) as shipper:
        until(lambda: shipper.polls("orders") and shipper.polls("mails"))

        assert shipper.value("shop_orders", state="open", **labels) == 2
        assert shipper.value("shop_orders", state="paid", **labels) == 1
        assert shipper.value("shop_mails_total", kind="invoice", **labels) == 7
        shop.database.execute(
            "UPDATE orders SET state = 'open'", "UPDATE mails SET sent = 9 WHERE kind = 'invoice'"
        )
        until(lambda: shipper.value("shop_orders", state="open", **labels) == 3)
        until(lambda: shipper.value("shop_mails_total", kind="invoice", **labels) == 9)
        assert ("shop_orders", frozenset({"state": "paid", **labels}.items())) not in (
            shipper.metrics()
        )
    assert loki.lines() == []


def test_the_numbers_and_the_lines_of_telegraf_come_from_shipper(
    shop: Shop, loki: LogStore
) -> None:
    shop.add(1, "info", minutes_ago=5)
    with shop.shipping("from-telegraf-sql.md", loki) as shipper:
        until(lambda: shipper.polls("orders") and shipper.polls("shop_events"))
        shop.add(2, "warning", minutes_ago=1)
        (line,) = until(loki.lines)

        assert shipper.value("shop_orders", state="open") == 2
        assert shipper.value("shop_orders_euros", state="open") == 30.5
    assert line.labels["job"] == "shop_events"
    assert line.labels["level"] == "warning"
    assert line.line.startswith("id=2 created_at=")
    assert line.line.endswith('level=warning text="text 2"')


def test_shipper_goes_on_where_logstash_stopped(shop: Shop, loki: LogStore) -> None:
    for number in (1, 2, 3):
        shop.add(number, "info", minutes_ago=10 - number)
    words = ["cursor", "set", "events", "2", "--types", "int"]
    place = ["--state_dir", str(shop.folder / "state")]
    handed = command([*words, *place, *shop.flags("from-logstash-jdbc.md", loki)], shop.folder)
    with shop.shipping("from-logstash-jdbc.md", loki):
        shop.add(4, "error", minutes_ago=2)
        lines = until(lambda: lines if len(lines := loki.lines()) >= 2 else [])

    assert handed.exit_code == 0, handed.stderr
    assert [json.loads(line.line)["id"] for line in lines] == [3, 4]
    assert [line.labels["level"] for line in lines] == ["info", "error"]
    assert [line.metadata["id"] for line in lines] == ["3", "4"]
    assert not any("customer" in line.line for line in lines)
    assert lines[1].time_ns == int((NOW - timedelta(minutes=2)).timestamp()) * 1_000_000_000


def test_a_check_of_each_page_finds_nothing_to_object_to(shop: Shop, loki: LogStore) -> None:
    for page in ("from-query-exporter.md", "from-telegraf-sql.md", "from-logstash-jdbc.md"):
        checked = command(["check", *shop.flags(page, loki)], shop.folder)

        assert checked.exit_code == 0, checked.stdout
