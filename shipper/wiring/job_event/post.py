"""Posts one event of a job over HTTP, again for some time while the service is away.

It starts with every job, so it needs little: the standard library's client is imported five times as fast as urllib3.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from random import Random
from threading import Thread
from typing import Any
from urllib.parse import SplitResult, urlsplit

from shipper.core.clock import Clock
from shipper.core.errors import ConfigError, StartupError
from shipper.core.words import printable

MOST_ANSWER_BYTES = 64 * 1024
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
PROCESS_PARTS = 4
"""`/api/v0/TASK/PROCESS`: the address of a process, without `event` behind it."""

TOO_MANY_REQUESTS, SERVER_ERRORS = 429, 500
NS_PER_SECOND = 1_000_000_000


class NotTaken(StartupError):
    """The service did not take the event, and would not if it were asked again."""


class Away(NotTaken):
    """The service could not be reached or could not answer; it may later."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a job.

    Attributes:
        event_class: A word like `STARTED`, `PROGRESS` or `DONE`.
        progress: How far it is; `None` when it does not say.
        payload: Whatever else is to be kept.
    """

    event_class: str
    progress: int | None = None
    payload: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """Where events go, and how long one may take.

    Attributes:
        address: The whole address, with the index of the job.
        token: What the service may want to see.
        host: The name of this machine.
        timeout_seconds: How long one attempt may take, whatever happens.
        retry_seconds: How long to keep trying while the service is away.
        clock: Dates events, and measures how long it has been tried.
        random: Spreads the attempts of many jobs.
    """

    address: SplitResult
    token: str | None = field(repr=False)
    host: str
    timeout_seconds: float
    retry_seconds: float
    clock: Clock
    random: Random

    def post(self, event: Event, pause: Callable[[float], object]) -> bool:
        """Post an event, and return whether the job should go on.

        Args:
            event: What happened, at this moment.
            pause: Waits so many seconds; something true ends the attempts.

        Raises:
            NotTaken: The service refused it.
            Away: The service was away all the time.
        """
        content = self._content(event)
        until = self.clock.monotonic_seconds() + self.retry_seconds
        longest_seconds = SHORTEST_PAUSE_SECONDS
        while True:
            try:
                return _keep_going(self._attempt(content))
            except Away:
                left_seconds = until - self.clock.monotonic_seconds()
                pause_seconds = longest_seconds * self.random.uniform(0.5, 1.0)
                if left_seconds <= 0 or pause(min(pause_seconds, left_seconds)):
                    raise
            longest_seconds = min(2 * longest_seconds, LONGEST_PAUSE_SECONDS)

    def _content(self, event: Event) -> bytes:
        fields: dict[str, Any] = {"eventClass": event.event_class}
        if event.progress is not None:
            fields["progress"] = event.progress
        if event.payload is not None:
            fields["payload"] = event.payload
        time_seconds = self.clock.now_ns() / NS_PER_SECOND
        return json.dumps(fields | {"_meta": {"host": self.host, "time": time_seconds}}).encode()

    def _attempt(self, content: bytes) -> bytes:
        """Try once, in a thread: neither a name server nor an answer that trickles keeps us longer than it may."""
        outcome: SimpleQueue[bytes | Exception] = SimpleQueue()

        def attempt() -> None:
            try:
                outcome.put(self._ask(content))
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                outcome.put(error)

        Thread(target=attempt, name="post", daemon=True).start()
        try:
            answer = outcome.get(timeout=self.timeout_seconds)
        except Empty:
            text = f"{self.place} did not answer within {self.timeout_seconds:g} s"
            raise Away(text) from None
        match answer:
            case bytes():
                return answer
            case ssl.SSLCertVerificationError():
                raise NotTaken(f"TLS with {self.place} failed: {printable(answer.verify_message)}")
            case OSError() | http.client.HTTPException():
                words = getattr(answer, "strerror", None) or str(answer) or type(answer).__name__
                raise Away(f"{self.place} cannot be reached: {printable(words)}")
            case _:
                raise answer

    def _ask(self, content: bytes) -> bytes:
        connection = self._connection()
        try:
            connection.request("POST", self._target(), content, self._headers())
            answer = connection.getresponse()
            body = answer.read(MOST_ANSWER_BYTES)
        finally:
            connection.close()
        if answer.status in range(200, 300):
            return body
        reason = (
            f"{self.place} answers {answer.status}: {_reason(body) or printable(answer.reason)}"
        )
        if answer.status >= SERVER_ERRORS or answer.status == TOO_MANY_REQUESTS:
            raise Away(reason)
        raise NotTaken(reason)

    def _connection(self) -> http.client.HTTPConnection:
        kind = (
            http.client.HTTPSConnection
            if self.address.scheme == "https"
            else http.client.HTTPConnection
        )
        return kind(self.address.hostname or "", self.address.port, timeout=self.timeout_seconds)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return printable(f"{self.address.scheme}://{self.address.netloc}")

    def _target(self) -> str:
        query = f"?{self.address.query}" if self.address.query else ""
        return f"{self.address.path}{query}"

    def _headers(self) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json"}
        return (
            headers if self.token is None else {**headers, "Authorization": f"Bearer {self.token}"}
        )


def read_address(written: str) -> SplitResult:
    """Return where events go; `/event` may be left out behind the process, as old addresses do.

    Raises:
        ConfigError: It is no such address.
    """
    example = "http://HOST:PORT/api/v0/TASK/PROCESS/event?arrayIndex=INDEX"
    try:
        parts = urlsplit(written)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as error:
        raise ConfigError(f"{printable(written)} is no address: {error}") from None
    ordinary = written.isascii() and written.isprintable() and " " not in written
    if not known or not ordinary or "@" in parts.netloc or parts.fragment:
        raise ConfigError(f"{printable(written)} is no address of events, like {example}")
    names = [name for name in parts.path.split("/") if name]
    if names[-1:] == ["event"] and len(names) > PROCESS_PARTS:
        return parts
    if len(names) >= PROCESS_PARTS and "event" not in names[PROCESS_PARTS:]:
        return parts._replace(path=f"{parts.path.rstrip('/')}/event")
    raise ConfigError(f"{printable(written)} names no process, like {example}")


def _keep_going(answer: bytes) -> bool:
    """Return what the service thinks; whoever says nothing thinks that the job should go on."""
    content = _json(answer)
    return not (isinstance(content, dict) and content.get("keepGoing") is False)


def _reason(answer: bytes) -> str:
    """Return why an event was refused, in the service's words."""
    content = _json(answer)
    errors = content.get("errors") if isinstance(content, dict) else None
    reasons = [
        f"{each.get('reason')}{_details(each.get('details'))}"
        for each in (errors if isinstance(errors, list) else [])
        if isinstance(each, dict)
    ]
    return printable("; ".join(reasons))


def _details(details: object) -> str:
    return f" ({details if isinstance(details, str) else json.dumps(details)})" if details else ""


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
