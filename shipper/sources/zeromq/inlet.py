"""An open ZeroMQ socket: waits for messages, and takes those that are there.

What is said of ZeroMQ here was seen with libzmq 4.3.5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import recv_monitor_message

from shipper.core.errors import SourceUnavailable
from shipper.sources.zeromq.wire import Curve, Wire

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""ZeroMQ hangs up on who sends a longer frame, and so keeps our memory from being filled by it."""

MAX_RECONNECT_SECONDS = 2
"""ZeroMQ begins with 0.1 s and doubles it; without this it would look a name up ten times a second for ever."""

KEEPALIVE_IDLE_SECONDS = 60
KEEPALIVE_PROBE_SECONDS = 10
KEEPALIVE_PROBES = 3
"""Who vanished without a word is forgotten after 90 s. Heart-beats of ZeroMQ itself confuse libzmq before 4.2."""

KINDS = {"router": zmq.ROUTER, "dealer": zmq.DEALER, "pull": zmq.PULL, "sub": zmq.SUB}

ZAP_DOMAIN = "shipper"

_WATCHED = (
    zmq.Event.CONNECTED
    | zmq.Event.DISCONNECTED
    | zmq.Event.HANDSHAKE_SUCCEEDED
    | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
    | zmq.Event.HANDSHAKE_FAILED_PROTOCOL
    | zmq.Event.HANDSHAKE_FAILED_AUTH
)

Frames = list[bytes]
"""The frames of one message."""


class Inlet:
    """One socket with a context of its own. Belongs to one thread.

    Raises:
        SourceUnavailable: The port is taken, the address is none of ours, or the keys are no keys.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        with ExitStack() as undo, _translated(wire):
            context = zmq.Context()
            undo.callback(context.term)
            if wire.curve is not None and wire.curve.client_keys:
                undo.callback(_admit_only(wire.curve.client_keys, context).stop)
            self._socket: zmq.Socket[bytes] = context.socket(KINDS[wire.kind])
            undo.callback(self._socket.close)
            _configure(self._socket, wire)
            self._poller = zmq.Poller()
            self._poller.register(self._socket, zmq.POLLIN)
            self._far_end = None if wire.binds else _FarEnd(self._socket, undo)
            if self._far_end is not None:
                self._poller.register(self._far_end.events, zmq.POLLIN)
            _attach(self._socket, wire)
            self._closing = undo.pop_all()

    @property
    def refusal(self) -> str:
        """Why nothing will come over this socket any more; empty as long as something may."""
        if self._far_end is None or not self._far_end.refuses_us:
            return ""
        return f"{self._wire.endpoint} does not let us in: it wants other keys, or another kind of socket"

    def wait(self, timeout_seconds: float) -> None:
        """Wait until there is a message or news, or until the time is over.

        Raises:
            SourceUnavailable: The socket does not work any more.
        """
        with _translated(self._wire):
            self._poller.poll(math.ceil(timeout_seconds * 1000))
            if self._far_end is not None:
                self._far_end.listen()

    def take(self, most_records: int, most_bytes: int) -> Sequence[Frames]:
        """Return the messages that are there, without waiting.

        Args:
            most_records: How many at most.
            most_bytes: The message that reaches this is the last.

        Raises:
            SourceUnavailable: The socket does not work any more.
        """
        taken: list[Frames] = []
        weight_bytes = 0
        # Frames that tell whether more follow cost half of what `recv_multipart` does, which asks the socket.
        receive, at_once = self._socket.recv, zmq.NOBLOCK
        with _translated(self._wire):
            while len(taken) < most_records and weight_bytes < most_bytes:
                try:
                    frame = receive(at_once, copy=False)
                except zmq.Again:
                    break
                content = frame.bytes
                weight_bytes += len(content)
                frames = [content]
                while frame.more:
                    frame = receive(at_once, copy=False)
                    content = frame.bytes
                    weight_bytes += len(content)
                    frames.append(content)
                taken.append(frames)
        return taken

    def close(self) -> None:
        """Let go of the port at once, and of what waits in the queue; safe to call twice."""
        self._closing.close()


class _FarEnd:
    """What ZeroMQ tells about the connection that we make.

    A far end that goes away is connected to again by ZeroMQ itself. One that refuses the handshake may never be tried
    again, so that has to be seen.

    Attributes:
        events: A socket that has something to read when there is news.
        refuses_us: Whether it hung up before it let us in.
    """

    def __init__(self, ours: zmq.Socket[bytes], undo: ExitStack) -> None:
        self.events = ours.get_monitor_socket(_WATCHED)
        undo.callback(self.events.close)
        undo.callback(ours.disable_monitor)
        self.refuses_us = False
        self._let_in = False

    def listen(self) -> None:
        """Take note of what happened."""
        while self.events.poll(0):
            match recv_monitor_message(self.events)["event"]:
                case zmq.Event.HANDSHAKE_SUCCEEDED:
                    self._let_in = True
                case zmq.Event.CONNECTED:
                    self._let_in = False
                case _ if not self._let_in:
                    self.refuses_us = True


class _Admitted:
    """Says whose keys may send; asked by the authenticator."""

    def __init__(self, keys: frozenset[str]) -> None:
        self._keys = keys

    def callback(self, domain: str, key: bytes) -> bool:
        """Tell whether this public key may send."""
        del domain
        return key.decode("ascii") in self._keys


@contextmanager
def _translated(wire: Wire) -> Iterator[None]:
    """Make our errors of those of ZeroMQ."""
    try:
        yield
    except zmq.ZMQError as error:
        verb = "listen on" if wire.binds else "receive from"
        raise SourceUnavailable(
            f"cannot {verb} {wire.endpoint}: {zmq.strerror(error.errno or 0)}"
        ) from error


def _admit_only(
    keys: frozenset[str], context: zmq.Context[zmq.Socket[bytes]]
) -> ThreadAuthenticator:
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve_callback(ZAP_DOMAIN, _Admitted(keys))
    return authenticator


def _configure(made: zmq.Socket[bytes], wire: Wire) -> None:
    made.linger = 0
    made.rcvhwm = wire.most_queued_records
    made.maxmsgsize = MAX_FRAME_BYTES
    made.tcp_keepalive = 1
    made.tcp_keepalive_idle = KEEPALIVE_IDLE_SECONDS
    made.tcp_keepalive_intvl = KEEPALIVE_PROBE_SECONDS
    made.tcp_keepalive_cnt = KEEPALIVE_PROBES
    made.reconnect_ivl_max = MAX_RECONNECT_SECONDS * 1000
    if wire.identity and wire.kind in ("router", "dealer"):
        made.identity = wire.identity.encode()
    if wire.kind == "router":
        # Else a sender with a name that is started again may not be heard: its old connection still has the name.
        made.router_handover = 1
    if wire.kind == "sub":
        for topic in wire.topics or ("",):
            made.subscribe(topic)
    if wire.curve is not None:
        _lock(made, wire.curve)


def _lock(made: zmq.Socket[bytes], curve: Curve) -> None:
    secret_key = curve.reveal().encode()
    made.curve_secretkey = secret_key
    if curve.server_key is not None:
        made.curve_publickey = zmq.curve_public(secret_key)
        made.curve_serverkey = curve.server_key.encode()
        return
    made.curve_server = 1
    if curve.client_keys:
        made.zap_domain = ZAP_DOMAIN.encode()
        # Nobody is let in when there is nobody to ask.
        made.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


def _attach(made: zmq.Socket[bytes], wire: Wire) -> None:
    if not wire.binds:
        made.ipv6 = wire.endpoint.is_only_ipv6()
        made.connect(f"tcp://{wire.endpoint}")
        return
    local = wire.endpoint.found_here()
    made.ipv6 = local.is_ipv6
    made.bind(f"tcp://{local}")
