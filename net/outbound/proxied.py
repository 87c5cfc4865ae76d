"""Through a SOCKS5 or HTTP proxy, by the library python-socks.

Rules:
- The library speaks the protocol; the socket is ours, and exactly the proxy's answer is read from it: what a
  server says first (SMTP, SSH) stays in it for the app.
- A proxy is believed nothing: an answer that is none is EPROTO, one that does not end is cut at 64 KiB. Time
  is the caller's to bound.
- The library is imported by a thread, at the first use.
"""

from __future__ import annotations

import errno
import importlib
import os
import socket
from types import ModuleType
from typing import Any

import trio

from libos.net.address import Address
from libos.net.outbound import outside
from libos.net.outbound.via import Proxy

# Bytes of an HTTP proxy's answer before its empty line: what servers accept of a head, and more.
_LONGEST_HEAD = 64 * 1024
_END_OF_HEAD = b"\r\n\r\n"
# What a proxy's refusal is to the app's caller: RFC 1928, section 6, and RFC 9110, section 15.
_ERRNOS = {
    2: errno.EACCES,
    3: errno.ENETUNREACH,
    4: errno.EHOSTUNREACH,
    5: errno.ECONNREFUSED,
    6: errno.ETIMEDOUT,
    403: errno.EACCES,
    407: errno.EACCES,
    504: errno.ETIMEDOUT,
}


async def connect_through(proxy: Proxy, address: Address) -> socket.socket:
    """A connected, non-blocking socket that leads to `address` through the proxy, which looks names up.

    Raises OSError: connect(2)'s errno for the proxy itself, EPROTO for one that does not speak the protocol,
    and what it says of the address: EACCES, ECONNREFUSED, …
    """
    library, proxies = await trio.to_thread.run_sync(_load)
    connection = await outside.connect(Address("tcp", proxy.host, proxy.port), private=True)
    try:
        kind = getattr(library.ProxyType, proxy.scheme.upper())
        # Its `forward` is what leads to the proxy; the time is bounded by who calls this.
        client = proxies.Proxy(
            kind, proxy.host, proxy.port, proxy.user, proxy.password, rdns=True, forward=_Reached(connection)
        )
        await client.connect(address.host, address.port, timeout=2 * outside.DIAL_SECONDS)
    except OSError:
        connection.close()
        raise
    except Exception as error:  # the library's own, and what its code raises on a hostile answer
        connection.close()
        number = _ERRNOS.get(getattr(error, "error_code", None) or 0, errno.EPROTO)
        raise OSError(number, f"{os.strerror(number)}: the proxy {proxy}: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _load() -> tuple[ModuleType, ModuleType]:
    return importlib.import_module("python_socks"), importlib.import_module("python_socks.async_.trio.v2")


class _Reached:
    """What the library takes for a proxy before the proxy."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def connect(self, dest_host: str, dest_port: int, **_: Any) -> _Stream:
        await trio.lowlevel.checkpoint()
        return _Stream(self._connection)


class _Stream:
    """What the library takes for a stream; closing it closes the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[self._connection.send(left) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._connection)

    async def read(self, max_bytes: int = 0) -> bytes:
        """The head of an HTTP answer: no byte behind it. What there is of it at the end of the stream."""
        head = bytearray()
        while len(head) < _LONGEST_HEAD:
            part = await self._receive(_LONGEST_HEAD, socket.MSG_PEEK)
            end = (head + part).find(_END_OF_HEAD)
            wanted = len(part) if end < 0 else end + len(_END_OF_HEAD) - len(head)
            head += self._connection.recv(wanted)
            if end >= 0:
                return bytes(head)
            if not part:
                raise OSError(errno.EPROTO, "Protocol error: the proxy closed before it answered")
        raise OSError(errno.EPROTO, "Protocol error: the proxy's answer has no end")

    async def read_exactly(self, n: int) -> bytes:
        data = bytearray()
        while len(data) < n:
            part = await self._receive(n - len(data))
            if not part:
                raise OSError(errno.EPROTO, "Protocol error: the proxy closed before it answered")
            data += part
        return bytes(data)

    async def close(self) -> None:
        self._connection.close()

    async def _receive(self, most: int, flags: int = 0) -> bytes:
        while True:
            try:
                return self._connection.recv(most, flags)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._connection)
