"""The DNS responder of a world: what its grants name exists, and nothing else.

Rules:
- It answers from the world's directory alone; nothing is ever asked outside. A name that a pattern covers is
  answered once its address is listened for, so that the connection that follows finds a listener.
- Nothing that a program sends ends the responder or costs it memory: datagrams are answered one by one, at
  most 256 of them wait for a listener, further ones are passed over as if they were lost, and at most 16 TCP
  connections are open. While some wait, others are answered.
- dnspython is imported by a thread at the first query: it takes 50 ms, which programs that look names up in
  /etc/hosts do not pay.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Protocol

import trio

from libos.net.accept import Acceptor
from libos.net.address import Literal
from libos.net.naming.lookups import Lookups
from libos.net.naming.messages import Query, codec, read
from libos.net.naming.names import RESOLVER
from libos.net.sockets import Observe, Spec, describe, listen_at

# For the first of them datagrams are read, and the second listens for connections.
SPECS: list[Spec] = [(socket.AF_INET, socket.SOCK_DGRAM, 0), (socket.AF_INET, socket.SOCK_STREAM, 0)]
PORT = 53
# Bytes: the largest datagram that is read, as EDNS clients announce it at most in practice (RFC 6891,
# section 6.2.5).
_DATAGRAM = 4096
# Seconds that a TCP client may stay silent: RFC 7766, section 6.2.3.
_IDLE = 10.0
_TCP_CLIENTS = 16
# Datagrams that wait for a listener: as many as some resolvers ask at once, some 2 MiB of tasks.
_WAITING = 256
# Datagrams answered before other tasks run.
_TURN = 16


class Directory(Protocol):
    """Where names are looked up; see `libos.net.granting.directory`."""

    def lookup(self, name: str) -> Sequence[Literal] | None:
        """The addresses of a name, in any case; none yet where `admit` makes them; None where there is no
        such name."""

    async def admit(self, name: str) -> Sequence[Literal] | None:
        """The addresses of a name, once they can be connected to. Raises OSError."""

    def name_of(self, address: Literal) -> str | None:
        """The name that an address of the world was given to."""


class Responder:
    """Answers from `directory`. `sockets` are those of SPECS, made inside; the responder owns them from here
    on.

    The constructor binds them and raises OSError where that fails.
    """

    def __init__(self, sockets: list[socket.socket], directory: Directory, observe: Observe) -> None:
        self._datagrams, self._listener = sockets
        self._directory = directory
        self._observe = observe
        self._acceptor = Acceptor(observe, _TCP_CLIENTS)
        self._absent = Lookups("name.absent", observe)
        self._found = Lookups("name.found", observe)
        self._waiting = 0
        self._loaded = False
        try:
            self._datagrams.setblocking(False)
            self._datagrams.bind((str(RESOLVER), PORT))
            listen_at(self._listener, str(RESOLVER), PORT)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close both sockets, once nothing serves them. May be called again."""
        self._datagrams.close()
        self._listener.close()

    async def serve_streams(self, nursery: trio.Nursery) -> None:
        """Answer TCP clients, each in a task of `nursery`, until cancelled."""
        label = f"tcp!{RESOLVER}!{PORT}"
        await self._acceptor.accept(self._listener, self._serve_stream, label, nursery)

    async def serve_datagrams(self, nursery: trio.Nursery) -> None:
        """Answer UDP queries until cancelled; those that wait in tasks of `nursery`."""
        answered = 0
        while True:
            try:
                data, client = self._datagrams.recvfrom(_DATAGRAM)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._datagrams)
                continue
            except OSError:  # an earlier answer's ICMP error
                await trio.lowlevel.checkpoint()
                continue
            await self._load()
            query = read(data)
            if not isinstance(query, Query):
                self._send(query, client)
            elif self._fill(query):
                self._send(query.wire(datagram=True), client)
            elif self._waiting < _WAITING:
                self._waiting += 1
                nursery.start_soon(self._answer_later, query, client)
            answered += 1
            if answered % _TURN == 0:
                await trio.lowlevel.checkpoint()

    async def _answer_later(self, query: Query, client: Any) -> None:
        try:
            await self._admit(query)
            self._send(query.wire(datagram=True), client)
        finally:
            self._waiting -= 1

    def _send(self, answer: bytes | None, client: Any) -> None:
        if answer is not None:
            try:
                self._datagrams.sendto(answer, client)
            except OSError:
                pass  # the client has gone, or does not read: as if the datagram were lost

    async def _serve_stream(self, connection: socket.socket) -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(connection))
        try:
            while True:
                with trio.fail_after(_IDLE):
                    data = await _receive(stream)
                    answer = await self._answer(data) if data else None
                    if answer is None:
                        return
                    await stream.send_all(len(answer).to_bytes(2, "big") + answer)
        except (trio.TooSlowError, trio.BrokenResourceError):
            pass  # the client's loss
        finally:
            stream.socket.close()

    async def _answer(self, data: bytes) -> bytes | None:
        """The answer to a stream's message, or None where it deserves none."""
        await self._load()
        query = read(data)
        if not isinstance(query, Query):
            return query
        if not self._fill(query):
            await self._admit(query)
        return query.wire(datagram=False)

    async def _load(self) -> None:
        if not self._loaded:
            await trio.to_thread.run_sync(codec)
            self._loaded = True

    def _fill(self, query: Query) -> bool:
        """Fill the answer; False where the name has to be admitted first. Sync on purpose: a name is looked
        up and answered in one step."""
        pointer = None if query.pointer is None else self._directory.name_of(query.pointer)
        if pointer is not None:
            query.points_to(pointer)
            return True
        found = self._directory.lookup(query.name)
        if found is None:
            query.absent()
            self._absent.note(query.name, query.kind)
        elif not found and query.kind == "A":
            return False
        else:
            self._answered(query, found)
        return True

    def _answered(self, query: Query, found: Sequence[Literal]) -> None:
        query.found(found)
        self._found.note(query.name, query.kind, addresses=[str(each) for each in found])

    async def _admit(self, query: Query) -> None:
        try:
            found = await self._directory.admit(query.name)
        except OSError as error:
            query.failed()
            fields: dict[str, object] = {"operation": "name", "address": query.name, "error": describe(error)}
            self._observe("error", fields)
            return
        if found is None:  # its grant was taken back meanwhile
            query.absent()
        else:
            self._answered(query, found)


async def _receive(stream: trio.SocketStream) -> bytes | None:
    """One message with its length before it (RFC 1035, section 4.2.2), or None at the end of the stream."""
    data = b""
    wanted = 2
    while len(data) < wanted:
        part = await stream.receive_some(wanted - len(data))
        if not part:
            return None
        data += part
        if wanted == 2 and len(data) == 2:
            wanted += int.from_bytes(data, "big")
    return data[2:]
