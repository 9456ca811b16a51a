"""Takes many datagrams out of a socket with one call, recvmmsg(2), which Python's socket module does not know.

With a call for each datagram, and their senders, the same took twice the CPU time; and every such call lets go of the
interpreter's lock, which a thread that encodes a push then keeps for 5 ms.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

from shipper.sources.udp.port import with_port

SLOTS = 256
"""Datagrams a call. 64 cost 10 % more CPU time each, 1024 nothing less."""

SLOT_BYTES = 65536
"""A datagram is shorter: its length has 16 bits."""

STRIDE_BYTES = SLOT_BYTES + 192
"""Slots begin at places that do not share the same few lines of the CPU's cache, as powers of two would."""

NOTHING_THERE = (errno.EAGAIN, errno.EINTR)


class _IoVec(ctypes.Structure):
    """`struct iovec`: where a datagram is put."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    """`struct msghdr` of glibc and musl."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iov_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MMsgHdr(ctypes.Structure):
    """`struct mmsghdr`: one datagram of many, and how long it was."""

    _fields_ = (("header", _MsgHdr), ("length", ctypes.c_uint32))


class _SockAddr(ctypes.Union):
    """`struct sockaddr_in` or `sockaddr_in6`."""

    _fields_ = (("family", ctypes.c_uint16), ("content", ctypes.c_ubyte * 28))


class Inbox:
    """Room for the datagrams of one call; the next call overwrites them."""

    def __init__(self, bound: socket.socket) -> None:
        self._bound = bound
        self._receive = ctypes.CDLL(None, use_errno=True).recvmmsg
        # Memory that was never written to takes none: most datagrams fill one page of their slot.
        self._room = bytearray(SLOTS * STRIDE_BYTES)
        self._starts = range(0, len(self._room), STRIDE_BYTES)
        self._senders = (_SockAddr * SLOTS)()
        room_at = ctypes.addressof(ctypes.c_char.from_buffer(self._room))
        self._vectors = (_IoVec * SLOTS)(
            *(_IoVec(room_at + start, SLOT_BYTES) for start in self._starts)
        )
        self._headers = (_MMsgHdr * SLOTS)(*map(self._header, range(SLOTS)))
        self._content = memoryview(self._room)
        self._lengths = _lengths(self._headers)

    def take(self) -> Sequence[memoryview]:
        """Return the datagrams that are there, at most `SLOTS`, without waiting; they hold until the next call.

        Raises:
            OSError: The socket does not work any more.
        """
        count = self._receive(self._bound.fileno(), self._headers, SLOTS, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            if number in NOTHING_THERE:
                return ()
            raise OSError(number, os.strerror(number))
        content = self._content
        return [
            content[start : start + length]
            for start, length in zip(self._starts, self._lengths[:count].tolist(), strict=False)
        ]

    def sender(self, index: int) -> str:
        """Return `host:port` of whoever sent the datagram of this index."""
        sender = self._senders[index]
        content = bytes(sender.content)
        (number,) = struct.unpack_from("!H", content, 2)
        if sender.family == socket.AF_INET:
            return with_port(str(ip_address(content[4:8])), number)
        address = IPv6Address(content[8:24])
        return with_port(str(address.ipv4_mapped or address), number)

    def _header(self, index: int) -> _MMsgHdr:
        header = _MsgHdr(
            name=ctypes.addressof(self._senders[index]),
            name_length=ctypes.sizeof(_SockAddr),
            iov=ctypes.addressof(self._vectors[index]),
            iov_count=1,
        )
        return _MMsgHdr(header=header)


def _lengths(headers: ctypes.Array[_MMsgHdr]) -> memoryview:
    """Return the field `length` of all headers as one row of numbers, which is read at once."""
    numbers = memoryview(headers).cast("B").cast("I")
    first = _MMsgHdr.length.offset // numbers.itemsize
    return numbers[first :: ctypes.sizeof(_MMsgHdr) // numbers.itemsize]
