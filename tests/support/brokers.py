"""Real message brokers for tests: private instances of ActiveMQ and RabbitMQ that are started, frozen and killed here.

Each has files, ports and processes of its own; the broker of the machine, if there is one, is not touched.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, ClassVar

from tests.support.services import free_port, need

USER, PASSWORD = "shipper", "sesame"
TRANSACTION_RECORDS = 500
ANSWERS = (b"CONNECTED", b"RECEIPT", b"ERROR")
START_SECONDS = 60.0
STOP_SECONDS = 20.0

ACTIVEMQ_HOME = Path("/usr/share/activemq")
RABBITMQ_BIN = Path("/usr/lib/rabbitmq/bin")


@dataclass(frozen=True, slots=True)
class ServerTls:
    """Files in PEM for a broker that speaks TLS and wants certificates from its clients."""

    ca_certs: Path
    cert: Path
    key: Path


Publish = Callable[..., None]
"""Takes a destination, bodies, and further headers by name."""


class MessageBroker(ABC):
    """A broker in the test's hands; `folder` keeps its messages over a restart.

    Attributes:
        port: Where it speaks plain text.
        tls_port: Where it speaks TLS and wants certificates; open when it was given files for that.
    """

    name: ClassVar[str]
    confirms_transactions: ClassVar[bool] = True
    """Whether the receipt of a COMMIT says that all of its messages are safe."""

    def __init__(self, folder: Path, *, tls: ServerTls | None = None) -> None:
        self.folder = folder
        self.tls = tls
        self.port, self.tls_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _launch(self) -> subprocess.Popen[bytes]:
        """Start its processes, in a group of their own."""

    def start(self) -> None:
        """Start it, and wait until it lets somebody in."""
        self._process = self._launch()
        end_seconds = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end_seconds:
                self.kill()
                raise RuntimeError(f"{self.name} did not start:\n{self.output()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it without a farewell, and wait until it is gone."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_SECONDS)

    def freeze(self) -> None:
        """Let it stand still with all its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def output(self) -> str:
        """Return the end of what it wrote."""
        return (self.folder / "output.log").read_text(errors="replace")[-3000:]

    def publish(self, destination: str, bodies: Iterable[str | bytes], **headers: str) -> None:
        """Send messages, and wait until the broker has taken them all."""
        with self.publisher() as publish:
            publish(destination, bodies, **headers)

    def publisher(self, tls: ssl.SSLContext | None = None) -> AbstractContextManager[Publish]:
        """Log in over a socket of its own; what it gives sends messages and waits until they are safe."""
        port = self.port if tls is None else self.tls_port
        return _publisher(port, tls=tls, receipt_for_each=not self.confirms_transactions)

    def _answers(self) -> bool:
        ports = [self.port] if self.tls is None else [self.port, self.tls_port]
        with suppress(OSError), self.publisher():
            for port in ports:
                socket.create_connection(("127.0.0.1", port), 5).close()
            return True
        return False

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def _spawn(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self.folder / "output.log").open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


@contextmanager
def _publisher(
    port: int, *, tls: ssl.SSLContext | None, receipt_for_each: bool
) -> Iterator[Publish]:
    with _dialled(port, tls) as connected:
        answers = connected.makefile("rb")
        connected.sendall(
            f"CONNECT\naccept-version:1.1\nhost:/\nlogin:{USER}\npasscode:{PASSWORD}\n\n\0".encode()
        )
        _expect(answers, b"CONNECTED")

        def publish(destination: str, bodies: Iterable[str | bytes], **headers: str) -> None:
            rest = iter(bodies)
            while part := list(islice(rest, TRANSACTION_RECORDS)):
                written = {**headers, "receipt": "sent"} if receipt_for_each else headers
                connected.sendall(_transaction(destination, part, written))
                for _ in range(1 + receipt_for_each * len(part)):
                    _expect(answers, b"RECEIPT")

        yield publish


def _dialled(port: int, tls: ssl.SSLContext | None) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), 30)
    return tls.wrap_socket(connected, server_hostname="127.0.0.1") if tls else connected


def _transaction(
    destination: str, bodies: Sequence[str | bytes], headers: Mapping[str, str]
) -> bytes:
    extra = "".join(f"{name}:{value}\n" for name, value in headers.items())
    head = f"SEND\ndestination:{destination}\ntransaction:t\n{extra}content-length:"
    contents = [body.encode() if isinstance(body, str) else body for body in bodies]
    frames = [f"{head}{len(content)}\n\n".encode() + content + b"\0" for content in contents]
    end = b"COMMIT\ntransaction:t\nreceipt:committed\n\n\0"
    return b"".join([b"BEGIN\ntransaction:t\n\n\0", *frames, end])


def _expect(answers: BinaryIO, expected: bytes) -> None:
    """Read the next frame's first line, past what is left of the frame before."""
    for line in answers:
        word = line.strip(b"\0\n")
        if word in ANSWERS:
            if word != expected:
                raise ConnectionError(f"the broker answered {word!r}, not {expected!r}")
            return
    raise ConnectionError("the broker hung up before it had taken everything")


class ActiveMq(MessageBroker):
    """Apache ActiveMQ 5 with a STOMP connector."""

    name = "activemq"

    def _launch(self) -> subprocess.Popen[bytes]:
        for program in ("activemq", "java"):
            need(program)
        configuration = self.folder / "activemq.xml"
        configuration.write_text(self._xml(), encoding="utf-8")
        return self._spawn(
            "java",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            # The first of two compilers: it starts in half the time, and a test ends before the other pays.
            "-XX:TieredStopAtLevel=1",
            f"-Dactivemq.home={ACTIVEMQ_HOME}",
            *(f"-Dactivemq.{place}={self.folder}" for place in ("base", "conf", "data")),
            *("-jar", f"{ACTIVEMQ_HOME}/bin/activemq.jar", "start", f"xbean:file:{configuration}"),
        )

    def _xml(self) -> str:
        tls, secure_connector = "", ""
        if self.tls is not None:
            keys, trust = self._keystores(self.tls)
            tls = (
                f'<sslContext><sslContext keyStore="{keys}" keyStorePassword="{PASSWORD}" keyStoreType="PKCS12"'
                f' trustStore="{trust}" trustStorePassword="{PASSWORD}" trustStoreType="PKCS12"/></sslContext>'
            )
            uri = f"stomp+ssl://127.0.0.1:{self.tls_port}?transport.needClientAuth=true"
            secure_connector = f'<transportConnector name="secure" uri="{uri}"/>'
        return f"""<beans xmlns="http://www.springframework.org/schema/beans"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans
    http://www.springframework.org/schema/beans/spring-beans.xsd
    http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="test" useJmx="false"
          dataDirectory="{self.folder}">
    <persistenceAdapter><kahaDB directory="{self.folder}/kahadb" indexWriteBatchSize="10000"/></persistenceAdapter>
    <plugins><simpleAuthenticationPlugin><users>
      <authenticationUser username="{USER}" password="{PASSWORD}" groups="users"/>
    </users></simpleAuthenticationPlugin></plugins>
    {tls}
    <transportConnectors>
      <transportConnector name="plain" uri="stomp://127.0.0.1:{self.port}"/>{secure_connector}
    </transportConnectors>
  </broker>
</beans>
"""

    def _keystores(self, tls: ServerTls) -> tuple[Path, Path]:
        keys, trust = self.folder / "keys.p12", self.folder / "trust.p12"
        if trust.exists():
            return keys, trust
        secret = f"pass:{PASSWORD}"
        _run(
            *("openssl", "pkcs12", "-export", "-in", str(tls.cert), "-inkey", str(tls.key)),
            *("-out", str(keys), "-passout", secret),
        )
        _run(
            *("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", str(tls.ca_certs)),
            *("-keystore", str(trust), "-storetype", "PKCS12", "-storepass", PASSWORD),
        )
        return keys, trust


class RabbitMq(MessageBroker):
    """RabbitMQ 3 with its plugin for STOMP, and a port mapper of its own."""

    name = "rabbitmq"
    # 3.10 sends the messages of a transaction one by one, and is sure of one when it has a receipt of its own.
    confirms_transactions = False

    def __init__(self, folder: Path, *, tls: ServerTls | None = None) -> None:
        super().__init__(folder, tls=tls)
        self._mapper_port = free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        super().kill()
        mapper, self._mapper = self._mapper, None
        if mapper is not None:
            mapper.kill()
            mapper.wait(STOP_SECONDS)

    def _launch(self) -> subprocess.Popen[bytes]:
        for program in ("rabbitmq-server", "epmd"):
            need(program)
        (self.folder / "enabled_plugins").write_text("[rabbitmq_stomp].")
        (self.folder / "rabbitmq.conf").write_text("\n".join(self._settings()), encoding="utf-8")
        self._mapper = self._spawn("epmd", "-port", str(self._mapper_port))
        return self._spawn(
            f"{RABBITMQ_BIN}/rabbitmq-server",
            HOME=str(self.folder),
            ERL_EPMD_PORT=str(self._mapper_port),
            RABBITMQ_NODENAME="test@localhost",
            RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_CONFIG_FILE=f"{self.folder}/rabbitmq.conf",
            RABBITMQ_CONF_ENV_FILE="/dev/null",
            RABBITMQ_ENABLED_PLUGINS_FILE=f"{self.folder}/enabled_plugins",
            RABBITMQ_MNESIA_BASE=f"{self.folder}/mnesia",
            RABBITMQ_LOG_BASE=f"{self.folder}/log",
            RABBITMQ_PID_FILE=f"{self.folder}/pid",
            # Few schedulers that do not spin: other tests run on the same cores.
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2 +sbwt none",
        )

    def _settings(self) -> Iterator[str]:
        yield "listeners.tcp = none"
        yield f"default_user = {USER}"
        yield f"default_pass = {PASSWORD}"
        yield "log.console = true"
        yield "log.console.level = warning"
        yield "log.file = false"
        yield f"stomp.listeners.tcp.1 = 127.0.0.1:{self.port}"
        if self.tls is None:
            return
        yield f"stomp.listeners.ssl.1 = 127.0.0.1:{self.tls_port}"
        yield f"ssl_options.cacertfile = {self.tls.ca_certs}"
        yield f"ssl_options.certfile = {self.tls.cert}"
        yield f"ssl_options.keyfile = {self.tls.key}"
        yield "ssl_options.verify = verify_peer"
        yield "ssl_options.fail_if_no_peer_cert = true"


def _run(*command: str) -> None:
    need(command[0])
    subprocess.run(command, check=True, capture_output=True)


BROKERS: dict[str, type[MessageBroker]] = {each.name: each for each in (ActiveMq, RabbitMq)}


class Relay:
    """Passes bytes on to a broker until it swallows what one side says, or cuts every connection."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._swallowed: set[str] = set()
        self._door = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.port: int = self._door.getsockname()[1]
        self._accept_in_a_thread()

    def swallow(self, *sides: str) -> None:
        """From now on let nothing through that comes from `client` or from `broker`."""
        self._swallowed |= set(sides)

    def cut(self) -> None:
        """End every connection and let nobody in."""
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        while self._ends:
            end = self._ends.pop()
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def mend(self) -> None:
        """Let everybody in and everything through."""
        self.cut()
        self._swallowed.clear()
        self._door = socket.create_server(("127.0.0.1", self.port))
        self._accept_in_a_thread()

    def _accept_in_a_thread(self) -> None:
        threading.Thread(target=self._accept, args=(self._door,), daemon=True).start()

    def _accept(self, door: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = door.accept()
                far = socket.create_connection(("127.0.0.1", self._target_port))
                self._ends += [near, far]
                for side, source, target in (("client", near, far), ("broker", far, near)):
                    passing = threading.Thread(
                        target=self._pass_on, args=(side, source, target), daemon=True
                    )
                    passing.start()

    def _pass_on(self, side: str, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while received := source.recv(1 << 16):
                if side not in self._swallowed:
                    target.sendall(received)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
