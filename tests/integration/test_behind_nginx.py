"""The page about security shows an nginx that really leads to Shipper."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.typing import Origin

from shipper.demo.log_store import LogStore
from shipper.demo.sqream import SqreamEmulator
from tests.docs.pages import blocks
from tests.support.services import free_port, need
from tests.support.shipper_process import ShipperProcess, far_ends, until

PAGE = "docs/how-to/secure-it.md"
NAME = "shipper.example"
TOKEN = "open-sesame-2210"  # noqa: S105 - opens a test
CONFIGURATION = """\
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {server}
}}
"""


def server_block(folder: Path, port: int, shipper_port: int) -> str:
    """Return what the page shows, at ports and with files of the test's own."""
    (block,) = [each for each in blocks("nginx") if each.page == PAGE]
    text = block.text
    for shown, ours in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("127.0.0.1:9108", f"127.0.0.1:{shipper_port}"),
        ("/etc/ssl/shipper.example.pem", f"{folder}/cert.pem"),
        ("/etc/ssl/private/shipper.example.key", f"{folder}/key.pem"),
    ):
        assert shown in text, shown
        text = text.replace(shown, ours)
    return text


def configured(folder: Path) -> dict[str, object]:
    """Return the configuration that the page shows for a Shipper behind a proxy."""
    shown = [json.loads(each.text) for each in blocks("json") if each.page == PAGE]
    (document,) = [each for each in shown if "origins" in each.get("http", {})]
    (folder / "token").write_text(TOKEN + "\n", encoding="utf-8")
    http = {**document["http"], "token": {"file": str(folder / "token")}}
    return {"http": http, "metrics": {"show_version": 0.3}}


@dataclass(frozen=True)
class Proxied:
    """A Shipper, and the nginx before it."""

    port: int
    certificate: str

    def get(self, path: str, *, token: str | None = TOKEN) -> urllib3.BaseHTTPResponse:
        """Ask nginx as a browser would, whose address bar shows the name."""
        headers = {"Host": NAME} | ({"Authorization": f"Bearer {token}"} if token else {})
        with urllib3.HTTPSConnectionPool(
            "127.0.0.1",
            self.port,
            ca_certs=self.certificate,
            server_hostname=NAME,
            assert_hostname=NAME,
        ) as pool:
            return pool.request("GET", path, headers=headers, redirect=False, timeout=15)

    def live(self, origin: str) -> Connection:
        """Open the WebSocket of lines as a page of an origin does."""
        return connect(
            f"wss://{NAME}/live",
            sock=socket.create_connection(("127.0.0.1", self.port), timeout=10),
            ssl=ssl.create_default_context(cafile=self.certificate),
            origin=Origin(origin),
            additional_headers={"Authorization": f"Bearer {TOKEN}"},
        )


@contextmanager
def nginx(folder: Path, server: str) -> Iterator[None]:
    """Run nginx with what the page shows, after it was asked whether it is right."""
    program = need("nginx")
    path = folder / "nginx.conf"
    path.write_text(CONFIGURATION.format(folder=folder, server=server), encoding="utf-8")
    words = [program, "-p", str(folder), "-c", str(path)]
    tested = subprocess.run([*words, "-t"], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr
    running = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait(timeout=10)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    need("nginx")
    folder = tmp_path_factory.mktemp("proxy")
    # Its workers are of another account when the tests run as root.
    folder.chmod(0o755)
    certificate = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    certificate += ["-addext", f"subjectAltName=DNS:{NAME}"]
    asked = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    subprocess.run([need("openssl"), *asked, *certificate], check=True, capture_output=True)
    config = folder / "metrics.json"
    port, own_port = free_port(), free_port()
    with SqreamEmulator() as emulator, LogStore() as store:
        document = configured(folder)
        document["http"] = {**document["http"], "port": own_port}  # type: ignore[dict-item]
        config.write_text(json.dumps(document), encoding="utf-8")
        flags = [*far_ends(emulator, store.url, config), "--http_port", str(own_port)]
        with (
            ShipperProcess(["run", *flags], folder) as shipper,
            nginx(folder, server_block(folder, port, own_port)),
        ):
            shipper.until_ready()
            yield Proxied(port, str(folder / "cert.pem"))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/state"])
def test_what_shipper_shows_is_seen_through_nginx(proxied: Proxied, path: str) -> None:
    until(lambda: proxied.get(path).status == 200)


def test_without_the_token_nothing_is_seen_but_health(proxied: Proxied) -> None:
    assert proxied.get("/metrics", token=None).status == 401
    until(lambda: proxied.get("/ready", token=None).status == 200)


def test_lines_come_through_nginx_to_a_page_of_its_origin_only(proxied: Proxied) -> None:
    with proxied.live(f"https://{NAME}") as lines:
        assert re.search("show_version", str(lines.recv(timeout=20)))
    with pytest.raises(InvalidStatus) as refused, proxied.live("https://evil.example"):
        pass
    assert refused.value.response.status_code == 403
