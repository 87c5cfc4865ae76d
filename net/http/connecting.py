"""The two ends of a mediated connection as streams: the app's, with a certificate of its world, and the
outside's, verified.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable

import h11
import trio

from libos.net.address import Address
from libos.net.carried import Carried
from libos.net.http.authority import Authority, asked_name
from libos.net.http.heads import HostileError, check_request, check_response
from libos.net.http.peer import Peer
from libos.net.http.web import Web
from libos.net.naming.names import is_localhost
from libos.net.sockets import describe

# Seconds for the handshake with an outside that says nothing, as for its connection.
_HANDSHAKE_SECONDS = 30.0


class OutsideError(Exception):
    """The outside cannot be asked; the text says why, to the app and to the caller."""


class Counted(trio.abc.HalfCloseableStream):
    """The app's stream; what passes is counted for its grant. Raises OSError (EDQUOT) beyond its limits."""

    def __init__(self, stream: trio.SocketStream, carried: Carried) -> None:
        self._stream = stream
        self._carried = carried

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        most = max_bytes or 65536
        if self._carried.meter is not None:
            most = max(1, self._carried.meter.block(most, "sent"))
        data = bytes(await self._stream.receive_some(most))
        await self._count("sent", len(data))
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while view:
            size = len(view)
            if self._carried.meter is not None:
                size = max(1, self._carried.meter.block(size, "received"))
            await self._count("received", size)
            await self._stream.send_all(view[:size])
            view = view[size:]

    async def _count(self, way: str, size: int) -> None:
        meter = self._carried.meter
        if meter is not None and size:
            if pause := meter.reserve(way, size):
                await trio.sleep(pause)
            meter.take(way, size)
        setattr(self._carried, way, getattr(self._carried, way) + size)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Half-close, as a plain stream can."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def accept(
    inside: socket.socket, address: Address, authority: Authority | None, carried: Carried
) -> tuple[Peer, str | None]:
    """The app's side of a connection, and the name that its handshake asked for where it is another one than
    was dialed. Without an authority it is plain. Raises HostileError where the handshake fails."""
    raw = trio.socket.from_stdlib_socket(inside)
    counted = Counted(trio.SocketStream(raw), carried)
    if authority is None:
        return Peer(counted, raw, h11.SERVER, check_request), None
    names: list[str | None] = []
    asked_name.set(names)
    stream = trio.SSLStream(counted, authority.context(address.host), server_side=True, https_compatible=True)
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        raise HostileError(f"the TLS handshake with the app failed: {_cause(error)}") from None
    name = (names[-1] or "").lower().removesuffix(".") if names else ""
    same = not name or name == address.host or (is_localhost(name) and is_localhost(address.host))
    return Peer(stream, raw, h11.SERVER, check_request), None if same else name


async def reach(
    connect: Callable[[], Awaitable[socket.socket]], address: Address, web: Web | None, ca: str | None
) -> Peer:
    """The outside's side; without a web it is plain. Raises OutsideError; then nothing was sent but the
    handshake."""
    try:
        raw = trio.socket.from_stdlib_socket(await connect())
    except OSError as error:
        raise OutsideError(f"{address.host} cannot be reached: {describe(error)}") from None
    try:
        plain = trio.SocketStream(raw)
        if web is None:
            return Peer(plain, raw, h11.CLIENT, check_response)
        stream = await _verified(plain, address, web, ca)
    except BaseException:
        raw.close()
        raise
    return Peer(stream, raw, h11.CLIENT, check_response)


async def _verified(plain: trio.SocketStream, address: Address, web: Web, ca: str | None) -> trio.abc.Stream:
    try:
        context = await web.outside_context(ca)
    except OSError as error:
        raise OutsideError(f"the certificates in {ca} cannot be used: {error.strerror or error}") from None
    stream = trio.SSLStream(plain, context, server_hostname=address.host, https_compatible=True)
    try:
        with trio.fail_after(_HANDSHAKE_SECONDS):
            await stream.do_handshake()
    except trio.TooSlowError:
        raise OutsideError(f"{address.host} does not answer the TLS handshake") from None
    except trio.BrokenResourceError as error:
        raise OutsideError(f"{address.host} {_cause(error)}") from None
    return stream


def _cause(error: trio.BrokenResourceError) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"has a certificate that does not verify: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"speaks no TLS that is accepted: {cause.reason or cause.strerror}"
    return "ended the connection in the TLS handshake"
